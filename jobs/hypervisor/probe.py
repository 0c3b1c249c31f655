"""Everything that a host can tell before a copy is started, in one look."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.destination import Destination, Secret
from jobs.hypervisor.errors import DomainNotFound, HostUnreachable, HypervisorError
from jobs.hypervisor.evidence import DirectoryFacts, Evidence, ImageFacts
from jobs.hypervisor.inventory import domain_facts, facts
from jobs.hypervisor.link import Link
from jobs.hypervisor.looking import FILE_POOLS, Look
from jobs.hypervisor.records import DiskFacts, DomainFacts, PoolFacts
from jobs.hypervisor.rights import qemu_user, writable
from jobs.hypervisor.uses import definitions, uses_of
from jobs.said import say


def examine(
    link: Link,
    domain_uuid: str,
    disk: str,
    destination: Destination,
    *,
    transient_pools: bool = False,
) -> Evidence:
    """See Hypervisor.examine."""
    host = facts(link)
    with Look(link, transient_pools) as look:
        domain = _domain(look, domain_uuid)
        own = _disk(domain, disk)
        place = _place(look, destination)
        there = look.image(place) if place else ImageFacts(destination.location, None)
        source = look.image(own.source) if own and own.source else None
        chain = tuple(look.image(one.location) for one in own.chain) if own else ()
        snapshots, checkpoints, backup, agent = _circumstances(look, domain)
        job = _hidden_job(look, domain, disk)
        directory, pool = _directory(look, destination, own), _pool(look, destination)
        missing = tuple(_missing_secrets(look, destination))
        unknown = look.told()
        uses = uses_of(look, there, definitions(look))
        if there.kind == "file" and not uses and look.is_written_to(there):
            # While it changes it can't be told from its other names.
            look.note(
                say(
                    "Somebody is writing to %(place)s: a running domain, perhaps.",
                    place=place,
                )
            )
        return Evidence(
            host=host,
            domain=domain,
            destination=there,
            source=source,
            chain=chain,
            directory=directory,
            pool=pool,
            uses=uses,
            snapshots=snapshots,
            checkpoints=checkpoints,
            backup=backup,
            job=job,
            agent=agent,
            missing_secrets=missing,
            unknown=unknown,
            uses_unknown=look.told(),
        )


def image(link: Link, location: str, *, transient_pools: bool = False) -> ImageFacts:
    """See Hypervisor.image."""
    with Look(link, transient_pools) as look:
        return look.image(location)


# --- The domain ----------------------------------------------------------------------


def _domain(look: Look, uuid: str) -> DomainFacts | None:
    try:
        return domain_facts(look.link, uuid, look)
    except DomainNotFound:
        return None
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(say("The domain could not be read: %(error)s", error=error.text))
        return None


def _disk(domain: DomainFacts | None, target: str) -> DiskFacts | None:
    disks = domain.disks if domain else ()
    return next((disk for disk in disks if disk.target == target), None)


_HIDDEN_JOBS = {
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: "pull",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT: "commit",
}
_Circumstances = tuple[tuple[str, ...], int, bool, bool]
_NOTHING: _Circumstances = ((), 0, False, False)


def _circumstances(look: Look, domain: DomainFacts | None) -> _Circumstances:
    """Snapshots, checkpoints, whether a backup runs, whether the agent is there."""
    if domain is None:
        return _NOTHING

    def read(connection: libvirt.virConnect) -> _Circumstances:
        found = connection.lookupByUUIDString(domain.uuid)
        names = tuple(snapshot.getName() for snapshot in found.listAllSnapshots())
        return names, _checkpoints(found), _has_backup(found), _has_agent(found)

    try:
        return look.ask(read, f"{domain.uuid} XML")
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(
            say("Snapshots and backups could not be read: %(error)s", error=error.text)
        )
        return _NOTHING


def _checkpoints(domain: libvirt.virDomain) -> int:
    try:
        return len(domain.listAllCheckpoints())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return 0
        raise


def _has_backup(domain: libvirt.virDomain) -> bool:
    """libvirt answers with an error where no backup runs, or where it has none."""
    try:
        return bool(domain.backupGetXMLDesc())
    except libvirt.libvirtError:
        return False


def _hidden_job(look: Look, domain: DomainFacts | None, disk: str) -> str:
    """The kind of a block job that only QEMU knows of."""
    if domain is None or domain.domain_id is None:
        return ""

    def read(connection: libvirt.virConnect) -> str:
        info = connection.lookupByUUIDString(domain.uuid).blockJobInfo(disk, 0)
        return _HIDDEN_JOBS.get(info["type"], "") if info else ""

    try:
        return look.ask(read, domain.uuid)
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(
            say("The disk's block job could not be read: %(error)s", error=error.text)
        )
        return ""


def _has_agent(domain: libvirt.virDomain) -> bool:
    live = domain_xml.parse(domain.XMLDesc())
    return any(
        target.get("name") == "org.qemu.guest_agent.0"
        and target.get("state") == "connected"
        for target in live.iterfind("./devices/channel/target")
    )


# --- The destination -----------------------------------------------------------------


def _place(look: Look, destination: Destination) -> str:
    """Where to look: of a volume that is not there yet, where its pool will make it."""
    if destination.kind != "volume" or destination.path:
        return destination.location
    pool = _pool(look, destination)
    if pool is None or not pool.path:
        return ""
    return posixpath.join(pool.path, destination.volume)


def _pool(look: Look, destination: Destination) -> PoolFacts | None:
    if destination.kind == "volume":
        pools = look.pools()
        named = next((pool for pool in pools if pool.name == destination.pool), None)
        if named is None or not named.active or named.kind not in FILE_POOLS:
            return named
        fresh = look.folder(named.path).pool  # what is free is known after a refresh
        return fresh if fresh is not None and fresh.name == named.name else named
    if destination.kind == "file":
        folder = look.folder(posixpath.dirname(destination.path))
        return None if folder.own else folder.pool
    return None


def _directory(
    look: Look, destination: Destination, disk: DiskFacts | None
) -> DirectoryFacts | None:
    if destination.kind != "file":
        return None
    folder = look.folder(posixpath.dirname(destination.path))
    if folder.pool is None:
        look.note("" if folder.exists is False else folder.why)
        return DirectoryFacts(folder.path, folder.exists)
    return DirectoryFacts(
        path=folder.path,
        exists=folder.exists,
        pool="" if folder.own else folder.pool.name,
        available=folder.pool.available,
        capacity=folder.pool.capacity,
        writable=writable(folder, qemu_user(look, disk)),
    )


# --- Secrets -------------------------------------------------------------------------

_USAGES = {
    "rbd": libvirt.VIR_SECRET_USAGE_TYPE_CEPH,
    "iscsi": libvirt.VIR_SECRET_USAGE_TYPE_ISCSI,
    "encryption": libvirt.VIR_SECRET_USAGE_TYPE_VOLUME,
}


def _missing_secrets(look: Look, destination: Destination) -> Iterator[str]:
    """Those referred to, by UUID or usage, that the host does not have."""
    wanted = list(_secrets(destination))
    if not wanted:
        return
    try:
        known = look.ask(_known_secrets, "secrets")
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(
            say("The host's secrets could not be read: %(error)s", error=error.text)
        )
        return
    for usage, secret in wanted:
        if secret.uuid and ("", secret.uuid.lower()) not in known:
            yield secret.uuid
        elif not secret.uuid and (_USAGES.get(usage), secret.usage) not in known:
            yield secret.usage


def _secrets(destination: Destination) -> Iterator[tuple[str, Secret]]:
    if destination.auth is not None:
        yield destination.protocol or "", destination.auth
    if destination.encryption is not None:
        yield "encryption", destination.encryption


def _known_secrets(connection: libvirt.virConnect) -> set[tuple[object, str]]:
    found = connection.listAllSecrets()
    by_usage = {(secret.usageType(), secret.usageID()) for secret in found}
    return by_usage | {("", secret.UUIDString().lower()) for secret in found}
