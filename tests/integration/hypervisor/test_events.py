"""What hosts tell by themselves, and what they do not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from jobs.hypervisor import (
    BlockJobEvent,
    ConnectionClosed,
    CopyOptions,
    Destination,
    HostUnreachable,
    Hypervisor,
    Identity,
    LifecycleEvent,
    Subscription,
)
from jobs.hypervisor.deadline import left_behind
from lab.guest import MIB, Guest, GuestDisk
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest, address_of, policy_for
from tests.integration.hypervisor.conftest import Heard, until

pytestmark = pytest.mark.integration


def start(
    hypervisor: Hypervisor, guest: Guest, options: CopyOptions | None = None
) -> Identity:
    path = str(guest.host.images / f"{guest.name}-copy.qcow2")
    uuid = guest.uuid
    started = hypervisor.start(
        uuid, "vda", Destination("file", path, "qcow2"), options or CopyOptions()
    )
    return Identity(uuid, started.domain_id, "vda", path)


def test_events_of_a_copy_in_order(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder, paused=True)
    before = time.monotonic()
    identity = start(hypervisor, guest)
    ready = heard.block_job(identity.domain_uuid, "ready")
    hypervisor.pivot(identity)
    completed = heard.block_job(identity.domain_uuid, "completed")
    assert (ready.disk, completed.disk) == ("vda", "vda")
    assert before < ready.received < completed.received < time.monotonic()


def test_destroyed_guest_tells_only_by_its_lifecycle(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder, GuestDisk(alder.images / "doomed.qcow2", data=32 * MIB))
    identity = start(hypervisor, guest, CopyOptions(bandwidth=MIB))
    guest.destroy()
    told = []

    def stopped(event: object) -> bool:
        told.append(event)
        return isinstance(event, LifecycleEvent) and event.event == "stopped"

    event = heard.next(stopped)
    assert isinstance(event, LifecycleEvent)
    assert (event.domain_uuid, event.domain_name) == (identity.domain_uuid, guest.name)
    assert not [one for one in told if isinstance(one, BlockJobEvent)]


def test_boot_and_suspension_are_told(
    alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder)
    alder.virsh("suspend", guest.name)
    heard.next(lambda e: isinstance(e, LifecycleEvent) and e.event == "suspended")
    alder.virsh("resume", guest.name)
    heard.next(lambda e: isinstance(e, LifecycleEvent) and e.event == "resumed")


def test_every_subscriber_hears(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    other = Heard(alder)
    try:
        identity = start(hypervisor, make_guest(alder, paused=True))
        for one in (heard, other):
            one.block_job(identity.domain_uuid, "ready")
    finally:
        other.subscription.close()


def test_nothing_is_heard_after_closing(
    alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    closed = Heard(alder)
    closed.subscription.close()
    closed.subscription.close()
    assert not closed.subscription.alive
    guest = make_guest(alder, paused=True)
    heard.next(lambda e: isinstance(e, LifecycleEvent) and e.domain_name == guest.name)
    assert closed.queue.empty()


def test_killed_daemon_closes_the_subscription(birch: PrivateHost) -> None:
    heard = Heard(birch)
    birch.kill()
    try:
        closed = heard.next(lambda event: isinstance(event, ConnectionClosed))
        assert closed == ConnectionClosed("eof")
        assert not heard.subscription.alive
        with pytest.raises(HostUnreachable):
            Heard(birch)
    finally:
        birch.start()
    heard.subscription.close()
    again = Heard(birch)
    assert again.subscription.alive
    again.subscription.close()


@pytest.fixture
def frozen_birch(
    birch: PrivateHost, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrivateHost]:
    """Thawed afterwards; connections opened meanwhile notice a frozen host in 2 s."""
    monkeypatch.setattr("jobs.hypervisor.opening.KEEPALIVE_INTERVAL", 1)
    monkeypatch.setattr("jobs.hypervisor.opening.KEEPALIVE_COUNT", 1)
    monkeypatch.setattr("jobs.hypervisor.opening.OPEN_SECONDS", 0.5)
    yield birch
    birch.thaw()
    until(lambda: left_behind(birch.uri) == 0)


def test_frozen_daemon_closes_the_subscription(frozen_birch: PrivateHost) -> None:
    heard = Heard(frozen_birch)
    frozen_birch.freeze()
    closed = heard.next(lambda event: isinstance(event, ConnectionClosed))
    assert closed == ConnectionClosed("keepalive")
    heard.subscription.close()


def test_subscribing_to_a_frozen_daemon_is_bounded(frozen_birch: PrivateHost) -> None:
    frozen_birch.freeze()
    before = time.monotonic()
    with pytest.raises(HostUnreachable):
        Subscription(address_of(frozen_birch), policy_for(frozen_birch), print)
    assert time.monotonic() - before < 10
    frozen_birch.thaw()
    until(lambda: _subscribes(frozen_birch))


def _subscribes(host: PrivateHost) -> bool:
    try:
        Subscription(address_of(host), policy_for(host), print).close()
    except HostUnreachable:
        return False
    return True
