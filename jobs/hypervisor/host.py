"""One host, as the engine sees it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from jobs.hypervisor import blockcopy
from jobs.hypervisor.destination import Destination
from jobs.hypervisor.inventory import facts, inventory
from jobs.hypervisor.link import Link
from jobs.hypervisor.observation import observe
from jobs.hypervisor.records import (
    CopyOptions,
    DomainObservation,
    HostFacts,
    Identity,
    Inventory,
    Started,
)
from jobs.hypervisor.repair import repair_persistent


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


class LibvirtHypervisor:
    """A Hypervisor over one libvirt connection; the work is in the modules named."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def facts(self) -> HostFacts:
        return facts(self._link)

    def inventory(self) -> Inventory:
        return inventory(self._link)

    def observe(
        self, domain_uuid: str, progress_of: Collection[str] = ()
    ) -> DomainObservation:
        return observe(self._link, domain_uuid, progress_of)

    def start(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        options: CopyOptions,
    ) -> Started:
        return blockcopy.start(self._link, domain_uuid, disk, destination, options)

    def set_speed(self, identity: Identity, bytes_per_second: int) -> int:
        return blockcopy.set_speed(self._link, identity, bytes_per_second)

    def pivot(self, identity: Identity) -> None:
        blockcopy.pivot(self._link, identity)

    def end(self, identity: Identity) -> None:
        blockcopy.end(self._link, identity)

    def repair_persistent(self, identity: Identity, source: str) -> bool:
        return repair_persistent(self._link, identity, source)
