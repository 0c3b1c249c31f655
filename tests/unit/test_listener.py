"""Events become tasks; leases are shared, renewed, taken over and given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from celery import current_app

from jobs import heard, live
from jobs import listener as listener_module
from jobs.hypervisor import (
    Address,
    AddressPolicy,
    BlockJobEvent,
    ConnectionClosed,
    HostUnreachable,
    LifecycleEvent,
)
from jobs.leases import Leased
from jobs.listener import Event
from tests.listening import Running, until

UUID = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"


class FakeSubscription:
    """A connection to a host that a test can let speak, die or fail."""

    def __init__(self, address: Address, sink: Callable[[Event], None]) -> None:
        self.address = address
        self.tell = sink
        self.alive = True
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


class FakeHosts:
    """What the listener subscribes to; `refuse` and `hang` are sockets' names."""

    def __init__(self) -> None:
        self.opened: list[FakeSubscription] = []
        self.tries: list[str] = []
        self.refuse: set[str] = set()
        self.hang: set[str] = set()
        self.closes_at_once = False
        self.let_go = threading.Event()

    def subscribe(
        self, address: Address, policy: AddressPolicy, sink: Callable[[Event], None]
    ) -> FakeSubscription:
        self.tries.append(address.host_name)
        if address.host_name in self.hang:
            self.let_go.wait(30)
        if address.host_name in self.refuse:
            raise HostUnreachable("Connection refused")
        subscription = FakeSubscription(address, sink)
        if self.closes_at_once:
            self.closes_at_once = False
            sink(ConnectionClosed("eof"))
        self.opened.append(subscription)
        return subscription

    def to(self, name: str) -> list[FakeSubscription]:
        return [one for one in self.opened if one.address.host_name == name]


def leased(pk: int, name: str) -> Leased:
    return Leased(pk, name, "default", Address("tls", host_name=name))


ALDER, BIRCH = leased(1, "alder"), leased(2, "birch")


class RunningOnFakes(Running):
    """A listener whose hosts are fakes."""

    def __init__(self, *hosts: Leased) -> None:
        self.hosts = FakeHosts()
        super().__init__(self.hosts.subscribe, *hosts)


Start = Callable[..., RunningOnFakes]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts listeners whose times are short, and ends them."""
    monkeypatch.setattr(listener_module, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(listener_module, "FIRST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(listener_module, "SYNC_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(listener_module, "SYNC_GAP_SECONDS", 0.1)
    monkeypatch.setattr(listener_module, "close_old_connections", lambda: None)
    started: list[RunningOnFakes] = []

    def make(
        *hosts: Leased, prepare: Callable[[RunningOnFakes], None] | None = None
    ) -> RunningOnFakes:
        running = RunningOnFakes(*hosts)
        monkeypatch.setattr(current_app, "send_task", running.send_task)
        if prepare:
            prepare(running)
        running.thread.start()
        started.append(running)
        return running

    yield make
    for running in started:
        running.hosts.let_go.set()
        running.end()


# --- Events ------------------------------------------------------------------------


def test_a_subscription_is_followed_by_a_look_at_everything(start: Start) -> None:
    running = start(ALDER)

    until(lambda: running.asked("sync_host"))

    assert running.asked("observe_host") == [(1,)]
    assert {queue for *_, queue in running.sent} == {"site.default"}


def test_a_block_job_event_asks_for_a_look_at_its_domain(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.hosts.opened)

    heard = time.time() - 1.5
    received = time.monotonic() - 1.5
    running.hosts.opened[0].tell(BlockJobEvent(UUID, "web", "vda", "ready", received))
    until(lambda: running.asked("observe_domain"))

    [(host, uuid, disk, status, at, reason)] = running.asked("observe_domain")
    assert (host, uuid, disk, status, reason) == (1, UUID, "vda", "ready", "")
    assert at == pytest.approx(heard, abs=0.5)


def test_what_qemu_said_goes_along(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.hosts.opened)

    said = BlockJobEvent(UUID, "web", "vda", "failed", time.monotonic(), "It is full")
    running.hosts.opened[0].tell(said)
    until(lambda: running.asked("observe_domain"))

    [(*_, status, _at, reason)] = running.asked("observe_domain")
    assert (status, reason) == ("failed", "It is full")


def kept_for(disk: str) -> str:
    """What Redis keeps of how the mirror on that disk ended."""
    return str(live.client().get(f"blockcopy:ended:1:{UUID}:{disk}"))


def test_how_a_mirror_ended_is_kept_though_redis_loses_it(
    start: Start, redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "REMIND_SECONDS", 0.02)
    running = start(ALDER)
    until(lambda: running.hosts.opened)
    for disk, status in (("vda", "canceled"), ("vdb", "failed"), ("vdc", "ready")):
        running.hosts.opened[0].tell(
            BlockJobEvent(UUID, "web", disk, status, time.monotonic())
        )
    until(lambda: len(running.asked("observe_domain")) == 3)

    assert "canceled" in kept_for("vda")
    assert "failed" in kept_for("vdb")
    assert "None" in kept_for("vdc"), "a look shows that"
    live.client().flushdb()
    until(lambda: "canceled" in kept_for("vda") and "failed" in kept_for("vdb"))


def test_how_a_mirror_ended_is_forgotten_after_a_while(
    start: Start, redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "REMIND_SECONDS", 0.02)
    monkeypatch.setattr(heard, "KEPT_SECONDS", 1)
    running = start(ALDER)
    until(lambda: running.hosts.opened)
    running.hosts.opened[0].tell(
        BlockJobEvent(UUID, "web", "vda", "canceled", time.monotonic())
    )
    until(lambda: "canceled" in kept_for("vda"))
    until(lambda: "None" in kept_for("vda"))
    until(lambda: not running.listener._endings)


@pytest.mark.parametrize("word", ["started", "stopped", "shutdown", "crashed"])
def test_the_end_of_a_run_asks_for_a_look_and_an_inventory(
    start: Start, word: str
) -> None:
    running = start(ALDER)
    until(lambda: running.asked("sync_host"))

    running.hosts.opened[0].tell(LifecycleEvent(UUID, "web", word, 0))
    until(lambda: len(running.asked("sync_host")) == 2)

    assert running.asked("observe_domain") == [(1, UUID, "", "", 0.0, "")]


def test_a_pause_asks_for_an_inventory_only(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.asked("sync_host"))

    running.hosts.opened[0].tell(LifecycleEvent(UUID, "web", "suspended", 0))
    until(lambda: len(running.asked("sync_host")) == 2)

    assert not running.asked("observe_domain")


def test_many_lifecycle_events_make_few_inventories(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.asked("sync_host"))

    for number in range(100):
        running.hosts.opened[0].tell(
            LifecycleEvent(f"{UUID[:-2]}{number:02}", "web", "started", 0)
        )
    until(lambda: len(running.asked("observe_domain")) == 100)
    time.sleep(0.3)

    assert len(running.asked("sync_host")) == 2


def test_an_event_is_sent_without_the_database(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database fixture: a touch of it fails, and so would the listener."""
    running = start(ALDER)
    until(lambda: running.hosts.opened)

    running.hosts.opened[0].tell(
        BlockJobEvent(UUID, "web", "vda", "completed", time.monotonic())
    )

    until(lambda: running.asked("observe_domain"))


# --- Connections -------------------------------------------------------------------


def test_a_host_that_hangs_delays_nobody(start: Start) -> None:
    running = start(
        ALDER, BIRCH, prepare=lambda running: running.hosts.hang.add("alder")
    )
    until(lambda: running.hosts.to("birch"))

    running.hosts.opened[0].tell(
        BlockJobEvent(UUID, "web", "vda", "ready", time.monotonic())
    )

    until(lambda: running.asked("observe_domain"))
    assert running.hosts.tries.count("alder") == 1
    assert not running.hosts.to("alder")


def test_a_closed_connection_is_opened_again_and_the_host_looked_at(
    start: Start,
) -> None:
    running = start(ALDER)
    until(lambda: running.hosts.opened)

    running.hosts.opened[0].tell(ConnectionClosed("eof"))
    until(lambda: len(running.hosts.opened) == 2)
    until(lambda: len(running.asked("observe_host")) == 2)

    assert running.hosts.opened[0].closed.wait(1)
    assert len(running.asked("sync_host")) == 2


def test_a_connection_that_died_without_a_word_is_noticed(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.asked("observe_host"))

    running.hosts.opened[0].alive = False

    until(lambda: len(running.hosts.opened) == 2)


def test_a_connection_that_closes_while_it_opens_is_not_kept(start: Start) -> None:
    def prepare(running: RunningOnFakes) -> None:
        running.hosts.closes_at_once = True

    running = start(ALDER, prepare=prepare)
    until(lambda: len(running.hosts.opened) == 2)

    assert running.hosts.opened[0].closed.wait(1)
    assert not running.hosts.opened[1].closed.is_set()


def test_what_an_old_connection_says_late_does_not_count(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.hosts.opened)
    running.hosts.opened[0].tell(ConnectionClosed("eof"))
    until(lambda: len(running.asked("observe_host")) == 2)

    running.hosts.opened[0].tell(ConnectionClosed("client"))
    running.hosts.opened[1].tell(
        BlockJobEvent(UUID, "web", "vda", "ready", time.monotonic())
    )
    until(lambda: running.asked("observe_domain"))

    assert not running.hosts.opened[1].closed.is_set()


def test_a_host_that_refuses_is_tried_less_and_less(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LAST_RETRY_SECONDS", 0.08)
    running = start(ALDER, prepare=lambda running: running.hosts.refuse.add("alder"))
    waits: list[float] = []
    after = running.listener._timers.after

    def noted(seconds: float, act: Callable[[], None]) -> None:
        waits.append(seconds)
        after(seconds, act)

    monkeypatch.setattr(running.listener._timers, "after", noted)

    until(lambda: len(waits) >= 5)

    assert waits[:5] in ([0.02, 0.04, 0.08, 0.08, 0.08], [0.04, *[0.08] * 4])
    running.hosts.refuse.clear()
    until(lambda: running.hosts.opened)


# --- Leases come and go ------------------------------------------------------------


def test_a_host_that_is_no_longer_leased_is_left(start: Start) -> None:
    running = start(ALDER, BIRCH)
    until(lambda: len(running.asked("observe_host")) == 2)
    [alder] = running.hosts.to("alder")

    del running.leases.held[1]

    assert alder.closed.wait(5)
    alder.tell(BlockJobEvent(UUID, "web", "vda", "ready", time.monotonic()))
    time.sleep(0.05)
    assert not running.asked("observe_domain")
    assert not running.hosts.to("birch")[0].closed.is_set()


def test_a_host_that_is_left_while_it_opens_is_closed(start: Start) -> None:
    running = start(ALDER, prepare=lambda running: running.hosts.hang.add("alder"))
    until(lambda: running.hosts.tries)
    running.leases.held.clear()
    until(lambda: not running.listener._watches)

    running.hosts.let_go.set()
    until(lambda: running.hosts.opened)

    assert running.hosts.opened[0].closed.wait(5)
    assert not running.asked("observe_host")


def test_a_host_that_moved_is_heard_at_its_new_address(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.hosts.opened)

    running.leases.held[1] = leased(1, "alder2")

    until(lambda: running.hosts.to("alder2"))
    assert running.hosts.to("alder")[0].closed.wait(5)


def test_without_the_database_the_events_go_on(start: Start) -> None:
    running = start(ALDER)
    until(lambda: running.hosts.opened)
    running.leases.broken = True
    time.sleep(0.1)

    running.hosts.opened[0].tell(
        BlockJobEvent(UUID, "web", "vda", "ready", time.monotonic())
    )

    until(lambda: running.asked("observe_domain"))
    assert not running.hosts.opened[0].closed.is_set()


def test_the_end_closes_everything_and_gives_the_leases_back(start: Start) -> None:
    running = start(ALDER, BIRCH)
    until(lambda: len(running.asked("observe_host")) == 2)

    running.listener.stop()
    running.thread.join(5)

    assert not running.thread.is_alive()
    assert all(one.closed.is_set() for one in running.hosts.opened)
    assert running.leases.given_back
    assert running.leases.beats == 0


def test_no_heartbeat_while_the_loop_is_stuck(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "STUCK_SECONDS", 0.1)
    running = start(ALDER)
    until(lambda: running.hosts.opened)
    stuck = threading.Event()
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: stuck.wait(30))

    running.hosts.opened[0].tell(
        BlockJobEvent(UUID, "web", "vda", "ready", time.monotonic())
    )
    time.sleep(0.3)
    beats = running.leases.beats
    time.sleep(0.2)

    assert running.leases.beats == beats
    stuck.set()
    until(lambda: running.leases.beats > beats)
