"""One host, as the engine sees it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from jobs.hypervisor import agent, blockcopy, making, probe, removing
from jobs.hypervisor.destination import Destination
from jobs.hypervisor.errors import HypervisorError
from jobs.hypervisor.evidence import Evidence, ImageFacts
from jobs.hypervisor.inventory import facts, inventory
from jobs.hypervisor.lanes import Lend
from jobs.hypervisor.link import Link
from jobs.hypervisor.observation import observe
from jobs.hypervisor.records import (
    ChainLink,
    CopyOptions,
    DomainObservation,
    HostFacts,
    Identity,
    Inventory,
    Progress,
    Started,
)
from jobs.hypervisor.repair import repair_persistent
from jobs.hypervisor.soundness import check_destination
from jobs.hypervisor.sweep import observe_many, progress_many
from jobs.hypervisor.writes import writes_many


class Hypervisor(Protocol):
    """Everything that the engine asks of a host; each call may raise HypervisorError.

    Made for one thread at a time. After HostUnreachable or NoAnswer a change may have
    happened or may happen yet: look again, conclude nothing.
    """

    def facts(self) -> HostFacts:
        """Who the host is."""

    def inventory(self, *, transient_pools: bool = False) -> Inventory:
        """All domains, their disks, and the storage pools.

        The backing chains of domains that are off are those that pools know, or
        transient ones where no pool covers the directory.
        """

    def observe(
        self, domain_uuid: str, progress_of: Collection[str] = ()
    ) -> DomainObservation:
        """What the domain is now; progress only of the disks named.

        Raises DomainNotFound. A disk named that is gone is simply not in the answer.
        """

    def observe_many(
        self, domain_uuids: Collection[str]
    ) -> dict[str, DomainObservation | HypervisorError]:
        """What several domains are now, without progress, or why one can't be read;
        those that are gone are not in the answer.

        Persistent sources are told only of domains with a disk without a mirror.
        """

    def progress_many(
        self, wanted: Mapping[str, Collection[str]], seconds: float
    ) -> dict[str, dict[str, Progress | None]]:
        """How far the copies of these domains' disks are, by UUID and target.

        Guests that do not answer, and those whose turn does not come within `seconds`,
        are not in the answer.
        """

    def writes_many(
        self, domain_uuids: Collection[str], seconds: float
    ) -> dict[str, dict[str, int]]:
        """How many bytes these guests have written to each disk since they were
        started, by UUID and target.

        To be asked of guests that answer, and seldom: it is dear. Those whose turn
        does not come within `seconds` are not in the answer, and first the next time.
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

    def check_destination(
        self, identity: Identity, *, transient_pools: bool = False
    ) -> None:
        """Raise DestinationUnsound if the guest had better not run from there: the
        file is gone, cut off or another one, or the destination takes no writes.

        What no pool sees and no server tells passes.
        """

    def pivot(self, identity: Identity) -> None:
        """Make the guest run on the destination; waits until it does.

        Raises NotReady, PivotFailed, IdentityMismatch, NoJob, NoAnswer, …
        """

    def end(self, identity: Identity) -> None:
        """Ask for the mirror's end on the source side; does not wait for it."""

    def freeze(self, domain_uuid: str) -> int:
        """Freeze the guest's file systems by its agent; returns how many.

        AgentUnavailable, or another answer that is no: nothing is frozen. NoAnswer or
        HostUnreachable: the guest may be frozen, now or soon. Thaw it in any case.
        """

    def thaw(self, domain_uuid: str) -> int:
        """Thaw the guest's file systems; returns how many were frozen until now.

        AgentUnavailable: they may be frozen still.
        """

    def repair_persistent(self, identity: Identity, source: str) -> bool:
        """After a pivot: make the persistent definition name the destination too.

        Does so only if it still names `source` for that disk; True if it was changed.
        """

    def examine(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        *,
        transient_pools: bool = False,
    ) -> Evidence:
        """Look up everything that speaks for or against this copy, changing nothing.

        What could not be known is None and told in `unknown`; a domain that is not
        there is None. Raises HostUnreachable only. Where no storage pool covers a
        directory, a transient one may look into it with `transient_pools`.
        """

    def image(self, location: str, *, transient_pools: bool = False) -> ImageFacts:
        """What lies at one place now; `exists` None where that can't be known."""

    def create_volume(
        self, destination: Destination, capacity: int, backing: ChainLink | None = None
    ) -> str:
        """Create a volume destination, thin, of exactly `capacity` bytes virtual size.

        Returns its path: a file in a directory or file system pool, a device in a
        logical or disk pool. Raises DestinationExists if the name is taken, and
        DestinationUnusable; nothing is left behind then. After HostUnreachable or
        NoAnswer it may have been created, or be created yet.
        """

    def delete_image(
        self, location: str, *, kind: str, transient_pools: bool = False
    ) -> None:
        """Remove one file or volume for good, unless a domain of this host names it.

        `kind` is "file", "block" or "volume". Raises DestinationUnusable with the
        reason: not there, not a file, in use, or not known whether it is.
        """


class LibvirtHypervisor:
    """A Hypervisor over one libvirt connection; the work is in the modules named."""

    def __init__(self, link: Link, lend: Lend) -> None:
        self._link = link
        self._lend = lend

    def facts(self) -> HostFacts:
        return facts(self._link)

    def inventory(self, *, transient_pools: bool = False) -> Inventory:
        return inventory(self._link, transient_pools=transient_pools)

    def observe(
        self, domain_uuid: str, progress_of: Collection[str] = ()
    ) -> DomainObservation:
        return observe(self._link, domain_uuid, progress_of)

    def observe_many(
        self, domain_uuids: Collection[str]
    ) -> dict[str, DomainObservation | HypervisorError]:
        return observe_many(self._link, self._lend, domain_uuids)

    def progress_many(
        self, wanted: Mapping[str, Collection[str]], seconds: float
    ) -> dict[str, dict[str, Progress | None]]:
        return progress_many(self._link, self._lend, wanted, seconds)

    def writes_many(
        self, domain_uuids: Collection[str], seconds: float
    ) -> dict[str, dict[str, int]]:
        return writes_many(self._link, domain_uuids, seconds)

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

    def check_destination(
        self, identity: Identity, *, transient_pools: bool = False
    ) -> None:
        check_destination(self._link, identity, transient_pools=transient_pools)

    def pivot(self, identity: Identity) -> None:
        blockcopy.pivot(self._link, identity)

    def end(self, identity: Identity) -> None:
        blockcopy.end(self._link, identity)

    def freeze(self, domain_uuid: str) -> int:
        return agent.freeze(self._link, domain_uuid)

    def thaw(self, domain_uuid: str) -> int:
        return agent.thaw(self._link, domain_uuid)

    def repair_persistent(self, identity: Identity, source: str) -> bool:
        return repair_persistent(self._link, identity, source)

    def examine(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        *,
        transient_pools: bool = False,
    ) -> Evidence:
        return probe.examine(
            self._link, domain_uuid, disk, destination, transient_pools=transient_pools
        )

    def image(self, location: str, *, transient_pools: bool = False) -> ImageFacts:
        return probe.image(self._link, location, transient_pools=transient_pools)

    def create_volume(
        self, destination: Destination, capacity: int, backing: ChainLink | None = None
    ) -> str:
        return making.create_volume(self._link, destination, capacity, backing)

    def delete_image(
        self, location: str, *, kind: str, transient_pools: bool = False
    ) -> None:
        removing.delete_image(
            self._link, location, kind=kind, transient_pools=transient_pools
        )
