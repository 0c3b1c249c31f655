"""What active copies will still take of the room in a pool: promised to them, as far as
the inventory and their progress tell."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from jobs import live
from jobs.models import CopyJob, Disk


@dataclass(frozen=True)
class Promise:
    """Bytes that one job will still take, at least and at most.

    At least what its disk has allocated, at most the disk's whole size, without what
    is copied already.
    """

    job: CopyJob
    least: int
    most: int


def promises(jobs: Iterable[CopyJob]) -> list[Promise]:
    """Return what each of the active `jobs` will still take; one query, and one request
    to Redis."""
    rows = list(jobs)
    if not rows:
        return []
    seen = live.progress_of(job.pk for job in rows)
    allocated = _allocations(rows)
    return [
        _promise(job, allocated.get(job.pk, 0), seen[job.pk].current)
        if job.pk in seen
        else _promise(job, allocated.get(job.pk, 0), 0)
        for job in rows
    ]


def _promise(job: CopyJob, allocated: int, done: int) -> Promise:
    return Promise(job, max(0, allocated - done), max(0, (job.capacity or 0) - done))


def _allocations(jobs: list[CopyJob]) -> dict[int, int]:
    """What each job's disk has allocated, by job, as the inventory knows it."""
    disks = Disk.objects.filter(domain__in=[job.domain_id for job in jobs])
    rows = disks.order_by().values_list("domain_id", "target", "allocation")
    known = {(domain, target): allocation for domain, target, allocation in rows}
    return {job.pk: known.get((job.domain_id, job.disk)) or 0 for job in jobs}


def goes_to(job: CopyJob, pool: str, path: str) -> bool:
    """Tell whether `job` copies into the pool called `pool` over the folder `path`."""
    wanted = job.target_destination
    if wanted.kind == "volume" and not wanted.path:
        return wanted.pool == pool
    if wanted.kind not in ("file", "volume") or not path:
        return False
    return posixpath.dirname(wanted.path) == path.rstrip("/")
