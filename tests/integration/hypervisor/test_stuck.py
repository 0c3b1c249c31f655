"""A guest whose QEMU does not answer: bounded, alone, and whole again afterwards."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.hypervisor import (
    Address,
    AddressPolicy,
    CopyOptions,
    Destination,
    DomainNotRunning,
    DomainObservation,
    Hypervisor,
    HypervisorError,
    Identity,
    NoAnswer,
    connection,
)
from jobs.hypervisor.deadline import left_behind
from jobs.hypervisor.sweep import ALL_STUCK
from lab.crowd import start_crowd
from lab.guest import MIB, Guest, GuestDisk
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration

SLOW = CopyOptions(bandwidth=MIB, buf_size=MIB)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.hypervisor.observation.QEMU_SECONDS", 0.5)
    monkeypatch.setattr("jobs.hypervisor.blockcopy.CHANGE_SECONDS", 0.5)
    monkeypatch.setattr("jobs.hypervisor.blockcopy.PIVOT_SECONDS", 0.5)


@pytest.fixture
def guest(alder: PrivateHost, make_guest: MakeGuest) -> Guest:
    """A guest with something to copy."""
    return make_guest(alder, GuestDisk(alder.images / "stuck.qcow2", data=48 * MIB))


@pytest.fixture
def copied(hypervisor: Hypervisor, guest: Guest) -> Identity:
    path = str(guest.host.images / f"{guest.name}-copy.qcow2")
    uuid = guest.uuid
    started = hypervisor.start(uuid, "vda", Destination("file", path, "qcow2"), SLOW)
    return Identity(uuid, started.domain_id, "vda", path)


@pytest.fixture
def frozen(alder: PrivateHost, guest: Guest, copied: Identity) -> Iterator[Identity]:
    """The copy of a guest that is frozen, and thawed when the test is over."""
    alder.kill_guest(guest.name, signal.SIGSTOP)
    yield copied
    alder.kill_guest(guest.name, signal.SIGCONT)
    until(lambda: left_behind(alder.uri) == 0)


def look(hypervisor: Hypervisor, identity: Identity) -> DomainObservation:
    seen = hypervisor.observe(identity.domain_uuid, ["vda"])
    mirror = seen.disks["vda"].mirror
    assert mirror is not None
    assert mirror.destination == identity.destination
    assert seen.disks["vda"].progress is None
    return seen


def test_looking_shows_the_mirror_and_waits_only_once(
    hypervisor: Hypervisor, alder: PrivateHost, frozen: Identity
) -> None:
    assert [look(hypervisor, frozen).stuck for _ in range(3)] == [True] * 3
    assert left_behind(alder.uri) == 1, "the second and third did not ask again"


def test_looking_without_progress_does_not_wait(
    hypervisor: Hypervisor, alder: PrivateHost, frozen: Identity
) -> None:
    assert not hypervisor.observe(frozen.domain_uuid).stuck
    assert left_behind(alder.uri) == 0


def test_other_guests_are_not_delayed(
    hypervisor: Hypervisor,
    alder: PrivateHost,
    make_guest: MakeGuest,
    frozen: Identity,
) -> None:
    look(hypervisor, frozen)
    healthy = make_guest(alder, paused=True).uuid
    path = str(alder.images / "healthy-copy.qcow2")
    hypervisor.start(healthy, "vda", Destination("file", path, "qcow2"), SLOW)
    seen = hypervisor.observe(healthy, ["vda"])
    assert seen.disks["vda"].progress is not None


def test_change_is_bounded_and_may_yet_take_effect(
    hypervisor: Hypervisor, alder: PrivateHost, guest: Guest, copied: Identity
) -> None:
    alder.kill_guest(guest.name, signal.SIGSTOP)
    try:
        with pytest.raises(NoAnswer) as waited:
            hypervisor.end(copied)
        assert waited.value.retryable
        with pytest.raises(NoAnswer, match="earlier request"):
            hypervisor.end(copied)
        assert left_behind(alder.uri) == 1, "the second one is not even tried"
    finally:
        alder.kill_guest(guest.name, signal.SIGCONT)
    until(lambda: hypervisor.observe(copied.domain_uuid).disks["vda"].mirror is None)
    assert left_behind(alder.uri) == 0


def test_killed_guest_frees_whoever_waits(
    hypervisor: Hypervisor, alder: PrivateHost, guest: Guest, copied: Identity
) -> None:
    alder.kill_guest(guest.name, signal.SIGSTOP)
    look(hypervisor, copied)
    alder.kill_guest(guest.name, signal.SIGKILL)
    until(lambda: hypervisor.observe(copied.domain_uuid).domain_id is None)
    until(lambda: left_behind(alder.uri) == 0)
    with pytest.raises(DomainNotRunning):
        hypervisor.pivot(copied)


# --- Many at once --------------------------------------------------------------------

CROWD, STUCK = 26, 20


@pytest.fixture(scope="module")
def crowd() -> Iterator[PrivateHost]:
    """A host with many paused guests, each with a mirror."""
    with (
        tempfile.TemporaryDirectory(prefix="crowd-") as folder,
        PrivateHost(Path(folder), "rowan") as host,
    ):
        start_crowd(host, CROWD)
        yield host


@contextmanager
def frozen_guests(host: PrivateHost, names: list[str]) -> Iterator[None]:
    for name in names:
        host.kill_guest(name, signal.SIGSTOP)
    try:
        yield
    finally:
        for name in names:
            host.kill_guest(name, signal.SIGCONT)


def is_mirrored(seen: DomainObservation | HypervisorError) -> bool:
    return isinstance(seen, DomainObservation) and bool(seen.disks["vda"].mirror)


def test_many_stuck_guests_hide_no_other(crowd: PrivateHost) -> None:
    address = Address(transport="socket", mode="session", socket=str(crowd.socket))
    policy = AddressPolicy(socket_prefixes=(str(crowd.socket.parent),))
    with connection(address, policy) as hypervisor:
        names = {each.uuid: each.name for each in hypervisor.inventory().domains}
        wanted = {uuid: ["vda"] for uuid in names}
        assert set(hypervisor.progress_many(wanted, 5)) == set(names)
        # With few stuck guests the others tell their progress; with very many not all
        # can be asked, but what the daemon knows is told of every one.
        for stuck in (3, STUCK):
            with frozen_guests(crowd, sorted(names.values())[:stuck]):
                told = set()
                for _ in range(4):
                    began = time.monotonic()
                    seen = hypervisor.observe_many(list(names))
                    assert set(seen) == set(names)
                    assert all(map(is_mirrored, seen.values()))
                    assert time.monotonic() - began < 2
                    told |= {names[u] for u in hypervisor.progress_many(wanted, 1.5)}
                    assert time.monotonic() - began < 5
                assert left_behind(crowd.uri) <= ALL_STUCK, "of libvirt's 20 workers"
                healthy = set(sorted(names.values())[stuck:])
                assert told <= healthy
                assert told == healthy or stuck == STUCK
                assert hypervisor.inventory().host.hostname == "rowan"
            until(lambda: left_behind(crowd.uri) == 0)
            until(lambda: set(hypervisor.progress_many(wanted, 5)) == set(names))
