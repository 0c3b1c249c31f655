"""What a host tells by itself: block jobs, lifecycle, and the connection's end.

Events make the console fast and are never needed for it to be right: they are not
repeated, and a guest that stops ends its copies without any block-job event.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import libvirt

from jobs.hypervisor.address import Address, AddressPolicy, uri
from jobs.hypervisor.deadline import within
from jobs.hypervisor.errors import HypervisorError
from jobs.hypervisor.opening import open_connection
from jobs.hypervisor.reasons import Words, register, unregister
from jobs.hypervisor.translation import is_alive, translated

# More than the keepalive's 20 s, which says more.
REGISTER_SECONDS = 25.0
CLOSE_SECONDS = 2.0

_STATUSES = {
    libvirt.VIR_DOMAIN_BLOCK_JOB_COMPLETED: "completed",
    libvirt.VIR_DOMAIN_BLOCK_JOB_FAILED: "failed",
    libvirt.VIR_DOMAIN_BLOCK_JOB_CANCELED: "canceled",
    libvirt.VIR_DOMAIN_BLOCK_JOB_READY: "ready",
}
_LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "pmsuspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}
_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "eof",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "keepalive",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "client",
}


@dataclass(frozen=True)
class BlockJobEvent:
    """A copy's change: "ready", "completed", "failed" or "canceled".

    "canceled" ends a finished copy and a cancelled one alike. `received` is
    time.monotonic() in the event loop's thread. `reason` is what QEMU itself said of
    a failure, "" where it could not be heard.
    """

    domain_uuid: str
    domain_name: str
    disk: str
    status: str
    received: float
    reason: str = ""


@dataclass(frozen=True)
class LifecycleEvent:
    """virDomainEventType as a word ("started", "stopped", …), and its detail."""

    domain_uuid: str
    domain_name: str
    event: str
    detail: int


@dataclass(frozen=True)
class ConnectionClosed:
    """No more events: "error", "eof", "keepalive" or "client"."""

    reason: str


Event = BlockJobEvent | LifecycleEvent | ConnectionClosed
Sink = Callable[[Event], None]


class Subscription:
    """A connection of its own that hands a host's events to `sink`.

    Raises AddressError or, within a bound, HostUnreachable or what else the host says
    no with. `sink` is called in the event loop's thread, for
    all hosts, and must only put the event somewhere: it must neither block nor raise
    nor talk to libvirt. What happened before, or while no subscription was there, is
    not told: look at the host after subscribing.
    """

    def __init__(self, address: Address, policy: AddressPolicy, sink: Sink) -> None:
        self._sink = sink
        self._closed = False
        self._handing_over = threading.RLock()
        self._callbacks: list[int] = []
        self._monitor_callbacks: list[int] = []
        self._words = Words()
        address_uri = self._uri = uri(address, policy)
        self._connection = open_connection(address_uri)
        try:
            with translated(self._connection):
                within(
                    REGISTER_SECONDS,
                    (address_uri, "events"),
                    self._register,
                    lambda _: None,
                )
        except HypervisorError:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether events still arrive, as far as the client library knows."""
        return not self._closed and is_alive(self._connection)

    def close(self) -> None:
        """Stop; `sink` is not called any more once this has returned."""
        with self._handing_over:
            if self._closed:
                return
            self._closed = True
        thread = threading.Thread(
            target=self._unregister, name="libvirt unsubscribe", daemon=True
        )
        thread.start()
        thread.join(CLOSE_SECONDS)

    def _register(self) -> None:
        connection = self._connection
        connection.registerCloseCallback(self._on_close, None)
        for event_id, callback in (
            (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, self._on_block_job),
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
        ):
            self._callbacks.append(
                connection.domainEventRegisterAny(None, event_id, callback, None)
            )
        self._monitor_callbacks = register(connection, self._uri, self._on_monitor)

    def _unregister(self) -> None:
        """Each for itself: on a broken connection the first ones fail."""
        steps: list[Callable[[], object]] = [
            partial(self._connection.domainEventDeregisterAny, number)
            for number in self._callbacks
        ]
        steps += [
            partial(unregister, self._connection, number)
            for number in self._monitor_callbacks
        ]
        steps += [self._connection.unregisterCloseCallback, self._connection.close]
        for step in steps:
            with contextlib.suppress(libvirt.libvirtError):
                step()

    def _hand_over(self, event: Event) -> None:
        with self._handing_over:
            if not self._closed:
                self._sink(event)

    def _on_block_job(
        self,
        _connection: libvirt.virConnect,
        domain: libvirt.virDomain,
        disk: str,
        kind: int,
        status: int,
        _opaque: object,
    ) -> None:
        received = time.monotonic()
        if kind != libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY or status not in _STATUSES:
            return
        uuid, word = domain.UUIDString(), _STATUSES[status]
        said = self._words.take(uuid, disk)
        self._hand_over(
            BlockJobEvent(
                domain_uuid=uuid,
                domain_name=domain.name(),
                disk=disk,
                status=word,
                received=received,
                reason=said if word == "failed" else "",
            )
        )

    def _on_monitor(
        self,
        _connection: libvirt.virConnect,
        domain: libvirt.virDomain,
        event: str,
        _seconds: int,
        _microseconds: int,
        details: str,
        _opaque: object,
    ) -> None:
        self._words.hear(domain.UUIDString(), event, details)

    def _on_lifecycle(
        self,
        _connection: libvirt.virConnect,
        domain: libvirt.virDomain,
        event: int,
        detail: int,
        _opaque: object,
    ) -> None:
        if event in _LIFECYCLE:
            self._hand_over(
                LifecycleEvent(
                    domain.UUIDString(), domain.name(), _LIFECYCLE[event], detail
                )
            )

    def _on_close(
        self, _connection: libvirt.virConnect, reason: int, _opaque: object
    ) -> None:
        self._hand_over(ConnectionClosed(_REASONS.get(reason, "error")))
