"""What `resolve` is told of a job, and what a sweep asks of a host beyond that."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.utils import timezone

from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob
from jobs.resolve import START_SENT_SECONDS, Gone, Observation, Record, Unreachable


def record_of(
    job: CopyJob,
    *,
    call_running: bool = False,
    refused: bool = False,
    quiet: bool = False,
    now: datetime | None = None,
) -> Record:
    """Return what `resolve` needs to know of a job, seen at `now`."""
    now = now or timezone.now()
    return Record(
        state=State(job.state),
        disk=job.disk,
        destination=job.destination,
        source=job.source,
        libvirt_id=job.libvirt_id,
        when_ready=WhenReady(job.when_ready),
        call_running=call_running,
        refused=refused,
        begun=job.begun,
        start_age=_age(job.started_at, now),
        intent_age=_age(job.ending_at, now),
        frozen_age=_age(job.frozen_at, now),
        quiet=quiet,
        by_limit=job.cancelled_by_limit,
        refusals=job.refusals,
        end_accepted=job.end_accepted,
        last_event=job.last_event,
    )


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def to_be_asked(jobs: Collection[CopyJob], running: Collection[int]) -> set[str]:
    """The disks whose copies QEMU is asked about: how far, or whether there is one.

    A start may be under way on the host though nobody holds its lock any more. It
    keeps the domain for itself until it is done, so that QEMU's answer, if one comes,
    says that it is not. Before it may have been sent for the last time that would
    prove nothing.
    """
    copying = {
        job.disk for job in jobs if job.state in (State.COPYING, State.MIRRORING)
    }
    return copying | {
        job.disk
        for job in jobs
        if job.state in (State.STARTING, State.CANCELLING)
        and not (job.begun or job.pk in running)
        and (_age(job.started_at, timezone.now()) or 0) > START_SENT_SECONDS
    }


def answered(observation: Observation) -> bool:
    """Whether QEMU, if it was asked anything, answered."""
    if isinstance(observation, (Unreachable, Gone)):
        return False
    return not observation.stuck
