"""A destination that is not what was copied to, seen before it becomes the disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationUnsound,
    Hypervisor,
    Identity,
    NoAnswer,
    Server,
)
from jobs.hypervisor.deadline import leave_behind
from lab.guest import MIB, Guest, GuestDisk
from lab.host import PrivateHost
from lab.nbd import NbdServer
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration


@pytest.fixture
def guest(alder: PrivateHost, make_guest: MakeGuest) -> Guest:
    """A guest with little to copy, that does nothing."""
    disk = GuestDisk(alder.images / "sound.qcow2", data=4 * MIB)
    return make_guest(alder, disk, writing=False)


def mirrored(hypervisor: Hypervisor, guest: Guest, to: Destination) -> Identity:
    started = hypervisor.start(guest.uuid, "vda", to, CopyOptions())
    identity = Identity(guest.uuid, started.domain_id, "vda", to.location)

    def ready() -> bool:
        mirror = hypervisor.observe(guest.uuid).disks["vda"].mirror
        return mirror is not None and mirror.is_ready

    until(ready)
    return identity


@pytest.fixture
def identity(hypervisor: Hypervisor, guest: Guest) -> Identity:
    path = str(guest.host.images / f"{guest.name}-copy.qcow2")
    return mirrored(hypervisor, guest, Destination("file", path, "qcow2"))


def move_away(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def cut_off(path: Path) -> None:
    os.truncate(path, 0)


def replace_by_an_empty_image(path: Path) -> None:
    path.unlink()
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(64 * MIB)],
        check=True,
    )


def test_sound(hypervisor: Hypervisor, identity: Identity) -> None:
    for _ in range(2):  # a pool does not know it at first, and then it does
        hypervisor.check_destination(identity, transient_pools=True)
    hypervisor.pivot(identity)


@pytest.mark.parametrize("harm", [move_away, cut_off, replace_by_an_empty_image])
@pytest.mark.parametrize("known", [False, True])
def test_unsound(
    hypervisor: Hypervisor,
    identity: Identity,
    harm: Callable[[Path], None],
    known: bool,
) -> None:
    if known:
        hypervisor.check_destination(identity, transient_pools=True)
    harm(Path(identity.destination))
    with pytest.raises(DestinationUnsound) as told:
        hypervisor.check_destination(identity, transient_pools=True)
    assert "cancel and copy again" in told.value.remedy


def test_a_pool_that_met_the_file_before_it_had_a_header(
    hypervisor: Hypervisor, guest: Guest
) -> None:
    """It takes the file for raw and for as long as it is, until it is read anew."""
    path = guest.host.images / f"{guest.name}-early.qcow2"
    path.touch()
    guest.host.virsh("pool-refresh", "images")
    early = mirrored(hypervisor, guest, Destination("file", str(path), "qcow2"))
    told = guest.host.virsh("vol-dumpxml", path)
    assert "<format type='raw'/>" in told
    hypervisor.check_destination(early)
    hypervisor.pivot(early)


def test_an_unanswered_question_says_nothing_of_the_file(
    hypervisor: Hypervisor, alder: PrivateHost, identity: Identity
) -> None:
    unanswered: Future[None] = Future()
    leave_behind((alder.uri, f"{identity.destination} vol"), unanswered)
    with pytest.raises(NoAnswer):
        hypervisor.check_destination(identity)
    unanswered.set_result(None)
    hypervisor.check_destination(identity)


def test_where_no_pool_sees_it(hypervisor: Hypervisor, identity: Identity) -> None:
    hypervisor.check_destination(identity)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[NbdServer]:
    image = tmp_path / "served.raw"
    image.touch()
    os.truncate(image, 64 * MIB)
    with NbdServer(tmp_path, image) as server:
        yield server


def test_a_server_that_hangs(
    hypervisor: Hypervisor,
    alder: PrivateHost,
    make_guest: MakeGuest,
    served: NbdServer,
) -> None:
    guest = make_guest(alder, GuestDisk(alder.images / "busy.qcow2"), writing=True)
    server = Server(served.name, served.port)
    to = Destination("network", protocol="nbd", servers=(server,), format="raw")
    identity = mirrored(hypervisor, guest, to)
    hypervisor.check_destination(identity)
    served.freeze()
    try:
        time.sleep(1)  # the guest writes meanwhile, and the mirror falls behind
        with pytest.raises(DestinationUnsound, match="wait to be written"):
            hypervisor.check_destination(identity)
    finally:
        served.thaw()
    guest.log.wait_for_writes(2)
    hypervisor.pivot(identity)
    assert (guest.log.errors, guest.log.mismatches) == (0, 0)
