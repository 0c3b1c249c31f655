"""What a host says, as plain frozen records; nothing here knows libvirt's objects.

Sizes are bytes, rates are bytes per second, versions are libvirt's own integers
(9.1.2 is 9001002).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class HostFacts:
    """Who the host is. `uuid` is the host's own, `hypervisor` is e.g. "QEMU"."""

    hostname: str
    uuid: str
    hypervisor: str
    libvirt_version: int
    hypervisor_version: int


@dataclass(frozen=True)
class ChainLink:
    """One backing file below a disk's source. `capacity` is the size that it shows, in
    bytes; it is no part of what makes two chains the same."""

    location: str
    kind: str
    format: str
    capacity: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Mirror:
    """A `<mirror>` in the live XML.

    `ready` is "", "yes", "pivot" or "abort". `job` and `destination` are empty for
    the few milliseconds in which libvirt shows `<mirror type='file' job=''/>`. `kind`
    is the destination's, as in DiskFacts.
    """

    job: str
    ready: str
    destination: str
    format: str
    kind: str = ""

    @property
    def is_ready(self) -> bool:
        return self.ready == "yes"


@dataclass(frozen=True)
class DiskFacts:
    """One disk of a domain as the inventory saw it.

    `source` is the live source of a running domain and the persistent one of a domain
    that is off; "" for an empty drive. `persistent_source` is None where there is no
    persistent definition, or where that definition has no such target. `allocation` is
    what the image occupies of the storage, `physical` the length of its file or device
    (of a running guest's, unless it is raw, what it occupies); the sizes are None where
    the host could not tell. `chain` is below the source, top first; where it
    is not `chain_known`, there may be more: of a domain that is off it is what storage
    pools know.
    """

    target: str
    bus: str
    device: str
    format: str
    source: str
    source_kind: str
    persistent_source: str | None
    read_only: bool
    shareable: bool
    capacity: int | None = None
    allocation: int | None = None
    physical: int | None = None
    chain: tuple[ChainLink, ...] = ()
    mirror: Mirror | None = None
    chain_known: bool = True


@dataclass(frozen=True)
class DomainFacts:
    """One domain. `domain_id` numbers this run of it; None while it is off.

    `unaccounted` as in DomainObservation.
    """

    uuid: str
    name: str
    domain_id: int | None
    state: str
    state_reason: int
    persistent: bool
    disks: tuple[DiskFacts, ...] = ()
    unaccounted: bool = False


@dataclass(frozen=True)
class PoolFacts:
    """One storage pool; the sizes of an inactive pool are the last that are known.

    `source` says which storage of the network it is ("nfs.example:/export"), by which
    two hosts' pools are told to be the same; "" for what is the host's own.
    """

    uuid: str
    name: str
    kind: str
    active: bool
    path: str
    capacity: int
    allocation: int
    available: int
    source: str = ""


@dataclass(frozen=True)
class Inventory:
    """Everything that a host has.

    `unread` holds the UUIDs of domains that exist but did not answer in time: they
    are not gone, nothing is known of them at the moment.
    """

    host: HostFacts
    domains: tuple[DomainFacts, ...] = ()
    pools: tuple[PoolFacts, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """virDomainGetBlockJobInfo. Says how far, never that a mirror is ready.

    `end` grows while the guest writes, and is 1 while it is not yet known.
    `bandwidth` 0 is unlimited.
    """

    current: int
    end: int
    bandwidth: int


@dataclass(frozen=True)
class DiskObservation:
    """A disk at one moment. `format` is the source's, as QEMU was told. `progress` is
    None where it was not asked for, where the disk has no job, and where the guest did
    not answer. `xml` is its `<disk>` element in the domain's own XML, the live one of a
    domain that runs."""

    target: str
    source: str
    persistent_source: str | None
    mirror: Mirror | None = None
    progress: Progress | None = None
    format: str = ""
    xml: str = ""


@dataclass(frozen=True)
class DomainObservation:
    """A domain at one moment; `domain_id` None means that it does not run.

    `stuck` says that its QEMU does not answer at present, so that no progress is
    known; sources and mirrors, which the daemon knows itself, are right all the same.
    `unaccounted` says that libvirt calls it off and does not know why: so it calls what
    was off when its daemon was started, and also a domain that it lost, being killed in
    a pivot, although its QEMU still runs.
    """

    uuid: str
    name: str
    domain_id: int | None
    state: str
    persistent: bool
    disks: dict[str, DiskObservation] = field(default_factory=dict)
    stuck: bool = False
    unaccounted: bool = False


@dataclass(frozen=True)
class CopyOptions:
    """Flags and typed parameters of virDomainBlockCopy; 0 is libvirt's default."""

    shallow: bool = False
    reuse_external: bool = False
    synchronous_writes: bool = False
    target_zeroed: bool = False
    bandwidth: int = 0
    granularity: int = 0
    buf_size: int = 0


@dataclass(frozen=True)
class Started:
    """What `start` did: to which run of the domain, and with which exact XML."""

    domain_id: int
    transient_job: bool
    xml: str


@dataclass(frozen=True)
class Identity:
    """What makes a copy the same copy; libvirt has no job id to offer."""

    domain_uuid: str
    domain_id: int
    disk: str
    destination: str
