"""What `resolve` is told of a job, and what QEMU is asked for that."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.utils import timezone

from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob
from jobs.resolve import START_SENT_SECONDS, Record


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


def unsure_starts(jobs: Collection[CopyJob], running: Collection[int]) -> set[str]:
    """The disks of which QEMU is asked whether there is a copy of them at all.

    A start may be under way on the host though nobody holds its lock any more. It
    keeps the domain for itself until it is done, so that QEMU's answer, if one comes,
    says that it is not. Before it may have been sent for the last time that would
    prove nothing.
    """
    now = timezone.now()
    return {
        job.disk
        for job in jobs
        if job.state in (State.STARTING, State.CANCELLING)
        and not (job.begun or job.pk in running)
        and (_age(job.started_at, now) or 0) > START_SENT_SECONDS
    }
