"""One request with all that is known of it: the inventory, and the host's own word.

What the host says now goes before what the last inventory says. Nothing is asked of
the database before a rule needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DiskFacts,
    DomainFacts,
    Evidence,
    Mirror,
)
from jobs.models import Disk, Host
from jobs.preflight.request import CopyRequest


@dataclass(frozen=True)
class Case:
    """What the rules judge. `evidence` None: only the database was asked."""

    request: CopyRequest
    evidence: Evidence | None = None

    @property
    def destination(self) -> Destination:
        return self.request.destination

    @property
    def options(self) -> CopyOptions:
        return self.request.options

    @property
    def row(self) -> Disk:
        """The disk as the last inventory knew it."""
        return self.request.disk

    @property
    def host(self) -> Host:
        return self.row.domain.host

    @property
    def guest(self) -> str:
        """The domain's name."""
        return self.row.domain.name

    @property
    def target(self) -> str:
        return self.row.target

    @property
    def domain(self) -> DomainFacts | None:
        """What the host said of the domain; None if it has none, or was not asked."""
        return self.evidence.domain if self.evidence else None

    @cached_property
    def disk(self) -> DiskFacts | None:
        """The disk, without its chain if only the inventory tells; None if there is
        none."""
        if self.evidence is None:
            return None if self.row.gone_at else _facts(self.row)
        disks = self.domain.disks if self.domain else ()
        return next((disk for disk in disks if disk.target == self.target), None)

    @cached_property
    def backing(self) -> list[str]:
        """The backing files below the source, top first."""
        if self.evidence is not None:
            return [link.location for link in self.disk.chain] if self.disk else []
        links = self.row.chain.filter(depth__gt=0).order_by("depth")
        return list(links.values_list("location", flat=True))

    @property
    def overwrites(self) -> bool:
        """Whether something that is there already is written over."""
        into_device = self.destination.kind in ("block", "network")
        return into_device or self.options.reuse_external

    @property
    def source(self) -> str:
        """Where the disk's data is now; "" for an empty drive or no disk."""
        return self.disk.source if self.disk else ""

    @property
    def capacity(self) -> int | None:
        """The disk's size in bytes as the guest sees it."""
        return self.disk.capacity if self.disk else None


def _facts(row: Disk) -> DiskFacts:
    return DiskFacts(
        target=row.target,
        bus=row.bus,
        device=row.device,
        format=row.format,
        source=row.source,
        source_kind=row.source_kind,
        persistent_source=row.persistent_source,
        read_only=row.read_only,
        shareable=row.shareable,
        capacity=row.capacity,
        allocation=row.allocation,
        physical=row.physical,
        mirror=Mirror("copy", "", row.mirror, "") if row.mirror else None,
    )
