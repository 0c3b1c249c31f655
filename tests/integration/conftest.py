"""Two private libvirt hosts for the whole run, and guests for each test."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.hypervisor import Address, AddressPolicy, close_all
from lab.cell import LabError
from lab.guest import Guest, GuestDisk, define_and_start
from lab.host import PrivateHost


@pytest.fixture(scope="session")
def alder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    """The host that always works."""
    directory: Path = tmp_path_factory.mktemp("alder")
    with PrivateHost(directory, "alder") as host:
        host.define_pool()
        yield host
        close_all()


@pytest.fixture(scope="session")
def birch(
    alder: PrivateHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateHost]:
    """The host that tests kill and freeze."""
    directory: Path = tmp_path_factory.mktemp("birch")
    alder.virsh("domcapabilities", "--virttype", "qemu")  # probes QEMU, for both
    with PrivateHost(directory, "birch", capabilities_from=alder) as host:
        yield host
        close_all()


def address_of(host: PrivateHost) -> Address:
    return Address("socket", mode="session", socket=str(host.socket))


def policy_for(host: PrivateHost) -> AddressPolicy:
    return AddressPolicy(socket_prefixes=(str(host.socket.parent),))


MakeGuest = Callable[..., Guest]


@pytest.fixture
def make_guest() -> Iterator[MakeGuest]:
    """Starts guests with names of their own, idle unless told otherwise."""
    started: list[Guest] = []

    def make(host: PrivateHost, *disks: GuestDisk, **options: Any) -> Guest:
        name = f"web-{uuid.uuid4().hex[:8]}"
        guest = define_and_start(host, name, disks, **{"writing": False, **options})
        started.append(guest)
        return guest

    yield make
    for guest in started:
        remove(guest)


def remove(guest: Guest) -> None:
    """Whatever is left of a guest: some are transient, or off, or gone by now."""
    for verb in ("destroy", "undefine"):
        with contextlib.suppress(LabError):
            guest.host.virsh(verb, guest.name)
    for disk in guest.disks:
        for image in disk.path.parent.glob(f"{disk.path.stem}*"):
            image.unlink()
