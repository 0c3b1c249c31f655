"""The storage of the host in memory: images, pools, secrets, and who uses what."""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jobs.hypervisor import (
    ChainLink,
    Destination,
    DestinationExists,
    DestinationUnusable,
    DirectoryFacts,
    DomainNotFound,
    Evidence,
    HostFacts,
    ImageFacts,
    PoolFacts,
    Secret,
    Use,
    check,
)

if TYPE_CHECKING:
    from tests.fakes import FakeDisk, FakeDomain

MIB = 1024 * 1024


@dataclass(kw_only=True)
class FakeStorage(ABC):
    """What a host has besides domains. A path is there if it is in `files`.

    `images` describes files that are not ordinary (`put_image`), `directories` those
    that are; every other one exists if a file or pool is in it. `told` are fields of
    Evidence that the next answers have instead of what would follow from the rest.
    """

    pools: tuple[PoolFacts, ...] = ()
    files: set[str] = field(default_factory=set)
    images: dict[str, ImageFacts] = field(default_factory=dict)
    directories: dict[str, DirectoryFacts] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    told: dict[str, Any] = field(default_factory=dict)
    domains: dict[str, FakeDomain] = field(default_factory=dict)

    # --- What a test tells the host to do ------------------------------------------

    def put_image(self, location: str, **facts: Any) -> ImageFacts:
        """A file that nobody made by a copy: qcow2 of 64 MiB unless told otherwise."""
        self.files.add(location)
        self.images[location] = replace(_ordinary(location), **facts)
        return self.images[location]

    def add_pool(self, name: str, path: str, **facts: Any) -> PoolFacts:
        """An active directory pool with 100 GiB free of 200, unless told otherwise."""
        free = 100 * 1024 * MIB
        pool = PoolFacts(f"pool-{name}", name, "dir", True, path, 2 * free, free, free)
        pool = replace(pool, **facts)
        self.pools = (*self.pools, pool)
        return pool

    def tell(self, **evidence: Any) -> None:
        """Let `examine` answer with these fields of Evidence."""
        self.told.update(evidence)

    # --- Hypervisor ----------------------------------------------------------------

    def examine(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        *,
        transient_pools: bool = False,
    ) -> Evidence:
        self._begin("examine")
        domain = self.domains.get(domain_uuid)
        own = domain.disks.get(disk) if domain else None
        there = self._there(destination)
        found = Evidence(
            host=self.facts(),
            domain=self._domain_facts(domain) if domain else None,
            destination=there,
            source=self._image(own.source) if own else None,
            chain=tuple(self._image(link.location) for link in own.chain)
            if own
            else (),
            directory=self._directory(destination),
            pool=self._pool_of(destination),
            uses=tuple(self._uses(there)),
            snapshots=domain.snapshots if domain else (),
            checkpoints=domain.checkpoints if domain else 0,
            backup=domain.backup if domain else False,
            agent=domain is not None and domain.file_systems is not None,
            missing_secrets=tuple(self._missing_secrets(destination)),
            unknown=_network_unknown(destination),
        )
        return replace(found, **self.told)

    def image(self, location: str, *, transient_pools: bool = False) -> ImageFacts:
        self._begin("image")
        return self._image(location)

    def create_volume(
        self, destination: Destination, capacity: int, backing: ChainLink | None = None
    ) -> str:
        check(destination)
        self._begin("create_volume")
        pool = next((one for one in self.pools if one.name == destination.pool), None)
        if pool is None or not pool.active:
            raise DestinationUnusable(code=49 if pool is None else 55)
        if any(self._missing_secrets(destination)):
            raise DestinationUnusable(code=66)
        path = posixpath.join(pool.path, destination.volume)
        if path in self.files:
            raise DestinationExists(code=90)
        self.put_image(
            path,
            format=destination.format,
            capacity=capacity,
            allocation=0,
            backing=backing.location if backing else "",
            backing_format=backing.format if backing else "",
            encrypted=destination.encryption is not None,
        )
        self._finish("create_volume")
        return path

    def delete_image(
        self, location: str, *, kind: str, transient_pools: bool = False
    ) -> None:
        self._begin("delete_image")
        found = self._image(location)
        if not found.exists or found.kind == "dir":
            raise DestinationUnusable(code=50)
        if next(self._uses(found), None):
            raise DestinationUnusable("A domain uses it.")
        self.files.discard(location)
        self.images.pop(location, None)
        self._finish("delete_image")

    # --- Within --------------------------------------------------------------------

    @abstractmethod
    def _begin(self, verb: str, uuid: str = "") -> None: ...

    @abstractmethod
    def _finish(self, verb: str) -> None: ...

    @abstractmethod
    def facts(self) -> HostFacts: ...

    @abstractmethod
    def _domain_facts(self, domain: FakeDomain) -> Any: ...

    def _there(self, destination: Destination) -> ImageFacts:
        if destination.kind == "network":
            return ImageFacts(destination.location, None, "network")
        pool = self._pool_of(destination)
        if destination.kind == "volume" and not destination.path:
            if pool is None:
                return ImageFacts(destination.location, None)
            return self._image(posixpath.join(pool.path, destination.volume))
        return self._image(destination.location)

    def _image(self, location: str) -> ImageFacts:
        if location not in self.files:
            return ImageFacts(location, False)
        return self.images.get(location, _ordinary(location))

    def _directory(self, destination: Destination) -> DirectoryFacts | None:
        if destination.kind != "file":
            return None
        path = posixpath.dirname(destination.path)
        if path in self.directories:
            return self.directories[path]
        pool = self._pool_of(destination)
        holds = any(posixpath.dirname(file) == path for file in self.files)
        if pool is None and not holds:
            return DirectoryFacts(path, False)
        free = pool.available if pool else 100 * 1024 * MIB
        total = pool.capacity if pool else 200 * 1024 * MIB
        return DirectoryFacts(path, True, pool.name if pool else "", free, total, True)

    def _pool_of(self, destination: Destination) -> PoolFacts | None:
        for pool in self.pools:
            covers = pool.path == posixpath.dirname(destination.path)
            if pool.name == destination.pool or (
                destination.kind == "file" and pool.active and covers
            ):
                return pool
        return None

    def _missing_secrets(self, destination: Destination) -> Iterator[str]:
        for secret in (destination.auth, destination.encryption):
            if isinstance(secret, Secret):
                name = secret.uuid or secret.usage
                if name not in self.secrets:
                    yield name

    def _uses(self, image: ImageFacts) -> Iterator[Use]:
        for domain in self.domains.values():
            for disk in domain.disks.values():
                for how, location in _places(disk, domain):
                    mark = self._image(location).fingerprint
                    same_file = mark and mark == image.fingerprint
                    if location == image.location or same_file:
                        yield Use(
                            domain.uuid,
                            domain.name,
                            disk.target,
                            how,
                            location,
                            domain.domain_id is not None,
                            mark,
                        )


def require_domain(domains: dict[str, FakeDomain], uuid: str) -> FakeDomain:
    """The domain. Raises DomainNotFound."""
    if uuid not in domains:
        raise DomainNotFound(code=42)
    return domains[uuid]


def _ordinary(location: str) -> ImageFacts:
    return ImageFacts(
        location,
        True,
        kind="file",
        format="qcow2",
        capacity=64 * MIB,
        allocation=8 * MIB,
        fingerprint=f"file {location}",
    )


def _places(disk: FakeDisk, domain: FakeDomain) -> Iterator[tuple[str, str]]:
    if disk.source:
        yield "source", disk.source
    if domain.persistent and disk.persistent_source not in ("", disk.source):
        yield "persistent source", disk.persistent_source
    for link in disk.chain:
        yield "backing file", link.location
    if disk.copy is not None and disk.copy.destination:
        yield "mirror", disk.copy.destination


def _network_unknown(destination: Destination) -> tuple[str, ...]:
    if destination.kind != "network":
        return ()
    return ("What the server has at the destination can't be looked up.",)
