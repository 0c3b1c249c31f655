"""What `resolve` is told of a job, and what QEMU is asked for that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.utils import timezone

from jobs.hypervisor import DiskObservation
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob
from jobs.resolve import EVIDENCE_SECONDS, START_SENT_SECONDS, Record


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


def in_doubt(
    jobs: Collection[CopyJob],
    running: Collection[int],
    seen: Mapping[str, DiskObservation],
) -> set[str]:
    """The disks, as they were seen, of which QEMU is asked whether there is a copy at
    all: without one a start that nobody hears of does not come any more, and an ending
    that libvirt shows is none."""
    now = timezone.now()
    return {
        job.disk
        for job in jobs
        if job.pk not in running
        and (_may_come(job, now) or _seems_to_end(job, seen.get(job.disk), now))
    }


def _may_come(job: CopyJob, now: datetime) -> bool:
    """A start may be under way on the host though nobody holds its lock any more. It
    keeps the domain for itself until it is done, so that QEMU's answer, if one comes,
    says that it is not. Before it may have been sent for the last time that would
    prove nothing."""
    return (
        job.state in (State.STARTING, State.CANCELLING)
        and not job.begun
        and (_age(job.started_at, now) or 0) > START_SENT_SECONDS
    )


def _seems_to_end(job: CopyJob, disk: DiskObservation | None, now: datetime) -> bool:
    """A daemon that is killed in an ending may show it for ever after."""
    mirror = disk.mirror if disk else None
    ending = mirror is not None and mirror.ready in ("pivot", "abort")
    return ending and (_age(job.ending_at, now) or 0) > EVIDENCE_SECONDS
