"""Many domains of one host looked at in one go, as the periodic sweep does.

What the daemon knows by itself (state, sources, mirrors) comes first and costs one
description for each domain; progress, for which QEMU is asked, after it and within a
bound, so that guests that do not answer never hide the others. Several connections
work side by side, since over a network the waiting is what takes the time.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import (
    DomainNotFound,
    HostBusy,
    HostUnreachable,
    HypervisorError,
)
from jobs.hypervisor.link import Link
from jobs.hypervisor.observation import (
    DAEMON_SECONDS,
    disks_seen,
    progress_of_disk,
    state_name,
    unaccounted,
)
from jobs.hypervisor.records import DiskObservation, DomainObservation, Progress
from jobs.hypervisor.translation import translated

Lend = Callable[[], AbstractContextManager[Link]]

# Connections to one host at most; libvirt has 20 workers for everybody.
LANES = 4
# So many domains are worth a connection of their own.
PER_LANE = 8
# While so many questions of ours wait unanswered on one host, its guests are asked one
# after the other; from MOST_STUCK on only those that answered just now, and from
# ALL_STUCK on none.
MANY_STUCK = 12
MOST_STUCK = 17
ALL_STUCK = 18
JUST_NOW_SECONDS = 4.0
# How long one guest may take to tell its progress; at least so long, near the end of
# what there is for all.
GUEST_SECONDS = 1.0
HASTE_SECONDS = 0.3
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

    _side_by_side(link, lend, [uuid for uuid in uuids if uuid in known], look)
    return found


def progress_many(
    link: Link, lend: Lend, wanted: Mapping[str, Collection[str]], seconds: float
) -> dict[str, dict[str, Progress | None]]:
    """See Hypervisor.progress_many."""
    deadline = time.monotonic() + seconds
    found: dict[str, dict[str, Progress | None]] = {}
    stuck = link.left_behind()
    bound = MANY_STUCK
    if stuck >= MANY_STUCK:
        bound = MOST_STUCK if stuck < MOST_STUCK else ALL_STUCK
    free = [uuid for uuid in wanted if not link.waits_for(uuid)]
    if bound == ALL_STUCK:
        free = _answered_just_now(free)

    def ask(lane: Link, part: list[str]) -> None:
        left = part
        while left and lane.left_behind() < bound and time.monotonic() < deadline:
            patience = max(HASTE_SECONDS, deadline - time.monotonic())
            answers, left = _ask(lane, left, wanted, min(GUEST_SECONDS, patience))
            found.update(answers)

    lanes = LANES if bound == MANY_STUCK else 1
    _side_by_side(link, lend, sorted(free, key=_turn), ask, lanes)
    _note_answers(found)
    return found


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


def _by_uuid(connection: libvirt.virConnect) -> dict[str, libvirt.virDomain]:
    return {domain.UUIDString(): domain for domain in connection.listAllDomains()}


def _read(
    connection: libvirt.virConnect, uuids: list[str], known: Mapping[str, _Known]
) -> dict[str, DomainObservation | HypervisorError]:
    """Those that are still there when their turn comes."""
    domains = _by_uuid(connection)
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
    if known.persistent and any(disk.mirror is None for disk in disks.values()):
        # How a copy ended shows in both definitions; while it stands, in the live one.
        disks = _with_persistent(domain, live)
    return DomainObservation(
        uuid=uuid,
        name=domain.name(),
        domain_id=live.domain_id,
        state=state_name(known.state),
        unaccounted=unaccounted(known.state, known.reason),
        persistent=known.persistent,
        disks=disks,
    )


@dataclass(frozen=True)
class _Description:
    """A domain's XML, read; the domain's own definition where it does not run."""

    digest: bytes
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
    fresh = _Description(digest, domain_xml.domain_id(root), disks_seen(root))
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


# --- What QEMU knows -----------------------------------------------------------------

# When a guest last answered, and was last asked (monotonic seconds).
_answered: dict[str, float] = {}
_asked: dict[str, float] = {}


def _answered_just_now(uuids: Collection[str]) -> list[str]:
    since = time.monotonic() - JUST_NOW_SECONDS
    return [uuid for uuid in uuids if _answered.get(uuid, 0.0) > since]


def _turn(uuid: str) -> tuple[float, float, float]:
    """Those that answered last are asked first: the others may let it wait.

    Among equals those that were not asked for longest; and where even that is the same,
    chance decides, so that no order of theirs keeps one from its turn for ever.
    """
    # No secret: it only shuffles.
    return -_answered.get(uuid, 0.0), _asked.get(uuid, 0.0), random.random()  # noqa: S311


def _note_answers(found: Collection[str]) -> None:
    if len(_answered) > REMEMBERED:
        _answered.clear()
        _asked.clear()
    _answered.update(dict.fromkeys(found, time.monotonic()))


def _ask(
    lane: Link,
    uuids: list[str],
    wanted: Mapping[str, Collection[str]],
    seconds: float,
) -> tuple[dict[str, dict[str, Progress | None]], list[str]]:
    """What these guests say until one does not answer, and those not come to."""
    domains = lane.ask(DAEMON_SECONDS, _by_uuid)

    def tell(_: libvirt.virConnect, uuid: str) -> dict[str, Progress | None]:
        _asked[uuid] = time.monotonic()
        domain = domains[uuid]
        return {target: progress_of_disk(domain, target) for target in wanted[uuid]}

    there = [uuid for uuid in uuids if uuid in domains]
    return lane.ask_each(seconds, there, tell)


# --- Side by side --------------------------------------------------------------------


def _side_by_side(
    link: Link,
    lend: Lend,
    uuids: list[str],
    work: Callable[[Link, list[str]], None],
    most: int = LANES,
) -> None:
    """Deal `uuids` out to as many connections as they are worth, `most` at most."""
    lanes = min(most, -(-len(uuids) // PER_LANE))
    parts = [uuids[lane::lanes] for lane in range(lanes)]
    if not parts:
        return

    def on_another(part: list[str]) -> None:
        with lend() as lane:
            work(lane, part)

    with ThreadPoolExecutor(lanes, thread_name_prefix="sweep") as pool:
        others = [pool.submit(on_another, part) for part in parts[1:]]
        work(link, parts[0])
        for other in others:
            other.result()
