"""A guest's definition, its images, and its serial port."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lab.cell import LabError
from lab.guest import MIB, Guest, GuestDisk, GuestLog, boot_domain
from lab.host import PrivateHost


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    disks = (
        GuestDisk(tmp_path / "a.qcow2"),
        GuestDisk(tmp_path / "b.raw", format="raw", read_only=True),
        GuestDisk(tmp_path / "c.qcow2", bus="sata", shareable=True),
    )
    host = PrivateHost(tmp_path / "alder", "alder")
    return Guest(host, "web", disks, GuestLog(tmp_path / "web.log"))


def test_the_definition_names_each_disk_with_its_format(guest: Guest) -> None:
    disks = boot_domain(guest).findall("devices/disk")
    described = [
        (disk.find("target"), disk.find("driver"), disk.find("boot")) for disk in disks
    ]
    assert [
        (target.get("dev"), driver.get("type"), boot.get("order"))
        for target, driver, boot in described
        if target is not None and driver is not None and boot is not None
    ] == [("vda", "qcow2", "1"), ("vdb", "raw", "2"), ("sda", "qcow2", "3")]
    assert [disk.find("readonly") is not None for disk in disks] == [False, True, False]
    assert disks[2].find("shareable") is not None


def test_the_log_counts_letters(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("BvvMvEB")
    log = GuestLog(path)
    assert (log.boots, log.verified, log.errors, log.mismatches) == (2, 3, 1, 1)


def test_a_guest_that_never_ran_has_an_empty_log(tmp_path: Path) -> None:
    log = GuestLog(tmp_path / "web.log")
    assert (log.boots, log.verified, log.writes) == (0, 0, 0)


def test_waiting_for_writes_that_do_not_come_ends(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("Bv")
    with pytest.raises(LabError, match=r"web: 1 verified after 0\.05 s, 2 were"):
        GuestLog(path).wait_for_writes(timeout=0.05)


def test_an_image_is_made_over_its_backing_files(tmp_path: Path) -> None:
    disk = GuestDisk(
        tmp_path / "a.qcow2", 8 * MIB, data=2 * MIB, backing=("raw", "qcow2")
    )
    disk.make(b"x" * 512)
    shown = subprocess.run(
        ["qemu-img", "info", "--backing-chain", "--output=json", disk.path],
        capture_output=True,
        check=True,
    )
    chain = json.loads(shown.stdout)
    assert [Path(image["filename"]).name for image in chain] == [
        "a.qcow2",
        "a.base2.qcow2",
        "a.base1.raw",
    ]
    bottom = (tmp_path / "a.base1.raw").read_bytes()
    assert bottom.startswith(b"x" * 512)
    assert bottom.endswith(b"\xa5" * 2 * MIB)
    assert len(bottom) == 8 * MIB


def test_an_image_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    path.write_text("somebody's")
    GuestDisk(path).make()
    assert path.read_text() == "somebody's"


def test_an_image_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="qemu-img failed"):
        GuestDisk(tmp_path / "a.qcow2", size=-1).make()
