"""Copies that a host refuses: each has its own class and cause, and nothing starts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationUnusable,
    Hypervisor,
    HypervisorError,
    InvalidOption,
    Refused,
)
from lab.guest import Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from tests.integration.conftest import remove

pytestmark = pytest.mark.integration

PLAIN = CopyOptions()
REUSE = CopyOptions(reuse_external=True)

Refusing = Callable[..., HypervisorError]


@pytest.fixture(scope="module")
def guest(alder: PrivateHost) -> Iterator[Guest]:
    chain = GuestDisk(alder.images / "refusals.qcow2", backing=("qcow2",))
    shared = GuestDisk(alder.images / "shared.raw", format="raw", shareable=True)
    guest = define_and_start(alder, "refusals", [chain, shared], paused=True)
    yield guest
    remove(guest)


@pytest.fixture
def refused(hypervisor: Hypervisor, guest: Guest) -> Refusing:
    def refused(
        to: Destination, options: CopyOptions = PLAIN, disk: str = "vda"
    ) -> HypervisorError:
        with pytest.raises(HypervisorError) as refusal:
            hypervisor.start(guest.uuid, disk, to, options)
        assert hypervisor.observe(guest.uuid).disks[disk].mirror is None
        return refusal.value

    return refused


def test_missing_directory(guest: Guest, refused: Refusing) -> None:
    path = guest.host.images / "no" / "copy.raw"
    error = refused(Destination("file", str(path), "raw"))
    assert isinstance(error, DestinationUnusable)
    assert "directory does not exist" in error.cause


def test_place_where_no_file_can_be_made(refused: Refusing) -> None:
    error = refused(Destination("file", "/proc/copy.raw", "raw"))
    assert isinstance(error, DestinationUnusable)


def test_file_called_a_device(guest: Guest, refused: Refusing) -> None:
    error = refused(Destination("block", str(guest.disks[1].path), "raw"))
    assert isinstance(error, DestinationUnusable)
    assert "not a block device" in error.cause


def test_missing_device(refused: Refusing) -> None:
    error = refused(Destination("block", "/dev/no-such-device", "raw"))
    assert isinstance(error, DestinationUnusable)
    assert "not there" in error.cause


def test_the_source_itself(guest: Guest, refused: Refusing) -> None:
    source = Destination("file", str(guest.disks[0].path), "qcow2")
    error = refused(source, REUSE)
    assert isinstance(error, DestinationUnusable)
    assert "in use" in error.cause


def test_shallow_into_raw(guest: Guest, refused: Refusing) -> None:
    to = Destination("file", str(guest.host.images / "shallow.raw"), "raw")
    error = refused(to, CopyOptions(shallow=True))
    assert isinstance(error, InvalidOption)
    assert "backing file" in error.cause
    assert not Path(to.path).exists()


def test_reused_file_of_another_format(guest: Guest, refused: Refusing) -> None:
    to = Destination("file", str(guest.host.images / "really-raw"), "qcow2")
    subprocess.run(["truncate", "-s", "64M", to.path], check=True)
    error = refused(to, REUSE)
    assert isinstance(error, DestinationUnusable)
    assert "another format" in error.cause


def test_shareable_disk_to_qcow2(guest: Guest, refused: Refusing) -> None:
    error = refused(
        Destination("file", str(guest.host.images / "shared.qcow2"), "qcow2"),
        disk="vdb",
    )
    assert isinstance(error, Refused)
    assert "shareable" in error.cause
