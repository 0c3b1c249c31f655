"""Opening and closing one connection, neither of which libvirt bounds."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from weakref import WeakSet

import libvirt

from jobs.hypervisor.deadline import BRIEF_SECONDS, patience, within
from jobs.hypervisor.domains import forget
from jobs.hypervisor.errors import HostUnreachable, NoAnswer
from jobs.hypervisor.eventloop import start_event_loop
from jobs.hypervisor.translation import is_alive, translate_open

OPEN_SECONDS = 10.0
# A peer that went silent is noticed after interval * (count + 1) = 20 s.
KEEPALIVE_INTERVAL = 5
KEEPALIVE_COUNT = 3

_opening: dict[str, threading.Lock] = defaultdict(threading.Lock)
_opened: WeakSet[libvirt.virConnect] = WeakSet()
# Opened after nobody waited any more, for the next who asks; at most one for each host.
_late: dict[str, libvirt.virConnect] = {}
_late_lock = threading.Lock()


def open_connection(address_uri: str) -> libvirt.virConnect:
    """A new connection, or HostUnreachable after OPEN_SECONDS.

    One opener at a time for each host: a host that hangs holds one thread, and while
    it does the others are refused at once. While many hosts hang nobody waits for
    longer than a moment; what opens later is there for the next who asks.
    """
    start_event_loop()
    late = _take_late(address_uri)
    if late is not None and is_alive(late):
        return late
    try:
        with _alone(address_uri):
            return within(
                OPEN_SECONDS,
                (address_uri, "open"),
                lambda: _open(address_uri),
                lambda future: _keep_when_open(address_uri, future),
                bounded=False,
            )
    except libvirt.libvirtError as error:
        raise translate_open(error) from error
    except NoAnswer as silence:
        raise HostUnreachable(silence.text) from silence


def _open(address_uri: str) -> libvirt.virConnect:
    """No aliases from libvirt.conf, and no credentials that someone would have to
    type: what needs a password fails instead of waiting for it."""
    opened = libvirt.openAuth(
        address_uri, [[], None, None], libvirt.VIR_CONNECT_NO_ALIASES
    )
    opened.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)
    _opened.add(opened)
    return opened


@contextmanager
def _alone(address_uri: str) -> Iterator[None]:
    """One opener at a time; who waits for the one before is patient or goes away."""
    lock = _opening[address_uri]
    if not lock.acquire(timeout=min(BRIEF_SECONDS, OPEN_SECONDS)):
        with patience() as granted:
            if not granted or not lock.acquire(timeout=OPEN_SECONDS):
                raise NoAnswer("An earlier request has not been answered yet.")
    try:
        yield
    finally:
        lock.release()


def _keep_when_open(address_uri: str, future: Future[libvirt.virConnect]) -> None:
    def keep(settled: Future[libvirt.virConnect]) -> None:
        if settled.exception() is not None:
            return
        with _late_lock:
            before = _late.pop(address_uri, None)
            _late[address_uri] = settled.result()
        if before is not None:
            close_behind(before)

    future.add_done_callback(keep)


def _take_late(address_uri: str) -> libvirt.virConnect | None:
    with _late_lock:
        return _late.pop(address_uri, None)


def close_late() -> list[threading.Thread]:
    """Close what opened too late and nobody has taken, without waiting."""
    with _late_lock:
        left = list(_late.values())
        _late.clear()
    return [close_behind(connection) for connection in left]


def close_quietly(connection: libvirt.virConnect) -> None:
    """Close; an error only says that it was broken already."""
    forget(connection)
    try:
        connection.close()
    except libvirt.libvirtError:
        return


def close_behind(connection: libvirt.virConnect) -> threading.Thread:
    """Close without waiting: a frozen daemon lets even that wait for its keepalive."""
    thread = threading.Thread(
        target=close_quietly, args=(connection,), name="libvirt close", daemon=True
    )
    thread.start()
    return thread


def _disown() -> None:
    """In a forked child: never touch the parent's sockets, not even by closing them
    when the interpreter ends."""
    for connection in list(_opened):
        connection._o = None


os.register_at_fork(after_in_child=_disown)
