"""Opening and closing one connection, neither of which libvirt bounds."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from concurrent.futures import Future
from weakref import WeakSet

import libvirt

from jobs.hypervisor.deadline import within
from jobs.hypervisor.errors import HostUnreachable, NoAnswer
from jobs.hypervisor.eventloop import start_event_loop
from jobs.hypervisor.translation import translate_open

OPEN_SECONDS = 10.0
# A peer that went silent is noticed after interval * (count + 1) = 20 s.
KEEPALIVE_INTERVAL = 5
KEEPALIVE_COUNT = 3

_opening: dict[str, threading.Lock] = defaultdict(threading.Lock)
_opened: WeakSet[libvirt.virConnect] = WeakSet()


def open_connection(address_uri: str) -> libvirt.virConnect:
    """A new connection, or HostUnreachable after OPEN_SECONDS.

    One opener at a time for each host: a host that hangs holds one thread, and while
    it does the others are refused at once.
    """
    start_event_loop()
    try:
        with _opening[address_uri]:
            return within(
                OPEN_SECONDS,
                (address_uri, "open"),
                lambda: _open(address_uri),
                _close_when_open,
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


def _close_when_open(future: Future[libvirt.virConnect]) -> None:
    def close(settled: Future[libvirt.virConnect]) -> None:
        if settled.exception() is None:
            close_quietly(settled.result())

    future.add_done_callback(close)


def close_quietly(connection: libvirt.virConnect) -> None:
    """Close; an error only says that it was broken already."""
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
