"""Events become tasks; leases are shared, renewed, taken over and given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from jobs import listener as listener_module
from jobs import live
from jobs.hypervisor import (
    Address,
    AddressPolicy,
    BlockJobEvent,
    ConnectionClosed,
    HostUnreachable,
    LifecycleEvent,
)
from jobs.leases import LEASE_SECONDS, Leased, Leases, is_alive, listeners_of
from jobs.listener import Event
from jobs.models import Host, Site
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

    [(host, uuid, disk, status, at)] = running.asked("observe_domain")
    assert (host, uuid, disk, status) == (1, UUID, "vda", "ready")
    assert at == pytest.approx(heard, abs=0.5)


@pytest.mark.parametrize("word", ["started", "stopped", "shutdown", "crashed"])
def test_the_end_of_a_run_asks_for_a_look_and_an_inventory(
    start: Start, word: str
) -> None:
    running = start(ALDER)
    until(lambda: running.asked("sync_host"))

    running.hosts.opened[0].tell(LifecycleEvent(UUID, "web", word, 0))
    until(lambda: len(running.asked("sync_host")) == 2)

    assert running.asked("observe_domain") == [(1, UUID, "", "", 0.0)]


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
    until(lambda: len(running.hosts.opened) == 2)
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
    until(lambda: len(running.hosts.opened) == 2)

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


# --- Leases in the database ----------------------------------------------------------


@pytest.fixture
def fleet(site: Site) -> list[Host]:
    return [
        Host.objects.create(name=f"host{number}", site=site, transport="local")
        for number in range(4)
    ]


def lapse(name: str) -> None:
    """Let a listener die a while ago: its leases lapsed, its heartbeat is gone."""
    Host.objects.filter(listener=name).update(
        listener_until=Now() - timedelta(seconds=1)
    )
    Leases(name, []).fall_silent()


def holders() -> list[str]:
    return list(Host.objects.order_by("pk").values_list("listener", flat=True))


@pytest.mark.usefixtures("redis")
def test_a_lone_listener_takes_the_whole_fleet(fleet: list[Host]) -> None:
    one = Leases("one", ["default"])
    one.beat()

    held = one.hold()

    assert sorted(held) == [host.pk for host in fleet]
    assert held[fleet[0].pk].site == "default"
    until_ = Host.objects.get(pk=fleet[0].pk).listener_until
    assert until_ is not None
    left = (until_ - timezone.now()).total_seconds()
    assert LEASE_SECONDS - 5 < left <= LEASE_SECONDS


@pytest.mark.usefixtures("redis")
def test_two_listeners_share_a_fleet_whoever_comes_first(fleet: list[Host]) -> None:
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    one.beat()
    assert len(one.hold()) == 4

    two.beat()
    assert two.hold() == {}  # all are held; none is taken away
    assert len(one.hold()) == 2  # it leaves those above its share
    assert len(two.hold()) == 2

    assert sorted(holders()) == ["one", "one", "two", "two"]
    assert not one.hold().keys() & two.hold().keys()


@pytest.mark.usefixtures("redis")
def test_a_dead_listeners_hosts_are_taken_over_when_its_leases_end(
    fleet: list[Host],
) -> None:
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    for leases in (one, two, one, two):
        leases.beat()
        leases.hold()
    one.fall_silent()
    assert len(two.hold()) == 2  # dead, but its leases still run

    lapse("one")

    assert len(two.hold()) == 4
    assert set(holders()) == {"two"}


@pytest.mark.usefixtures("redis")
def test_leases_that_lapsed_are_not_held_twice(fleet: list[Host]) -> None:
    """A listener that slept through its lease finds that another has the host."""
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    one.beat()
    one.hold()
    lapse("one")
    two.beat()
    two.hold()

    one.beat()
    assert one.hold() == {}


@pytest.mark.usefixtures("redis")
def test_what_is_given_back_is_free_at_once(fleet: list[Host]) -> None:
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    one.beat()
    one.hold()

    one.fall_silent()
    one.give_back()

    two.beat()
    assert len(two.hold()) == 4


@pytest.mark.usefixtures("redis")
def test_hosts_that_are_disabled_or_elsewhere_are_left(fleet: list[Host]) -> None:
    far = Site.objects.create(name="far")
    one = Leases("one", ["default"])
    one.hold()

    Host.objects.filter(pk=fleet[0].pk).update(enabled=False)
    Host.objects.filter(pk=fleet[1].pk).update(site=far)

    assert sorted(one.hold()) == [fleet[2].pk, fleet[3].pk]
    assert holders() == ["", "", "one", "one"]


@pytest.mark.usefixtures("redis")
def test_listeners_of_other_sites_do_not_count(fleet: list[Host]) -> None:
    Leases("two", ["far"]).beat()

    assert listeners_of("default", "one") == 1
    assert len(Leases("one", ["default"]).hold()) == 4


def test_without_redis_a_listener_takes_what_is_free(
    fleet: list[Host], settings: Any
) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    live.client.cache_clear()
    one, two = Leases("one", ["default"]), Leases("two", ["default"])

    one.beat()
    assert len(one.hold()) == 4
    assert two.hold() == {}
    assert len(one.hold()) == 4
    live.client.cache_clear()


@pytest.mark.usefixtures("redis")
def test_a_restart_under_the_same_name_goes_on_at_once(fleet: list[Host]) -> None:
    Leases("one", ["default"]).hold()

    assert len(Leases("one", ["default"]).hold()) == 4


@pytest.mark.usefixtures("redis", "db")
def test_two_of_one_name_are_told_so(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Leases("one", ["default"]), Leases("one", ["default"])

    first.beat()
    second.beat()  # perhaps a restart
    assert "--name" not in caplog.text
    first.beat()

    assert "--name" in caplog.text


# --- Health ------------------------------------------------------------------------


@pytest.mark.usefixtures("redis", "db")
def test_the_check_tells_whether_the_listener_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CommandError, match="no sign for 15 seconds"):
        call_command("listen", "--check", "--name", "one")

    Leases("one", ["default"]).beat()
    call_command("listen", "--check", "--name", "one")

    assert "is well" in capsys.readouterr().out
    assert is_alive("one")
    assert live.client().ttl("blockcopy:listener:one") <= LEASE_SECONDS


@pytest.mark.usefixtures("db")
def test_the_check_fails_without_redis(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    live.client.cache_clear()
    with pytest.raises(CommandError, match="Redis does not answer"):
        call_command("listen", "--check", "--name", "one")
    live.client.cache_clear()
