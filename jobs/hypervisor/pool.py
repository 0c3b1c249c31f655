"""Connections to hosts, kept between uses: one user at a time, never across fork."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import libvirt

from jobs.hypervisor.address import Address, AddressPolicy, uri
from jobs.hypervisor.errors import HostUnreachable, NoAnswer
from jobs.hypervisor.eventloop import start_event_loop
from jobs.hypervisor.host import Hypervisor, LibvirtHypervisor
from jobs.hypervisor.link import Link
from jobs.hypervisor.opening import (
    OPEN_SECONDS,
    close_behind,
    close_late,
    close_quietly,
    open_connection,
)
from jobs.hypervisor.translation import is_alive

IDLE_SECONDS = 300.0
# A connection that rested for longer is asked whether it still works.
TRUSTED_SECONDS = 1.0
CLOSE_SECONDS = 2.0


@dataclass
class Resting:
    """A connection that nobody uses, since `since` (monotonic seconds)."""

    connection: libvirt.virConnect
    since: float


@dataclass
class Pool:
    """The connections of this process that nobody uses at the moment, by URI."""

    resting: dict[str, list[Resting]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)
    generation: int = 0

    def check_out(self, address_uri: str) -> libvirt.virConnect:
        """A connection that works; opened if none rests. Raises HostUnreachable."""
        self.close_rested(IDLE_SECONDS)
        while (held := self._pop(address_uri)) is not None:
            if _still_works(address_uri, held):
                return held.connection
            close_behind(held.connection)
        return open_connection(address_uri)

    def check_in(
        self, address_uri: str, connection: libvirt.virConnect, generation: int
    ) -> None:
        """Keep it for the next user, unless it is dead or the pool was closed."""
        if not is_alive(connection):
            close_quietly(connection)  # at once: there is nobody to talk to
            return
        if generation != self.generation:
            close_behind(connection)
            return
        with self.lock:
            self.resting[address_uri].append(Resting(connection, time.monotonic()))

    def close_rested(self, seconds: float) -> list[threading.Thread]:
        """Close what has rested for longer than `seconds`, without waiting."""
        oldest = time.monotonic() - seconds
        old: list[Resting] = []
        with self.lock:
            for held in self.resting.values():
                old += [item for item in held if item.since < oldest]
                held[:] = [item for item in held if item.since >= oldest]
        return [close_behind(item.connection) for item in old]

    def _pop(self, address_uri: str) -> Resting | None:
        with self.lock:
            held = self.resting[address_uri]
            return held.pop() if held else None


_pool = Pool()


@contextmanager
def connection(address: Address, policy: AddressPolicy) -> Iterator[Hypervisor]:
    """A host to talk to, on a connection that no other thread uses meanwhile.

    Raises AddressError, or HostUnreachable within OPEN_SECONDS. In a fork of a process
    that has used libvirt it raises RuntimeError.
    """
    start_event_loop()
    address_uri = uri(address, policy)
    with _lent(address_uri) as link:
        yield LibvirtHypervisor(link, partial(_lent, address_uri))


@contextmanager
def _lent(address_uri: str) -> Iterator[Link]:
    generation = _pool.generation
    link = Link(address_uri, _pool.check_out(address_uri))
    try:
        yield link
    finally:
        used = link.take()
        if used is not None:
            _pool.check_in(address_uri, used, generation)


def close_all() -> None:
    """Close every resting connection, and those in use when they are given back."""
    _pool.generation += 1
    deadline = time.monotonic() + CLOSE_SECONDS
    for thread in [*_pool.close_rested(-1.0), *close_late()]:
        thread.join(max(0.0, deadline - time.monotonic()))


def _still_works(address_uri: str, held: Resting) -> bool:
    """After a daemon's restart `isAlive` can say 1 although the next call fails."""
    if not is_alive(held.connection):
        return False
    if time.monotonic() - held.since < TRUSTED_SECONDS:
        return True
    link = Link(address_uri, held.connection)
    try:
        link.ask(OPEN_SECONDS, lambda asked: asked.getLibVersion())
    except NoAnswer as silence:
        raise HostUnreachable(silence.text) from silence
    except HostUnreachable:
        return False
    return True
