"""A connection in somebody's hands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import libvirt

from jobs.hypervisor.deadline import left_behind, waits_for, within
from jobs.hypervisor.errors import HypervisorError
from jobs.hypervisor.opening import close_quietly, open_connection
from jobs.hypervisor.translation import translate, translated

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
        of_daemon: bool = False,
    ) -> T:
        """What `call` returns; NoAnswer after `seconds`, libvirt's errors translated.

        At most one call waits for what `about` names: a domain whose QEMU is asked, as
        a rule. What the daemon answers by itself (`of_daemon`, and all that is about
        nothing) is asked even while many guests let questions wait.
        """
        connection = self._connection or open_connection(self.uri)
        self._connection = connection
        with translated(connection):
            return within(
                seconds,
                (self.uri, about),
                lambda: call(connection),
                self._leave,
                bounded=bool(about) and not of_daemon,
            )

    def meaning(self, error: libvirt.libvirtError) -> HypervisorError:
        """Our error for one of libvirt's that was met on this connection."""
        return translate(error, self._connection)

    def waits_for(self, name: str) -> bool:
        """Whether an earlier question about a domain has not been answered yet."""
        return waits_for(self.uri, name)

    def left_behind(self) -> int:
        """How many questions to this host have not been answered yet."""
        return left_behind(self.uri)

    def take(self) -> libvirt.virConnect | None:
        """The connection, if there is one, out of this link."""
        connection, self._connection = self._connection, None
        return connection

    def _leave(self, future: Future[T]) -> None:
        connection = self.take()
        if connection is not None:
            future.add_done_callback(lambda _: close_quietly(connection))
