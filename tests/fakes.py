"""A host in memory that behaves as libvirt does; it keeps the Hypervisor protocol.

The same contract (tests/hypervisor_contract.py) runs against it and against real hosts.
What real hosts do by themselves, a test tells this one to do: `advance`, `make_ready`,
`fail_copy`, `stop`, `restart`, `vanish`, `unreachable`, `stuck`, `refuse`, …
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs.hypervisor import (
    Address,
    AddressPolicy,
    AgentUnavailable,
    ChainLink,
    CopyOptions,
    Destination,
    DestinationExists,
    DestinationUnsound,
    DestinationUnusable,
    DiskFacts,
    DiskNotFound,
    DiskObservation,
    DomainFacts,
    DomainNotRunning,
    DomainObservation,
    HostBusy,
    HostFacts,
    HostUnreachable,
    HypervisorError,
    Identity,
    IdentityMismatch,
    Inventory,
    JobActive,
    Mirror,
    NoJob,
    NotReady,
    Progress,
    Refused,
    Started,
    StillEnding,
    check_bandwidth,
    check_options,
    to_xml,
)
from tests.fake_storage import FakeStorage, require_domain

MIB = 1024 * 1024


@dataclass
class FakeCopy:
    """A block job; `ready` as in Mirror. An empty `job` is libvirt's odd moment; a job
    that is `over` only libvirt still shows."""

    destination: str
    format: str = "qcow2"
    bandwidth: int = 0
    current: int = 0
    end: int = 64 * MIB
    ready: str = ""
    job: str = "copy"
    over: bool = False


@dataclass
class FakeDisk:
    target: str
    source: str
    persistent_source: str
    format: str = "qcow2"
    capacity: int = 64 * MIB
    read_only: bool = False
    shareable: bool = False
    copy: FakeCopy | None = None
    written: int = 0  # by the guest, in bytes
    chain: tuple[ChainLink, ...] = ()


@dataclass
class FakeDomain:
    uuid: str
    name: str
    domain_id: int | None
    persistent: bool
    disks: dict[str, FakeDisk]
    state: str = "running"
    follows: bool = True  # whether a pivot rewrites the persistent definition
    snapshots: tuple[str, ...] = ()
    checkpoints: int = 0
    backup: bool = False
    file_systems: int | None = None  # those of a guest with an agent
    frozen: bool = False
    unaccounted: bool = False


@dataclass
class FakeHypervisor(FakeStorage):
    """One host. `calls` holds the verbs that were called, in order, refused or not.

    `files` are the paths that exist, `stuck` the UUIDs whose QEMU does not answer.
    """

    name: str = "alder"
    stuck: set[str] = field(default_factory=set)
    unreachable: bool = False
    calls: list[str] = field(default_factory=list)
    _last_id: int = 0
    _refusals: dict[str, HypervisorError] = field(default_factory=dict)
    _lost_answers: set[str] = field(default_factory=set)

    @contextmanager
    def connection(
        self, address: Address | None = None, policy: AddressPolicy | None = None
    ) -> Iterator[FakeHypervisor]:
        """Stands in for jobs.hypervisor.connection."""
        self._require_reachable()
        yield self

    # --- What a test tells the host to do ------------------------------------------

    def add_domain(
        self,
        name: str,
        targets: Collection[str] = ("vda",),
        *,
        running: bool = True,
        persistent: bool = True,
    ) -> str:
        """A new domain with one disk for each target; returns its UUID."""
        uuid = str(uuids.uuid5(uuids.NAMESPACE_DNS, f"{name}.{self.name}"))
        disks = {}
        for target in targets:
            path = f"/images/{name}-{target}.qcow2"
            disks[target] = FakeDisk(target, path, path)
            self.files.add(path)
        self.domains[uuid] = FakeDomain(uuid, name, None, persistent, disks, "shutoff")
        if running:
            self.boot(uuid)
        return uuid

    def boot(self, uuid: str) -> int:
        """Start the domain from its persistent sources, as a new run with a new id."""
        domain = self.domains[uuid]
        self._last_id += 1
        domain.domain_id, domain.state = self._last_id, "running"
        if domain.persistent:
            for disk in domain.disks.values():
                disk.source = disk.persistent_source
        return self._last_id

    def stop(self, uuid: str) -> None:
        """Power off: the copies are lost, and a transient domain with them."""
        domain = self.domains[uuid]
        domain.domain_id, domain.state = None, "shutoff"
        domain.frozen = False
        for disk in domain.disks.values():
            disk.copy = None
        if not domain.persistent:
            self.vanish(uuid)

    def restart(self, uuid: str) -> int:
        """Stop and boot between two looks; returns the new id."""
        self.stop(uuid)
        return self.boot(uuid)

    def vanish(self, uuid: str) -> None:
        del self.domains[uuid]

    def advance(self, uuid: str, disk: str, current: int, end: int = 0) -> None:
        """Progress, which by itself never makes a copy ready."""
        copy = self._copy(uuid, disk)
        copy.current, copy.end = current, end or copy.end

    def make_ready(self, uuid: str, disk: str) -> None:
        copy = self._copy(uuid, disk)
        copy.current, copy.ready = copy.end, "yes"

    def fail_copy(self, uuid: str, disk: str) -> None:
        """The destination dies: the job is gone, without a reason anywhere."""
        self.domains[uuid].disks[disk].copy = None

    def lose_ending(self, uuid: str, disk: str, ready: str) -> None:
        """The daemon is killed when QEMU has ended the copy, and never learns of it."""
        copy = self._copy(uuid, disk)
        copy.ready, copy.over = ready, True

    def put_copy(self, uuid: str, disk: str, copy: FakeCopy) -> None:
        """A block job that somebody else began."""
        self.domains[uuid].disks[disk].copy = copy

    def refuse(self, verb: str, error: HypervisorError) -> None:
        """Let the next call of `verb` fail with `error` and do nothing."""
        self._refusals[verb] = error

    def lose_answer(self, verb: str) -> None:
        """Let the next call of `verb` work, and its answer get lost on the way."""
        self._lost_answers.add(verb)

    # --- Hypervisor ----------------------------------------------------------------

    def facts(self) -> HostFacts:
        self._begin("facts")
        uuid = str(uuids.uuid5(uuids.NAMESPACE_DNS, self.name))
        return HostFacts(self.name, uuid, "QEMU", 9_000_000, 7_002_000)

    def inventory(self, *, transient_pools: bool = False) -> Inventory:
        self._begin("inventory")
        domains = tuple(self._domain_facts(domain) for domain in self.domains.values())
        return Inventory(self.facts(), domains, self.pools)

    def observe_many(
        self, domain_uuids: Collection[str]
    ) -> dict[str, DomainObservation | HypervisorError]:
        self._begin("observe")
        return {
            uuid: self.observe(uuid) for uuid in domain_uuids if uuid in self.domains
        }

    def progress_many(
        self, wanted: Mapping[str, Collection[str]], seconds: float
    ) -> dict[str, dict[str, Progress | None]]:
        self._begin("progress")
        return {
            uuid: {
                target: disk.progress
                for target, disk in self.observe(uuid, targets).disks.items()
                if target in targets
            }
            for uuid, targets in wanted.items()
            if uuid in self.domains and uuid not in self.stuck
        }

    def writes_many(
        self, domain_uuids: Collection[str], seconds: float
    ) -> dict[str, dict[str, int]]:
        self._begin("writes")
        return {
            uuid: {disk.target: disk.written for disk in domain.disks.values()}
            for uuid, domain in self.domains.items()
            if uuid in domain_uuids
            and uuid not in self.stuck
            and domain.domain_id is not None
        }

    def observe(
        self, domain_uuid: str, progress_of: Collection[str] = ()
    ) -> DomainObservation:
        self._begin("observe")
        domain = self._domain(domain_uuid)
        stuck = domain_uuid in self.stuck and bool(progress_of)
        asked = () if stuck or domain.domain_id is None else progress_of
        return DomainObservation(
            uuid=domain.uuid,
            name=domain.name,
            domain_id=domain.domain_id,
            state=domain.state,
            persistent=domain.persistent,
            disks={
                disk.target: _observation(disk, domain.persistent, disk.target in asked)
                for disk in domain.disks.values()
            },
            stuck=stuck,
            unaccounted=domain.unaccounted,
        )

    def start(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        options: CopyOptions,
    ) -> Started:
        check_options(options)
        xml = to_xml(destination)
        self._begin("start", domain_uuid)
        domain = self._domain(domain_uuid)
        if domain.domain_id is None:
            raise DomainNotRunning
        if disk not in domain.disks:
            raise DiskNotFound
        if domain.disks[disk].copy is not None:
            raise JobActive(code=83)
        self._claim(destination, options)
        domain.disks[disk].copy = FakeCopy(
            destination.location, destination.format, options.bandwidth
        )
        self._finish("start")
        return Started(domain.domain_id, domain.persistent, xml)

    def set_speed(self, identity: Identity, bytes_per_second: int) -> int:
        check_bandwidth(bytes_per_second)
        self._begin("set_speed", identity.domain_uuid)
        _, copy = self._same_copy(identity)
        copy.bandwidth = bytes_per_second
        self._finish("set_speed")
        return copy.bandwidth

    def check_destination(
        self, identity: Identity, *, transient_pools: bool = False
    ) -> None:
        self._begin("check destination")
        copy = self._domain(identity.domain_uuid).disks[identity.disk].copy
        if copy is None:
            raise NoJob
        if identity.destination not in self.files:
            raise DestinationUnsound

    def pivot(self, identity: Identity) -> None:
        self._begin("pivot", identity.domain_uuid)
        disk, copy = self._same_copy(identity)
        if copy.ready != "yes":
            raise NotReady(code=83)
        if self.domains[identity.domain_uuid].follows:
            disk.persistent_source = copy.destination
        disk.source, disk.format, disk.copy = copy.destination, copy.format, None
        self._finish("pivot")

    def end(self, identity: Identity) -> None:
        self._begin("end", identity.domain_uuid)
        disk, _ = self._same_copy(identity)
        disk.copy = None
        self._finish("end")

    def freeze(self, domain_uuid: str) -> int:
        self._begin("freeze")
        domain = self._agent(domain_uuid)
        if domain.frozen:
            raise Refused("The command guest-fsfreeze-freeze has been disabled", code=1)
        domain.frozen = bool(domain.file_systems)
        self._finish("freeze")
        return domain.file_systems or 0

    def thaw(self, domain_uuid: str) -> int:
        self._begin("thaw")
        domain = self._agent(domain_uuid)
        frozen, domain.frozen = domain.frozen, False
        self._finish("thaw")
        return (domain.file_systems or 0) if frozen else 0

    def repair_persistent(self, identity: Identity, source: str) -> bool:
        self._begin("repair_persistent", identity.domain_uuid)
        domain = self._domain(identity.domain_uuid)
        disk = domain.disks[identity.disk]
        if not domain.persistent:
            return False
        if (domain.domain_id, disk.source) != (
            identity.domain_id,
            identity.destination,
        ):
            raise IdentityMismatch
        if disk.persistent_source != source:
            return False
        disk.persistent_source = identity.destination
        self._finish("repair_persistent")
        return True

    # --- Within --------------------------------------------------------------------

    def _begin(self, verb: str, uuid: str = "") -> None:
        self.calls.append(verb)
        self._require_reachable()
        if verb in self._refusals:
            raise self._refusals.pop(verb)
        if uuid in self.stuck:
            raise HostBusy(code=68)

    def _finish(self, verb: str) -> None:
        if verb in self._lost_answers:
            self._lost_answers.remove(verb)
            raise HostUnreachable("The connection broke before the answer came.")

    def _require_reachable(self) -> None:
        if self.unreachable:
            raise HostUnreachable("Connection refused", code=38)

    def _domain(self, uuid: str) -> FakeDomain:
        return require_domain(self.domains, uuid)

    def _agent(self, uuid: str) -> FakeDomain:
        domain = self._domain(uuid)
        if domain.domain_id is None:
            raise DomainNotRunning
        if domain.file_systems is None:
            raise AgentUnavailable(code=86)
        return domain

    def _copy(self, uuid: str, disk: str) -> FakeCopy:
        copy = self.domains[uuid].disks[disk].copy
        if copy is None:
            raise NoJob(code=8)
        return copy

    def _same_copy(self, identity: Identity) -> tuple[FakeDisk, FakeCopy]:
        domain = self._domain(identity.domain_uuid)
        if domain.domain_id is None:
            raise DomainNotRunning
        if domain.domain_id != identity.domain_id:
            raise IdentityMismatch
        if identity.disk not in domain.disks:
            raise DiskNotFound
        copy = self._copy(identity.domain_uuid, identity.disk)
        if not copy.job:
            raise StillEnding
        if (copy.job, copy.destination) != ("copy", identity.destination):
            raise IdentityMismatch
        return domain.disks[identity.disk], copy

    def _claim(self, destination: Destination, options: CopyOptions) -> None:
        reused = options.reuse_external or destination.kind == "block"
        exists = destination.path in self.files
        if exists and not reused:
            raise DestinationExists(code=67)
        if reused and not exists:
            raise DestinationUnusable(code=38)
        self.files.add(destination.path)

    def _domain_facts(self, domain: FakeDomain) -> DomainFacts:
        answers = domain.uuid not in self.stuck
        return DomainFacts(
            uuid=domain.uuid,
            name=domain.name,
            domain_id=domain.domain_id,
            state=domain.state,
            state_reason=1,
            persistent=domain.persistent,
            disks=tuple(
                _disk_facts(
                    disk,
                    domain.persistent,
                    answers,
                    self._image(disk.source).allocation,
                )
                for disk in domain.disks.values()
            ),
        )


def _mirror(copy: FakeCopy | None) -> Mirror | None:
    if copy is None:
        return None
    named = copy.destination if copy.job else ""
    return Mirror(copy.job, copy.ready, named, copy.format)


def _observation(disk: FakeDisk, persistent: bool, asked: bool) -> DiskObservation:
    copy, told = disk.copy, None
    if copy and asked and not copy.over:
        told = Progress(copy.current, copy.end, copy.bandwidth)
    return DiskObservation(
        target=disk.target,
        source=disk.source,
        persistent_source=disk.persistent_source if persistent else None,
        mirror=_mirror(copy),
        format=disk.format,
        progress=told,
        xml=f"<disk><source file='{disk.source}'/><target dev='{disk.target}'/></disk>",
    )


def _disk_facts(
    disk: FakeDisk, persistent: bool, answers: bool, occupied: int | None
) -> DiskFacts:
    return DiskFacts(
        target=disk.target,
        bus="virtio",
        device="disk",
        format=disk.format,
        source=disk.source,
        source_kind="file",
        persistent_source=disk.persistent_source if persistent else None,
        read_only=disk.read_only,
        shareable=disk.shareable,
        capacity=disk.capacity if answers else None,
        allocation=occupied if answers else None,
        physical=occupied if answers else None,
        chain=disk.chain,
        mirror=_mirror(disk.copy),
    )
