"""A guest whose QEMU does not answer: bounded, alone, and whole again afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DomainNotRunning,
    DomainObservation,
    Hypervisor,
    Identity,
    NoAnswer,
)
from jobs.hypervisor.deadline import left_behind
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
