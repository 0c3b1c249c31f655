"""Does each job say what its host shows?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tests.promises.hosts import Place, Shown
from tests.promises.kinds import Broken, Kind
from tests.promises.rows import Database, Job

RUNNING = frozenset({"copying", "mirroring"})
ENDED = frozenset({"pivoted", "copied", "cancelled", "failed", "lost"})

Seen = Mapping[Place, Shown]


def place_of(job: Job) -> Place:
    return job.host, job.domain_uuid, job.disk


def judge(database: Database, seen: Seen, foreign: Collection[str]) -> Iterator[Broken]:
    """`foreign` are the destinations of copies that are known to be somebody else's."""
    newest = {place_of(job): job for job in database.jobs.values()}
    for job in database.jobs.values():
        shown = seen.get(place_of(job))
        if job.state not in ENDED:
            yield from _active(job, shown)
        elif newest[place_of(job)] is job and shown is not None:
            yield from _ended(job, shown)
            yield from _leftovers(database, job, shown)
        if job.frozen:
            yield Broken(Kind.UNSETTLED, job.pk, "its guest was left frozen")
    yield from _mirrors(database, seen, foreign)


def _active(job: Job, shown: Shown | None) -> Iterator[Broken]:
    if job.state not in RUNNING:
        yield Broken(Kind.UNSETTLED, job.pk, f"it is {job.state} for ever")
        return
    if shown is None or shown.domain_id is None:
        yield Broken(Kind.STATE, job.pk, f"it is {job.state}, its guest is not there")
        return
    if (shown.mirror, shown.domain_id) != (job.destination, job.libvirt_id):
        sentence = f"it is {job.state} to {job.destination}; the host shows {shown}"
        yield Broken(Kind.STATE, job.pk, sentence)
    elif shown.ready != (job.state == "mirroring"):
        sentence = f"it is {job.state}, the mirror is ready: {shown.ready}"
        yield Broken(Kind.STATE, job.pk, sentence)
    elif job.state == "mirroring" and job.when_ready != "wait" and not job.refusals:
        sentence = f"it is ready, and the {job.when_ready} asked for does not come"
        yield Broken(Kind.UNSETTLED, job.pk, sentence)


def _ended(job: Job, shown: Shown) -> Iterator[Broken]:
    if job.libvirt_id is None:
        return  # nothing was started
    sides = {
        "pivoted": {job.destination},
        "copied": {job.source},
        "cancelled": {job.source},
    }.get(job.state, {job.source, job.destination})
    if shown.live and shown.live not in sides:
        sentence = f"it is {job.state}, and the guest runs on {shown.live}"
        yield Broken(Kind.STATE, job.pk, sentence)
    if shown.persistent is not None and shown.persistent not in sides:
        sentence = f"it is {job.state}, the definition names {shown.persistent}"
        yield Broken(Kind.DEFINITION, job.pk, sentence)


def _leftovers(database: Database, job: Job, shown: Shown) -> Iterator[Broken]:
    for left in database.leftovers:
        certain = left.job == job.pk and left.kind != "unknown"
        if certain and left.location in shown.named:
            sentence = f"{left.location} is called {left.kind} and is in use"
            yield Broken(Kind.LEFTOVER, job.pk, sentence)


def _mirrors(
    database: Database, seen: Seen, foreign: Collection[str]
) -> Iterator[Broken]:
    """Every copy on a host is an active job's, or known to be somebody else's.

    One of a job that is lost libvirt may show until its guest is started anew.
    """
    jobs = database.jobs.values()
    active = {(*place_of(job), job.destination) for job in jobs if _is_active(job)}
    lost = {
        (*place_of(job), job.destination, job.libvirt_id)
        for job in jobs
        if job.state == "lost"
    }
    for place, shown in seen.items():
        mirror = (*place, shown.mirror)
        ours = mirror in active or (*mirror, shown.domain_id) in lost
        if shown.mirror and not ours and shown.mirror not in foreign:
            sentence = f"{shown.domain} on {place[0]} is copied to {shown.mirror}"
            yield Broken(Kind.MIRROR, _whose(database, shown.mirror), sentence)


def _is_active(job: Job) -> bool:
    return job.state not in ENDED


def _whose(database: Database, destination: str) -> int | None:
    jobs = [j.pk for j in database.jobs.values() if j.destination == destination]
    return jobs[-1] if jobs else None
