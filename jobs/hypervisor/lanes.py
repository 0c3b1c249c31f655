"""Several connections to one host, used side by side: over a network the waiting is
what takes the time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from jobs.hypervisor.link import Link

Lend = Callable[[], AbstractContextManager[Link]]

# Connections to one host at most; libvirt has 20 workers for everybody.
LANES = 4
# So many domains are worth a connection of their own.
PER_LANE = 8


def lanes_for(domains: int) -> int:
    """How many connections so many domains are worth."""
    return min(LANES, -(-domains // PER_LANE))


def side_by_side(
    link: Link, lend: Lend, uuids: list[str], work: Callable[[Link, list[str]], None]
) -> None:
    """Deal `uuids` out to as many connections as they are worth."""
    lanes = lanes_for(len(uuids))
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
