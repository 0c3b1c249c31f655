"""Many domains of one host looked at in one go, as the periodic sweep does.

What the daemon knows by itself (state, sources, mirrors) comes first and costs one
description for each domain; progress, for which QEMU is asked, after it and within a
bound, so that guests that do not answer never hide the others. Several connections
work side by side.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.asking import Round
from jobs.hypervisor.domains import by_uuid
from jobs.hypervisor.errors import (
    DomainNotFound,
    HostBusy,
    HostUnreachable,
    HypervisorError,
)
from jobs.hypervisor.lanes import Lend, side_by_side
from jobs.hypervisor.link import Link
from jobs.hypervisor.observation import (
    DAEMON_SECONDS,
    disks_seen,
    state_name,
    unaccounted,
)
from jobs.hypervisor.records import DiskObservation, DomainObservation, Progress
from jobs.hypervisor.translation import translated

# Descriptions remembered in this process; they change only when something happens.
REMEMBERED = 4096


@dataclass(frozen=True)
class _Known:
    """What the daemon's lists tell of a domain."""

    state: int
    reason: int
    persistent: bool


def observe_many(
    link: Link, lend: Lend, uuids: Collection[str]
) -> dict[str, DomainObservation | HypervisorError]:
    """See Hypervisor.observe_many."""
    known = link.ask(DAEMON_SECONDS, _list)
    found: dict[str, DomainObservation | HypervisorError] = {}

    def look(lane: Link, part: list[str]) -> None:
        found.update(
            lane.ask(DAEMON_SECONDS, lambda connection: _read(connection, part, known))
        )

    side_by_side(link, lend, [uuid for uuid in uuids if uuid in known], look)
    return found


def progress_many(
    link: Link, lend: Lend, wanted: Mapping[str, Collection[str]], seconds: float
) -> dict[str, dict[str, Progress | None]]:
    """See Hypervisor.progress_many."""
    return Round(link, lend, wanted, time.monotonic() + seconds).answers()


# --- What the daemon knows -----------------------------------------------------------


def _list(connection: libvirt.virConnect) -> dict[str, _Known]:
    """Every domain, in two calls."""
    lasting = {
        domain.UUIDString()
        for domain in connection.listAllDomains(
            libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
        )
    }
    stats = connection.getAllDomainStats(
        libvirt.VIR_DOMAIN_STATS_STATE, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    )
    return {
        (uuid := domain.UUIDString()): _Known(
            found.get("state.state", 0),
            found.get("state.reason", 0),
            uuid in lasting,
        )
        for domain, found in stats
    }


def _read(
    connection: libvirt.virConnect, uuids: list[str], known: Mapping[str, _Known]
) -> dict[str, DomainObservation | HypervisorError]:
    """Those that are still there when their turn comes."""
    domains = by_uuid(connection, uuids)
    found: dict[str, DomainObservation | HypervisorError] = {}
    for uuid in uuids:
        if uuid not in domains:
            continue
        try:
            with translated(connection):
                found[uuid] = _observe(domains[uuid], uuid, known[uuid])
        except (HostUnreachable, HostBusy):
            raise
        except DomainNotFound:
            continue
        except HypervisorError as error:
            found[uuid] = error
    return found


def _observe(domain: libvirt.virDomain, uuid: str, known: _Known) -> DomainObservation:
    live = _parsed(uuid, domain.XMLDesc())
    disks = live.disks
    state, reason = known.state, known.reason
    if any(disk.mirror is None for disk in disks.values()):
        # How a copy ended shows in both definitions; while it stands, in the live one.
        # And a guest is being shut down before its copies end.
        state, reason = domain.state()
        if known.persistent:
            disks = _with_persistent(domain, live)
    return DomainObservation(
        uuid=uuid,
        name=live.name,
        domain_id=live.domain_id,
        state=state_name(state),
        unaccounted=unaccounted(state, reason),
        persistent=known.persistent,
        disks=disks,
    )


@dataclass(frozen=True)
class _Description:
    """A domain's XML, read; the domain's own definition where it does not run."""

    digest: bytes
    name: str
    domain_id: int | None
    disks: dict[str, DiskObservation]


_remembered: dict[tuple[str, str], _Description] = {}


def _parsed(uuid: str, text: str, kind: str = "live") -> _Description:
    """To parse XML takes several times as long as to ask for it."""
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    known = _remembered.get((uuid, kind))
    if known is not None and known.digest == digest:
        return known
    root = domain_xml.parse(text)
    fresh = _Description(
        digest,
        root.findtext("name", ""),
        domain_xml.domain_id(root),
        disks_seen(root),
    )
    if len(_remembered) >= REMEMBERED:
        _remembered.clear()
    _remembered[uuid, kind] = fresh
    return fresh


def _with_persistent(
    domain: libvirt.virDomain, live: _Description
) -> dict[str, DiskObservation]:
    lasting = live
    if live.domain_id is not None:
        inactive = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        lasting = _parsed(domain.UUIDString(), inactive, "persistent")
    return {
        target: replace(
            disk,
            persistent_source=lasting.disks[target].source
            if target in lasting.disks
            else None,
        )
        for target, disk in live.disks.items()
    }
