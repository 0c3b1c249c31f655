"""The listener: what libvirt tells by itself becomes "look again" at once.

One thread turns events into tasks and does nothing else: it touches no database and no
hypervisor. Another one keeps the leases. Each opening has a short-lived thread of its
own, so that one dead host delays nobody. Nothing depends on the listener for being
right: the sweeps find the same, a few seconds later.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis.exceptions import RedisError

from jobs import dispatch, heard
from jobs.hypervisor import (
    Address,
    AddressPolicy,
    BlockJobEvent,
    ConnectionClosed,
    HypervisorError,
    LifecycleEvent,
    Subscription,
)
from jobs.leases import RENEW_SECONDS, Leased, Leases
from jobs.models.host import address_policy

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0
# Many lifecycle events at once (a host boots its guests) make one inventory.
SYNC_DELAY_SECONDS = 0.5
SYNC_GAP_SECONDS = 2.0
# Without a turn of the loop for so long the listener is not well.
STUCK_SECONDS = 15.0
GOODBYE_SECONDS = 3.0
# How a mirror ended is told again for a while, should Redis have lost it.
REMIND_SECONDS = 2.0
# A guest that begins or ends a run: its jobs may be lost.
RUN_CHANGED = frozenset({"started", "stopped", "shutdown", "crashed"})

Event = BlockJobEvent | LifecycleEvent | ConnectionClosed


class Heard(Protocol):
    """What the listener needs of a subscription."""

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...


Subscribe = Callable[[Address, AddressPolicy, Callable[[Event], None]], Heard]


# --- What comes along the queue ------------------------------------------------------


@dataclass(frozen=True)
class _Held:
    """The leases as they are now; None if the database did not tell."""

    hosts: dict[int, Leased] | None


@dataclass(frozen=True)
class _Opened:
    attempt: _Attempt
    subscription: Heard


@dataclass(frozen=True)
class _NotOpened:
    attempt: _Attempt
    error: str


@dataclass(frozen=True)
class _Told:
    attempt: _Attempt
    event: Event


class _Stop:
    pass


_Record = _Held | _Opened | _NotOpened | _Told | _Stop


@dataclass(eq=False)
class _Attempt:
    """One try at a subscription, from its opening to its end."""

    watch: _Watch
    subscription: Heard | None = None

    @property
    def current(self) -> bool:
        """Whether what it says still counts: another may have followed it."""
        return self.watch.attempt is self


@dataclass(eq=False)
class _Watch:
    """One leased host at one address. Without an attempt a retry is planned."""

    host: Leased
    attempt: _Attempt | None = None
    failures: int = 0
    ended: bool = False
    sync_planned: bool = False
    synced: float = field(default=-SYNC_GAP_SECONDS)


class _Timers:
    """What is to be done later, by time.monotonic()."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        due = time.monotonic() + seconds
        heapq.heappush(self._heap, (due, next(self._numbers), act))

    def seconds_to_next(self) -> float | None:
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - time.monotonic())

    def run_due(self) -> None:
        while self._heap and self._heap[0][0] <= time.monotonic():
            heapq.heappop(self._heap)[2]()


class Listener:
    """Hears the hosts that it has leased until it is stopped."""

    def __init__(self, leases: Leases, subscribe: Subscribe = Subscription) -> None:
        self._leases = leases
        self._subscribe = subscribe
        # Its put() may be called while the same thread is in get(): signals do that.
        self._queue: SimpleQueue[_Record] = SimpleQueue()
        self._watches: dict[int, _Watch] = {}
        self._timers = _Timers()
        self._endings: dict[heard.Mirrored, heard.Ending] = {}
        self._stopping = threading.Event()
        self._turned = time.monotonic()

    def stop(self) -> None:
        """End `run` in good order; may be called from a signal handler."""
        self._stopping.set()
        self._queue.put(_Stop())

    def run(self) -> None:
        """Listen until `stop`; then close everything and give the leases back."""
        keeper = threading.Thread(target=self._keep_leases, name="leases", daemon=True)
        keeper.start()
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._stopping.set()
            keeper.join(GOODBYE_SECONDS)
            self._say_goodbye()

    def _turn(self) -> None:
        try:
            record = self._queue.get(timeout=self._timers.seconds_to_next())
        except Empty:
            pass
        else:
            self._handle(record)
        self._timers.run_due()
        self._turned = time.monotonic()

    def _handle(self, record: _Record) -> None:
        match record:
            case _Told(attempt, event):
                if attempt.current:
                    self._tell(attempt, event)
            case _Held(hosts):
                if hosts is not None:
                    self._watch_these(hosts)
            case _Opened(attempt, subscription):
                self._opened(attempt, subscription)
            case _NotOpened(attempt, error):
                self._lost(attempt, error)

    # --- Events -----------------------------------------------------------------------

    def _tell(self, attempt: _Attempt, event: Event) -> None:
        host = attempt.watch.host
        match event:
            case BlockJobEvent():
                at = time.time() - (time.monotonic() - event.received)
                if event.status in heard.EVIDENCE:
                    mirrored = heard.Mirrored(host.pk, event.domain_uuid, event.disk)
                    self._keep(mirrored, heard.Ending(event.status, at, event.reason))
                dispatch.observe_domain(
                    host.site,
                    host.pk,
                    event.domain_uuid,
                    event.disk,
                    event.status,
                    at,
                    event.reason,
                )
            case LifecycleEvent():
                if event.event in RUN_CHANGED:
                    dispatch.observe_domain(host.site, host.pk, event.domain_uuid)
                self._plan_sync(attempt.watch)
            case ConnectionClosed():
                self._lost(attempt, f"connection closed: {event.reason}")

    def _keep(self, mirrored: heard.Mirrored, ending: heard.Ending) -> None:
        """Keep it where a look finds it, and remember it for as long."""
        if not self._endings:
            self._timers.after(REMIND_SECONDS, self._remind)
        self._endings.pop(mirrored, None)
        self._endings[mirrored] = ending
        _keep({mirrored: ending})

    def _remind(self) -> None:
        oldest = time.time() - heard.KEPT_SECONDS
        self._endings = {m: e for m, e in self._endings.items() if e.at > oldest}
        if self._endings:
            _keep(self._endings, again=True)
            self._timers.after(REMIND_SECONDS, self._remind)

    def _plan_sync(self, watch: _Watch) -> None:
        if watch.sync_planned:
            return
        watch.sync_planned = True
        rest = watch.synced + SYNC_GAP_SECONDS - time.monotonic()
        self._timers.after(max(SYNC_DELAY_SECONDS, rest), lambda: self._sync(watch))

    def _sync(self, watch: _Watch) -> None:
        watch.sync_planned = False
        if not watch.ended:
            watch.synced = time.monotonic()
            dispatch.sync_host(watch.host.site, watch.host.pk)

    # --- Subscriptions ----------------------------------------------------------------

    def _watch_these(self, hosts: dict[int, Leased]) -> None:
        for pk, watch in list(self._watches.items()):
            if hosts.get(pk) != watch.host:
                self._end(self._watches.pop(pk))
            else:
                self._check(watch)
        for pk, host in hosts.items():
            if pk not in self._watches:
                self._watches[pk] = watch = _Watch(host)
                self._open(watch)

    def _check(self, watch: _Watch) -> None:
        """Should a connection have died without a word."""
        attempt = watch.attempt
        if attempt and attempt.subscription and not attempt.subscription.alive:
            self._lost(attempt, "the connection is dead")

    def _open(self, watch: _Watch) -> None:
        if watch.ended:
            return
        watch.attempt = _Attempt(watch)
        threading.Thread(
            target=self._subscribe_for,
            args=(watch.attempt,),
            name=f"subscribe {watch.host.name}",
            daemon=True,
        ).start()

    def _subscribe_for(self, attempt: _Attempt) -> None:
        """Open, in a thread of its own, for as long as that takes."""
        try:
            subscription = self._subscribe(
                attempt.watch.host.address,
                address_policy(),
                lambda event: self._queue.put(_Told(attempt, event)),
            )
        except HypervisorError as error:
            self._queue.put(_NotOpened(attempt, error.told))
        else:
            self._queue.put(_Opened(attempt, subscription))

    def _opened(self, attempt: _Attempt, subscription: Heard) -> None:
        if not attempt.current:  # it closed at once, or the host was left meanwhile
            _close(subscription)
            return
        watch = attempt.watch
        attempt.subscription, watch.failures = subscription, 0
        log.info("listening", host=watch.host.name)
        # What happened while nobody listened is not told again.
        dispatch.observe_host(watch.host.site, watch.host.pk)
        self._sync(watch)

    def _lost(self, attempt: _Attempt, error: str) -> None:
        """Give an attempt up and plan the next one, later each time."""
        if not attempt.current:
            return
        watch = attempt.watch
        self._give_up(watch)
        wait = min(FIRST_RETRY_SECONDS * 2**watch.failures, LAST_RETRY_SECONDS)
        if watch.failures == 0:
            log.warning("not listening", host=watch.host.name, error=error)
        watch.failures = min(watch.failures + 1, 10)
        self._timers.after(wait, lambda: self._open(watch))

    def _give_up(self, watch: _Watch) -> threading.Thread | None:
        attempt, watch.attempt = watch.attempt, None
        if attempt is None or attempt.subscription is None:
            return None
        return _close(attempt.subscription)

    def _end(self, watch: _Watch) -> threading.Thread | None:
        watch.ended = True
        log.info("left", host=watch.host.name)
        return self._give_up(watch)

    def _say_goodbye(self) -> None:
        closing = [self._end(watch) for watch in self._watches.values()]
        end = time.monotonic() + GOODBYE_SECONDS
        for thread in filter(None, closing):
            thread.join(max(0.0, end - time.monotonic()))

    # --- The thread that keeps the leases --------------------------------------------

    def _keep_leases(self) -> None:
        while True:
            if time.monotonic() - self._turned < STUCK_SECONDS:
                self._leases.beat()
            self._queue.put(_Held(self._leases_now()))
            if self._stopping.wait(RENEW_SECONDS):
                break
        self._give_back()

    def _leases_now(self) -> dict[int, Leased] | None:
        close_old_connections()
        try:
            return self._leases.hold()
        except DatabaseError as error:
            # Events go on meanwhile; whoever else took a host hears it as well.
            log.warning("leases not renewed", error=str(error))
            return None

    def _give_back(self) -> None:
        self._leases.fall_silent()
        try:
            self._leases.give_back()
        except DatabaseError as error:
            log.warning("leases not given back", error=str(error))


def _keep(endings: dict[heard.Mirrored, heard.Ending], *, again: bool = False) -> None:
    try:
        heard.keep(endings, again=again)
    except RedisError as error:
        log.warning("endings not kept yet", error=str(error))


def _close(subscription: Heard) -> threading.Thread:
    """Close without waiting: a frozen daemon lets even that wait."""
    thread = threading.Thread(
        target=subscription.close, name="unsubscribe", daemon=True
    )
    thread.start()
    return thread
