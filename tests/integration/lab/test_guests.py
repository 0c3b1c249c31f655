"""Guests really write, and say what became of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.bootsector import lost_blocks, written_blocks
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.linux import start_linux

pytestmark = pytest.mark.integration

SPAN = 2 * MIB
LINUX = Path(__file__).resolve().parents[3] / "var" / "linux"


def _unharmed(guest: Guest) -> bool:
    return (guest.log.errors, guest.log.mismatches) == (0, 0)


def _raw(image: Path) -> Path:
    raw = image.with_suffix(".check")
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    return raw


def test_a_guest_writes_and_reads_back_on_both_of_its_disks(alder: PrivateHost) -> None:
    disks = [
        GuestDisk(alder.images / "two-a.qcow2", backing=("raw", "qcow2")),
        GuestDisk(alder.images / "two-b.raw", format="raw"),
    ]
    guest = define_and_start(alder, "two", disks, span=SPAN)
    guest.log.wait_for_writes(12)
    guest.destroy()
    assert guest.log.boots == 1
    assert _unharmed(guest)
    for disk in disks:
        image = _raw(disk.path)
        assert lost_blocks(image, SPAN) == []
        assert None not in written_blocks(image, SPAN)


def test_a_copy_under_load_loses_nothing(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "copied", span=SPAN)
    guest.log.wait_for_writes()
    copy = alder.images / "copied.raw"
    copying = ("--format", "raw", "--wait", "--pivot", "--transient-job")
    alder.virsh("blockcopy", "copied", "vda", "--dest", copy, *copying)
    assert guest.source() == str(copy)
    guest.log.wait_for_writes(4)
    guest.destroy()
    assert _unharmed(guest)
    assert lost_blocks(copy, SPAN) == []


def test_a_second_boot_is_counted(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "again", writing=False)
    guest.log.wait_for_boot()
    guest.destroy()
    guest.start()
    guest.log.wait_for_boot(2)
    assert guest.log.boots == 2
    guest.destroy()


def test_a_guest_that_may_not_write_says_so(alder: PrivateHost) -> None:
    image = GuestDisk(alder.images / "sealed.raw", format="raw")
    guest = define_and_start(alder, "sealed", [image], start=False)
    sealed = GuestDisk(image.path, format="raw", read_only=True)
    other = define_and_start(alder, "reader", [sealed])
    other.log.wait_for_boot()
    other.log.wait_for_errors()
    assert other.log.verified == 0
    other.destroy()
    assert guest.state == "shut off"


def test_a_resting_guest_writes_nothing(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "rest", writing=False)
    guest.log.wait_for_boot()
    guest.destroy()
    assert guest.log.verified == 0
    assert written_blocks(_raw(guest.disks[0].path), SPAN) == [None] * 64


def test_a_paused_start_does_not_boot(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "paused", paused=True)
    assert guest.state == "paused"
    assert guest.log.boots == 0
    alder.virsh("resume", "paused")
    guest.log.wait_for_boot()
    guest.destroy()


def test_a_transient_guest_is_gone_when_it_ends(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "brief", writing=False, persistent=False)
    assert guest.domain_id is not None
    guest.destroy()
    assert "brief" not in alder.virsh("list", "--all", "--name").split()


def test_the_linux_guest_writes_and_switches_itself_off(alder: PrivateHost) -> None:
    guest = start_linux(alder, "linux", LINUX, span=2, poweroff=12)
    guest.log.wait_for_boot(timeout=60)
    guest.log.wait_for_writes(2, timeout=20)
    assert _unharmed(guest)
    guest.wait_until_off()
    assert alder.virsh("domstate", "--reason", "linux").split() == [
        "shut",
        "off",
        "(shutdown)",
    ]


def test_no_program_is_needed_that_set_up_does_not_bring() -> None:
    for program in ("as", "ld", "qemu-img", "qemu-io", "virsh", "unshare", "setpriv"):
        assert shutil.which(program), f"{program} is missing"
