"""One host, as the engine sees it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from jobs.hypervisor.destination import Destination
from jobs.hypervisor.records import (
    CopyOptions,
    DomainObservation,
    HostFacts,
    Identity,
    Inventory,
    Started,
)


class Hypervisor(Protocol):
    """Everything that the engine asks of a host; each call may raise HypervisorError.

    Made for one thread at a time. After HostUnreachable or NoAnswer a change may have
    happened or may happen yet: look again, conclude nothing.
    """

    def facts(self) -> HostFacts:
        """Who the host is."""

    def inventory(self) -> Inventory:
        """All domains, their disks, and the storage pools."""

    def observe(
        self, domain_uuid: str, progress_of: Collection[str] = ()
    ) -> DomainObservation:
        """What the domain is now; progress only of the disks named.

        Raises DomainNotFound. A disk named that is gone is simply not in the answer.
        """

    def start(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        options: CopyOptions,
    ) -> Started:
        """Start a copy; the READY event may come before this returns."""

    def set_speed(self, identity: Identity, bytes_per_second: int) -> int:
        """Limit the copy (0: no limit) and return the limit in force, in bytes/s."""

    def pivot(self, identity: Identity) -> None:
        """Make the guest run on the destination; waits until it does.

        Raises NotReady, PivotFailed, IdentityMismatch, NoJob, NoAnswer, …
        """

    def end(self, identity: Identity) -> None:
        """Ask for the mirror's end on the source side; does not wait for it."""

    def repair_persistent(self, identity: Identity, source: str) -> bool:
        """After a pivot: make the persistent definition name the destination too.

        Does so only if it still names `source` for that disk; True if it was changed.
        """
