"""The listener on real hosts: every change that they tell becomes a look."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    Identity,
    Subscription,
    connection,
)
from jobs.leases import Leased
from lab.guest import Guest
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest, address_of, policy_for
from tests.listening import Running, until

pytestmark = pytest.mark.integration

ALDER, BIRCH = 1, 2
Listen = Callable[..., Running]


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Listen]:
    """Start a listener on private hosts, its tasks kept instead of sent."""
    started: list[Running] = []
    monkeypatch.setattr("jobs.listener.close_old_connections", lambda: None)

    def make(**hosts: PrivateHost) -> Running:
        settings.BLOCKCOPY_SOCKET_PREFIXES = [
            str(host.socket.parent) for host in hosts.values()
        ]
        numbers = {"alder": ALDER, "birch": BIRCH}
        running = Running(
            Subscription,
            *(
                Leased(numbers[name], name, "default", address_of(host))
                for name, host in hosts.items()
            ),
        )
        monkeypatch.setattr(current_app, "send_task", running.send_task)
        running.thread.start()
        started.append(running)
        return running

    yield make
    for running in started:
        running.end()


def copy(guest: Guest, number: int = 0) -> Identity:
    """Start a copy of the guest's disk, as a worker would."""
    path = str(guest.host.images / f"{guest.name}-copy{number}.qcow2")
    destination = Destination("file", path, "qcow2")
    with connection(address_of(guest.host), policy_for(guest.host)) as host:
        started = host.start(guest.uuid, "vda", destination, CopyOptions())
    return Identity(guest.uuid, started.domain_id, "vda", path)


def end(identity: Identity, guest: Guest) -> None:
    with connection(address_of(guest.host), policy_for(guest.host)) as host:
        host.end(identity)


def hear(running: Running, guest: Guest, status: str, times: int = 1) -> None:
    """Wait until the guest's disk was said to be `status` so many times."""
    wanted = (guest.uuid, "vda", status)

    def heard() -> int:
        looks = running.asked("observe_domain")
        return [(uuid, disk, said) for _, uuid, disk, said, *_ in looks].count(wanted)

    until(lambda: heard() == times, timeout=20)


def test_ready_and_the_end_of_a_copy_are_heard_at_once(
    listen: Listen, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    running = listen(alder=alder)
    guest = make_guest(alder, paused=True)
    until(lambda: running.asked("observe_host"), timeout=20)

    for number in range(1, 6):
        identity = copy(guest, number)
        hear(running, guest, "ready", times=number)
        end(identity, guest)
        hear(running, guest, "canceled", times=number)

    delays = [
        sent - args[4]
        for sent, (name, args, _) in zip(running.times, running.sent, strict=True)
        if name == "observe_domain" and args[3]
    ]
    assert len(delays) == 10
    assert statistics.median(delays) < 0.05  # seconds; a fraction of one ms when idle


def test_a_guest_that_dies_tells_only_that(
    listen: Listen, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    running = listen(alder=alder)
    guest = make_guest(alder)
    until(lambda: running.asked("observe_host"), timeout=20)
    syncs = len(running.asked("sync_host"))

    guest.destroy()

    look = (ALDER, guest.uuid, "", "", 0.0, "")
    until(lambda: look in running.asked("observe_domain"), timeout=20)
    until(lambda: len(running.asked("sync_host")) > syncs, timeout=20)


def test_after_a_restart_of_the_daemon_it_listens_again(
    listen: Listen, birch: PrivateHost, make_guest: MakeGuest
) -> None:
    running = listen(birch=birch)
    guest = make_guest(birch, paused=True)
    until(lambda: running.asked("observe_host"), timeout=20)

    birch.kill()
    birch.start()
    until(lambda: len(running.asked("observe_host")) == 2, timeout=40)
    identity = copy(guest)

    hear(running, guest, "ready")
    end(identity, guest)


def test_a_frozen_host_delays_nobody(
    listen: Listen, alder: PrivateHost, birch: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, paused=True)
    birch.freeze()
    try:
        running = listen(birch=birch, alder=alder)
        until(lambda: running.asked("observe_host") == [(ALDER,)], timeout=5)
        identity = copy(guest)
        hear(running, guest, "ready")
        end(identity, guest)
        assert running.asked("observe_host") == [(ALDER,)]
    finally:
        birch.thaw()
    until(lambda: (BIRCH,) in running.asked("observe_host"), timeout=60)
