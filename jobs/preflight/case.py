"""One request with all that is known of it: the inventory, and the host's own word.

What the host says now goes before what the last inventory says. Nothing is asked of
the database before a rule needs it.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from functools import cached_property

from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    DiskFacts,
    DomainFacts,
    Evidence,
    HostFacts,
    ImageFacts,
    Mirror,
)
from jobs.lifecycle import WhenReady
from jobs.models import Disk, Host, StoragePool
from jobs.preflight.known import Known
from jobs.preflight.request import CopyRequest

# Pools whose volumes are files, and those whose volumes are devices, which have all of
# their size from the beginning.
FILE_POOLS = ("dir", "fs", "netfs")
DEVICE_POOLS = ("logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath")


@dataclass(frozen=True)
class Case:
    """What the rules judge. `evidence` None: only the database was asked.

    Cases that are judged together share what is `known` around them.
    """

    request: CopyRequest
    evidence: Evidence | None = None
    known: Known = field(default_factory=Known, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.known.cases.append(self)

    # --- What is asked for -----------------------------------------------------------

    @property
    def destination(self) -> Destination:
        return self.request.destination

    @property
    def options(self) -> CopyOptions:
        return self.request.options

    @property
    def overwrites(self) -> bool:
        """Whether something that is there already is written over."""
        into_device = self.destination.kind in ("block", "network")
        return into_device or self.options.reuse_external

    @property
    def reuses_file(self) -> bool:
        """Whether a file is written over, which may be anybody's."""
        return self.destination.kind == "file" and self.options.reuse_external

    @property
    def may_pivot(self) -> bool:
        """Whether the guest may come to run from the copy."""
        return self.request.when_ready != WhenReady.FINISH

    # --- Who it is about -------------------------------------------------------------

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

    @cached_property
    def host_facts(self) -> HostFacts | None:
        """Which versions the host has; None before it has told."""
        if self.evidence is not None:
            return self.evidence.host
        host = self.host
        if host.libvirt_version is None or host.hypervisor_version is None:
            return None
        return HostFacts(
            hostname=host.reported_name,
            uuid=host.uuid,
            hypervisor=host.hypervisor,
            libvirt_version=host.libvirt_version,
            hypervisor_version=host.hypervisor_version,
        )

    @property
    def domain(self) -> DomainFacts | None:
        """What the host said of the domain; None if it has none, or was not asked."""
        return self.evidence.domain if self.evidence else None

    @property
    def run(self) -> int | None:
        """The domain's numeric id, which is another one in each run; None if off."""
        seen = self.domain
        return seen.domain_id if seen else self.row.domain.libvirt_id

    @cached_property
    def disk(self) -> DiskFacts | None:
        """The disk, without its chain if only the inventory tells; None if there is
        none."""
        if self.evidence is None:
            return None if self.row.gone_at else _facts(self.row)
        disks = self.domain.disks if self.domain else ()
        return next((disk for disk in disks if disk.target == self.target), None)

    @property
    def source(self) -> str:
        """Where the disk's data is now; "" for an empty drive or no disk."""
        return self.disk.source if self.disk else ""

    @property
    def capacity(self) -> int | None:
        """The disk's size in bytes as the guest sees it."""
        return self.disk.capacity if self.disk else None

    @cached_property
    def backing(self) -> list[ChainLink]:
        """The backing files below the source, top first."""
        if self.evidence is not None:
            return list(self.disk.chain) if self.disk else []
        links = self.row.chain.filter(depth__gt=0).order_by("depth")
        return [ChainLink(link.location, link.kind, link.format) for link in links]

    @property
    def images(self) -> list[ImageFacts]:
        """The disk's own files, top first, as far as somebody looked."""
        if self.evidence is None or self.evidence.source is None:
            return []
        return [self.evidence.source, *self.evidence.chain]

    # --- Where it goes ---------------------------------------------------------------

    @property
    def there(self) -> ImageFacts:
        """What is at the destination now, as far as somebody looked."""
        if self.evidence is not None:
            return self.evidence.destination
        return ImageFacts(self.destination.location, None)

    @property
    def pool_kind(self) -> str:
        """libvirt's type of the pool that the destination is in; "" for not known."""
        pool = self.evidence.pool if self.evidence else None
        return pool.kind if pool else ""

    @cached_property
    def locations(self) -> list[str]:
        """Every text by which the destination is known: a volume has a path too."""
        wanted = self.destination
        found = [wanted.location, self.there.location]
        if wanted.kind == "volume" and not wanted.path:
            pools = StoragePool.objects.filter(
                host=self.host, name=wanted.pool, gone_at=None
            ).exclude(path="")
            found += [posixpath.join(pool.path, wanted.volume) for pool in pools]
        return [text for text in dict.fromkeys(found) if text]


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
