"""How mirrors ended, as the listener heard it, kept in Redis until somebody looks.

A task tells it too. But whoever takes that task up may be killed over it, or find the
database away, and libvirt repeats no event.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from jobs import live
from jobs.models import CopyJob

KEPT_SECONDS = 300
# Events that tell how a mirror ended; "ready" and "completed" the live XML tells.
EVIDENCE = ("failed", "canceled")


@dataclass(frozen=True)
class Mirrored:
    """A disk of a domain that a mirror was on."""

    host_pk: int
    domain_uuid: str
    disk: str


@dataclass(frozen=True)
class Ending:
    """libvirt's word ("failed" or "canceled"), when it came, and QEMU's own reason.

    `at` is an epoch second.
    """

    status: str
    at: float
    reason: str = ""


def keep(endings: Mapping[Mirrored, Ending], *, again: bool = False) -> None:
    """Keep how these mirrors ended; RedisError rises.

    With `again` it was kept before, and only what Redis has lost since is written.
    """
    with live.client().pipeline(transaction=False) as pipe:
        for mirrored, ending in endings.items():
            value = json.dumps(asdict(ending))
            pipe.set(_key(mirrored), value, ex=KEPT_SECONDS, nx=again)
        pipe.execute()


def endings_of(jobs: Collection[CopyJob]) -> dict[int, Ending]:
    """Return how the last mirrors on the jobs' disks ended; RedisError rises."""
    if not jobs:
        return {}
    keys = [_key(Mirrored(job.host_id, job.domain_uuid, job.disk)) for job in jobs]
    kept = zip(jobs, live.client().mget(keys), strict=True)
    return {job.pk: Ending(**json.loads(value)) for job, value in kept if value}


def _key(mirrored: Mirrored) -> str:
    return f"blockcopy:ended:{mirrored.host_pk}:{mirrored.domain_uuid}:{mirrored.disk}"
