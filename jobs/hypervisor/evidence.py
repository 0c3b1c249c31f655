"""What a host says before a copy is started: the evidence that preflight judges.

Plain frozen records. None is "could not be known"; `unknown` says why, in sentences.
Sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.hypervisor.records import DomainFacts, HostFacts, PoolFacts


@dataclass(frozen=True)
class ImageFacts:
    """What lies at a place, as a storage pool's volume (or a server) describes it.

    `exists` is None where nothing could look there. `kind` is "file", "block", "dir" or
    "network". `capacity` is the virtual size, `allocation` what is used of the storage,
    `backing` the location of the backing file, "" for none. `fingerprint` is the
    same for two names of one file (time stamps to the nanosecond, and sizes), "" where
    it is not known. Two files have the same only if nobody wrote to either since both
    were made in the same few milliseconds.
    """

    location: str
    exists: bool | None
    kind: str = ""
    format: str = ""
    capacity: int | None = None
    allocation: int | None = None
    backing: str = ""
    backing_format: str = ""
    encrypted: bool = False
    fingerprint: str = ""


@dataclass(frozen=True)
class DirectoryFacts:
    """The directory of a file destination.

    `pool` is the name of the storage pool that told, "" when it was a transient one
    or none. `available` counts what the file system keeps for root, since libvirt's
    pools do. `writable` judges by owner and mode, for the user that QEMU runs as where
    that is known.
    """

    path: str
    exists: bool | None
    pool: str = ""
    available: int | None = None
    capacity: int | None = None
    writable: bool | None = None


@dataclass(frozen=True)
class Use:
    """A disk of a domain on this host that has something to do with a location.

    `how` is "source", "persistent source", "backing file" or "mirror".
    """

    domain_uuid: str
    domain_name: str
    target: str
    how: str
    location: str
    running: bool
    fingerprint: str = ""


@dataclass(frozen=True)
class Evidence:
    """Everything that was looked up for one copy.

    `domain` is None if the host has none with that UUID. `source` and `chain` describe
    the disk's own files (top first), `destination` what is at the destination now;
    `uses` are all disks of all domains of the host, running or shut off, that use the
    destination's location or fingerprint. `pool` is the pool of a volume destination,
    or the one that covers a file destination. `snapshots` are the names of the
    domain's snapshots, `checkpoints` the number of its checkpoints. `missing_secrets`
    are the secrets referred to that the host does not have. `agent` says whether the
    guest agent is connected. `backup` says that a backup job runs, and `job` which
    block job is on the disk that no definition shows ("pull", "commit"). `unknown` says
    what could not be looked up, and `uses_unknown` why `uses` may lack something.
    """

    host: HostFacts
    domain: DomainFacts | None
    destination: ImageFacts
    source: ImageFacts | None = None
    chain: tuple[ImageFacts, ...] = ()
    directory: DirectoryFacts | None = None
    pool: PoolFacts | None = None
    uses: tuple[Use, ...] = ()
    snapshots: tuple[str, ...] = ()
    checkpoints: int = 0
    backup: bool = False
    job: str = ""
    agent: bool = False
    missing_secrets: tuple[str, ...] = ()
    unknown: tuple[str, ...] = field(default=())
    uses_unknown: tuple[str, ...] = field(default=())
