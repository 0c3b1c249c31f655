"""The periodic look at a host: all domains with active jobs at once. In the workers.

States, sources and mirrors settle the jobs; progress, for which each guest's QEMU is
asked, is asked aside and within a bound, so that a guest that does not answer keeps
nothing from the others. A sweep asks the database a constant number of times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from jobs import audit, dispatch, limits, live, samples, schedule
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    DiskObservation,
    DomainObservation,
    Hypervisor,
    HypervisorError,
    Progress,
)
from jobs.lifecycle import ON_HOST, State
from jobs.models import CopyJob, Host
from jobs.reconcile import Calls, Look, connect, note_answer, note_silence, settle
from jobs.record import in_doubt
from jobs.resolve import Gone, Observation, Unreachable
from jobs.said import joined, say
from jobs.transition import Level, tell
from jobs.units import bandwidth_text

log = structlog.get_logger(__name__)

# States in which a copy has a bandwidth that can be changed, and progress.
MOVING = frozenset({State.COPYING, State.MIRRORING})
# For what all guests of a host together may take to tell their progress. A sweep is
# asked for each second.
PROGRESS_SECONDS = 1.5

Told = Mapping[str, Mapping[str, Progress | None]]


def look_at_host(host: Host) -> None:
    """Settle all active jobs of `host` and keep their progress."""
    jobs = list(CopyJob.objects.to_look_at().filter(host=host).for_a_look())
    for job in jobs:
        job.host = host  # one object, where a join would make one for each
        if job.state == State.REQUESTED:
            schedule.take_up(job)
        if job.state == State.QUEUED:
            dispatch.start(job)
    on_host = [job for job in jobs if job.state in ON_HOST or job.frozen_at]
    if not on_host:
        return
    try:
        with connect(host) as hypervisor, _asking_aside(host, on_host) as told:
            _settle_all(hypervisor, on_host, told)
            _keep_progress(hypervisor, host, on_host, told.result())
    except HypervisorError as error:  # an address that is not allowed any more, too
        note_silence(host, error)
        return
    note_answer(host)
    limits.enforce(on_host)
    _ask_for_speed_again(on_host)


@contextmanager
def _asking_aside(host: Host, jobs: list[CopyJob]) -> Iterator[Future[Told]]:
    """How far the copies among `jobs` are, asked on connections of its own meanwhile.

    Those that only begin to move in this look are asked in the next one.
    """
    moving = [job for job in jobs if job.state in MOVING]
    wanted = {
        uuid: [job.disk for job in of_domain]
        for uuid, of_domain in _by_domain(moving).items()
    }
    with ThreadPoolExecutor(1, thread_name_prefix="progress") as aside:
        yield aside.submit(_ask_progress, host, wanted)


def _ask_progress(host: Host, wanted: Mapping[str, list[str]]) -> Told:
    if not wanted:
        return {}
    with connect(host) as hypervisor:
        return hypervisor.progress_many(wanted, PROGRESS_SECONDS)


def _settle_all(
    hypervisor: Hypervisor, jobs: list[CopyJob], asked: Future[Told]
) -> None:
    """Those of which QEMU has to be asked come last: it may let us wait."""
    calls = Calls(jobs)
    by_domain = _by_domain(jobs)
    began = timezone.now()
    seen = hypervisor.observe_many(list(by_domain))
    calls.look_again()
    doubts = {
        uuid: disks
        for uuid, of_domain in by_domain.items()
        if (disks := in_doubt(of_domain, calls.running, _disks(seen.get(uuid))))
    }
    sure = {uuid: by_domain[uuid] for uuid in by_domain if uuid not in doubts}
    _settle(hypervisor, sure, _Seen(began, calls, seen))
    if not doubts:
        return
    wait([asked])  # at most one question waits for a guest
    told = hypervisor.progress_many(doubts, PROGRESS_SECONDS)
    # After QEMU: libvirt shows each end of which QEMU has let it know.
    seen = hypervisor.observe_many(list(doubts))
    calls.look_again()
    unsure = {uuid: by_domain[uuid] for uuid in doubts}
    _settle(hypervisor, unsure, _Seen(began, calls, seen, told))


@dataclass(frozen=True)
class _Seen:
    """What the host shows, and what QEMU was asked of it in between."""

    began: datetime
    calls: Calls
    domains: Mapping[str, DomainObservation | HypervisorError]
    told: Told = field(default_factory=dict)


def _settle(
    hypervisor: Hypervisor, by_domain: Mapping[str, list[CopyJob]], seen: _Seen
) -> None:
    for uuid, of_domain in by_domain.items():
        observation = _observation(seen.domains.get(uuid))
        for job in of_domain:
            look = Look(
                observation,
                seen.began,
                job.pk in seen.calls.running,
                quiet=_has_no_copy(seen.told.get(uuid, {}), job.disk),
            )
            if settle(hypervisor, job, look):
                dispatch.call(job)
            if isinstance(observation, DomainObservation):
                _note_definition(job, observation)


def _disks(
    seen: DomainObservation | HypervisorError | None,
) -> Mapping[str, DiskObservation]:
    return seen.disks if isinstance(seen, DomainObservation) else {}


def _has_no_copy(answer: Mapping[str, Progress | None], disk: str) -> bool:
    """Whether QEMU said so."""
    return disk in answer and answer[disk] is None


def _note_definition(job: CopyJob, domain: DomainObservation) -> None:
    """Say loudly, once, that the guest is gone for good when it stops.

    libvirt lets a domain be undefined in the middle of a copy.
    """
    undefined = bool(job.transient_job) and not domain.persistent
    if not undefined or domain.domain_id is None or not job.active:
        return
    message = say(
        "The domain's persistent definition was removed during the copy: when the "
        "guest stops, the host forgets it. Define it again (virsh dumpxml, virsh "
        "define) before that. Not by this console."
    )
    if message in job.flagged:
        return
    fields = job.saying(flagged=joined(job.told("flagged"), message))
    same = CopyJob.objects.filter(pk=job.pk, flagged=job.flagged)
    with transaction.atomic():
        if same.update(**fields) != 1:
            return
        tell(job, message, actor=SYSTEM, level=Level.WARNING)
        audit.record(SYSTEM, "flag", job, audit.Outcome.DONE, detail=message)
    job.flagged, job.said = fields["flagged"], fields["said"]


def _by_domain(jobs: Iterable[CopyJob]) -> dict[str, list[CopyJob]]:
    found: dict[str, list[CopyJob]] = defaultdict(list)
    for job in jobs:
        found[job.domain_uuid].append(job)
    return found


def _observation(seen: DomainObservation | HypervisorError | None) -> Observation:
    if seen is None:
        return Gone()
    if isinstance(seen, HypervisorError):
        log.warning("domain could not be looked at", error=seen.text)
        return Unreachable()
    return seen


def _keep_progress(
    hypervisor: Hypervisor, host: Host, jobs: list[CopyJob], told: Told
) -> None:
    moving = [job for job in jobs if job.state in MOVING]
    seen = {
        job.pk: progress
        for job in moving
        if (progress := told.get(job.domain_uuid, {}).get(job.disk))
    }
    if not seen:
        return
    limited_anew = live.store_progress(seen)
    live.wake_progress(host.pk, seen)
    for job in moving:
        if job.pk in seen:
            _note_bandwidth(job, seen[job.pk].bandwidth)
    samples.take(hypervisor, host, moving, seen, limited_anew)


def _note_bandwidth(job: CopyJob, now: int) -> None:
    """Say so when the limit in force is another one than was asked for here."""
    if now == job.bandwidth or job.bandwidth_asked is not None:
        return
    as_it_was = CopyJob.objects.filter(
        pk=job.pk, bandwidth=job.bandwidth, bandwidth_asked=None
    )
    message = f"The bandwidth is {bandwidth_text(now)} now. Not by this console."
    with transaction.atomic():
        if as_it_was.update(bandwidth=now) != 1:
            return  # we changed it, just now
        tell(job, message, actor=SYSTEM, level=Level.WARNING)
        audit.record(SYSTEM, "speed", job, audit.Outcome.DONE, detail=message)
    job.bandwidth = now


def _ask_for_speed_again(jobs: Iterable[CopyJob]) -> None:
    """Ask again for a bandwidth whose task was lost, or that the host was silent on."""
    for job in jobs:
        wanted = job.bandwidth_asked is not None and job.state in MOVING
        if wanted and live.first_to_ask(f"speed:{job.pk}", seconds=5):
            dispatch.set_speed(job)
