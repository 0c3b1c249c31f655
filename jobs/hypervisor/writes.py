"""What guests have written, for many of them at once.

libvirt tells it in bulk and dearly: some 4 ms of each guest's QEMU. So few guests are
asked in one call, for as long as there is time, in turn.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import libvirt

from jobs.hypervisor.errors import HostBusy
from jobs.hypervisor.link import Link

# Guests asked in one call, and how long it may take.
AT_ONCE = 8
CALL_SECONDS = 1.0
REMEMBERED = 4096

# When a guest was last asked (monotonic seconds).
_asked: dict[str, float] = {}


def writes_many(
    link: Link, uuids: Collection[str], seconds: float
) -> dict[str, dict[str, int]]:
    """See Hypervisor.writes_many."""
    deadline = time.monotonic() + seconds
    found: dict[str, dict[str, int]] = {}
    left = sorted(uuids, key=lambda uuid: _asked.get(uuid, 0.0))
    while left and time.monotonic() < deadline:
        part, left = left[:AT_ONCE], left[AT_ONCE:]
        _note(part)
        try:
            found |= _ask(link, [uuid for uuid in part if not link.waits_for(uuid)])
        except HostBusy:  # one of them stopped answering since; the next look says so
            break
    return found


def _note(uuids: Collection[str]) -> None:
    if len(_asked) > REMEMBERED:
        _asked.clear()
    _asked.update(dict.fromkeys(uuids, time.monotonic()))


def _ask(link: Link, uuids: list[str]) -> dict[str, dict[str, int]]:
    def ask(connection: libvirt.virConnect) -> dict[str, dict[str, int]]:
        domains = [
            domain
            for domain in connection.listAllDomains()
            if domain.UUIDString() in uuids
        ]
        if not domains:
            return {}  # an empty list would be all that the host has
        stats = connection.domainListGetStats(
            domains,
            libvirt.VIR_DOMAIN_STATS_BLOCK,
            libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        )
        return {domain.UUIDString(): _written(told) for domain, told in stats}

    return link.ask(CALL_SECONDS, ask, about="what guests write")


def _written(stats: dict[str, Any]) -> dict[str, int]:
    """The bytes by target; a disk that QEMU tells nothing of is not in it."""
    numbers = range(stats.get("block.count", 0))
    return {
        stats[f"block.{number}.name"]: stats[f"block.{number}.wr.bytes"]
        for number in numbers
        if f"block.{number}.wr.bytes" in stats
    }
