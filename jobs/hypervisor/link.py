"""A connection in somebody's hands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import libvirt

from jobs.hypervisor.deadline import within
from jobs.hypervisor.opening import close_quietly, open_connection
from jobs.hypervisor.translation import translated

T = TypeVar("T")


class Link:
    """One connection of our own to one host, for one thread at a time.

    A call that was not answered keeps its connection; the next call gets a new one.
    """

    def __init__(self, address_uri: str, connection: libvirt.virConnect) -> None:
        self.uri = address_uri
        self._connection: libvirt.virConnect | None = connection

    def ask(
        self,
        seconds: float,
        call: Callable[[libvirt.virConnect], T],
        *,
        about: str = "",
    ) -> T:
        """What `call` returns; NoAnswer after `seconds`, libvirt's errors translated.

        `about` is the domain whose QEMU is asked, so that at most one call waits for
        it; "" is for what the daemon answers by itself.
        """
        connection = self._connection or open_connection(self.uri)
        self._connection = connection
        with translated(connection):
            return within(
                seconds, (self.uri, about), lambda: call(connection), self._leave
            )

    def take(self) -> libvirt.virConnect | None:
        """The connection, if there is one, out of this link."""
        connection, self._connection = self._connection, None
        return connection

    def _leave(self, future: Future[T]) -> None:
        connection = self.take()
        if connection is not None:
            future.add_done_callback(lambda _: close_quietly(connection))
