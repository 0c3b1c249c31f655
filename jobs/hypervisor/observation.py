"""One domain, looked at: state, sources, mirrors, and progress where it is wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import (
    DiskNotFound,
    DomainNotFound,
    DomainNotRunning,
    HostBusy,
)
from jobs.hypervisor.link import Link
from jobs.hypervisor.records import DiskObservation, DomainObservation, Progress

# For what the daemon knows by itself; more than the keepalive's 20 s, which says more.
DAEMON_SECONDS = 25.0
# For what it has to ask QEMU, which answers in milliseconds or, when frozen, never.
QEMU_SECONDS = 5.0

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: "nostate",
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "blocked",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_SHUTOFF: "shutoff",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "pmsuspended",
}


def observe(
    link: Link, domain_uuid: str, progress_of: Collection[str] = ()
) -> DomainObservation:
    """See Hypervisor.observe."""

    def look(connection: libvirt.virConnect) -> _Look:
        domain = connection.lookupByUUIDString(domain_uuid)
        return domain, _observe(domain)

    domain, seen = link.ask(
        DAEMON_SECONDS, look, about=f"{domain_uuid} XML", of_daemon=True
    )
    wanted = [target for target in progress_of if target in seen.disks]
    if seen.domain_id is None or not wanted:
        return seen
    try:
        return _with_progress(link, domain, seen, wanted)
    except HostBusy:
        return replace(seen, stuck=True)
    except (DomainNotFound, DomainNotRunning, DiskNotFound):
        return seen  # it stopped since; the next look says so


_Look = tuple[libvirt.virDomain, DomainObservation]


def _observe(domain: libvirt.virDomain) -> DomainObservation:
    live = domain_xml.parse(domain.XMLDesc())
    # Asked second: a guest is being shut down before its copies end.
    state, reason = domain.state()
    persistent = bool(domain.isPersistent())
    lasting = persistent_sources(domain, live) if persistent else {}
    return DomainObservation(
        uuid=domain.UUIDString(),
        name=domain.name(),
        domain_id=domain_xml.domain_id(live),
        state=state_name(state),
        unaccounted=unaccounted(state, reason),
        persistent=persistent,
        disks={
            target: replace(disk, persistent_source=lasting.get(target))
            for target, disk in disks_seen(live).items()
        },
    )


def disks_seen(definition: Element) -> dict[str, DiskObservation]:
    """The disks by target, without what another definition says of them."""
    return {
        target: DiskObservation(
            target=target,
            source=domain_xml.source(disk),
            persistent_source=None,
            mirror=domain_xml.mirror(disk),
            format=domain_xml.format_of(disk),
            xml=domain_xml.text(disk),
        )
        for target, disk in domain_xml.disks(definition).items()
    }


def _with_progress(
    link: Link, domain: libvirt.virDomain, seen: DomainObservation, wanted: list[str]
) -> DomainObservation:
    def ask(_: libvirt.virConnect) -> dict[str, Progress | None]:
        return {target: progress_of_disk(domain, target) for target in wanted}

    progress = link.ask(QEMU_SECONDS, ask, about=seen.uuid)
    disks = {
        target: replace(disk, progress=progress.get(target))
        for target, disk in seen.disks.items()
    }
    return replace(seen, disks=disks)


def progress_of_disk(domain: libvirt.virDomain, target: str) -> Progress | None:
    """None for an empty answer, which says "no job" and neither success nor failure."""
    info = domain.blockJobInfo(
        target, libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES
    )
    return Progress(info["cur"], info["end"], info["bandwidth"]) if info else None


def persistent_sources(domain: libvirt.virDomain, live: Element) -> dict[str, str]:
    """Source by target in the persistent definition; a domain that is off shows it
    as its only one."""
    lasting = live
    if domain_xml.domain_id(live) is not None:
        lasting = domain_xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    disks = domain_xml.disks(lasting)
    return {target: domain_xml.source(disk) for target, disk in disks.items()}


def unaccounted(state: int, reason: int) -> bool:
    """See DomainObservation."""
    unknown = libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN
    return (state, reason) == (libvirt.VIR_DOMAIN_SHUTOFF, unknown)


def state_name(state: int) -> str:
    """virDomainState as a word; a state that is newer than we are is "nostate"."""
    return _STATES.get(state, "nostate")
