"""A host's storage pools."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import HostUnreachable, HypervisorError
from jobs.hypervisor.link import Link
from jobs.hypervisor.records import PoolFacts
from jobs.hypervisor.transient import is_own

LIST_SECONDS = 25.0
# A pool on a network file system that is away can hang.
POOL_SECONDS = 5.0
# Kinds of pools that lie on a server.
NETWORK_POOLS = frozenset({"netfs", "rbd", "gluster", "iscsi", "iscsi-direct"})
# Names of a server that mean another one on every host.
_THIS_HOST = frozenset({"", "localhost", "127.0.0.1", "::1"})


def pools(link: Link) -> tuple[PoolFacts, ...]:
    """All pools that answer; none where the host has no storage driver."""
    try:
        uuids = link.ask(LIST_SECONDS, _uuids, about="pools")
    except HostUnreachable:
        raise
    except HypervisorError:
        return ()
    found = (_pool(link, uuid) for uuid in uuids)
    return tuple(pool for pool in found if pool is not None)


def _uuids(connection: libvirt.virConnect) -> list[str]:
    """Of all pools but the transient ones of looks."""
    return [
        pool.UUIDString()
        for pool in connection.listAllStoragePools()
        if not is_own(pool.name())
    ]


def _pool(link: Link, uuid: str) -> PoolFacts | None:
    """One pool, or None if it went away or does not answer."""
    try:
        return link.ask(POOL_SECONDS, lambda c: _read(c, uuid), about=f"pool {uuid}")
    except HostUnreachable:
        raise
    except HypervisorError:
        return None


def _read(connection: libvirt.virConnect, uuid: str) -> PoolFacts:
    pool = connection.storagePoolLookupByUUIDString(uuid)
    if pool.isActive():
        _refresh(pool)
    return pool_facts(pool)


def pool_facts(pool: libvirt.virStoragePool) -> PoolFacts:
    """What libvirt knows of the pool at the moment."""
    active = bool(pool.isActive())
    _, capacity, allocation, available = pool.info()
    description = domain_xml.parse(pool.XMLDesc())
    return PoolFacts(
        uuid=pool.UUIDString(),
        name=pool.name(),
        kind=description.get("type", ""),
        active=active,
        path=description.findtext("./target/path", ""),
        capacity=capacity,
        allocation=allocation,
        available=available,
        source=_source(description),
    )


def _source(description: Element) -> str:
    """Which storage of the network the pool is, from its own definition."""
    source = description.find("./source")
    if source is None or description.get("type") not in NETWORK_POOLS:
        return ""
    servers = sorted(host.get("name", "") for host in source.iterfind("host"))
    named = [source.findtext("name", ""), *_attributes(source)]
    if not servers or not set(servers).isdisjoint(_THIS_HOST):
        return ""
    return f"{','.join(servers)}:{'/'.join(filter(None, named))}"


def _attributes(source: Element) -> list[str]:
    return [
        found.get("path", "").rstrip("/")
        for name in ("device", "dir")
        for found in source.iterfind(name)
    ]


def _refresh(pool: libvirt.virStoragePool) -> None:
    """Free space is that of the last refresh, and copies make files behind the pool's
    back. A pool that refuses (it is building a volume) tells its last numbers."""
    try:
        pool.refresh()
    except libvirt.libvirtError:
        return
