"""Limits of a copy: without progress for too long, or not ready after too long.

Off unless asked for, and only while a copy is on its way to being ready: a mirroring
copy has no limits. A limit tells people, or cancels the copy where just that was asked
for at the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from jobs import audit, dispatch, live
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.models.job import AtLimit
from jobs.said import joined, say
from jobs.transition import Level, move, tell
from jobs.units import seconds_text


@dataclass(frozen=True)
class Watch:
    """The limits of a copy that is not ready, and how long it has taken. Seconds.

    A limit of 0 is none. `standing_for`: since its progress was last seen to rise;
    None where that is not known.
    """

    stall_limit: int
    total_limit: int
    running_for: float
    standing_for: float | None


def reached(watch: Watch) -> list[str]:
    """Return a sentence for each limit that is reached; always the same for each."""
    return list(_reached(watch))


def _reached(watch: Watch) -> Iterator[str]:
    standing = watch.standing_for
    if watch.stall_limit and standing is not None and standing >= watch.stall_limit:
        limit = seconds_text(watch.stall_limit)
        yield say("There was no progress for %(limit)s.", limit=limit)
    if watch.total_limit and watch.running_for >= watch.total_limit:
        limit = seconds_text(watch.total_limit)
        yield say("It was not ready %(limit)s after its start.", limit=limit)


def enforce(jobs: Iterable[CopyJob]) -> None:
    """Flag or cancel those of `jobs`, just looked at, that have reached a limit."""
    watched = [job for job in jobs if _has_limits(job)]
    progress = live.progress_of(job.pk for job in watched)
    for job in watched:
        watch = _watch(job, progress.get(job.pk), timezone.now())
        fresh = [told for told in reached(watch) if told not in job.flagged]
        if fresh:
            _act(job, joined(*fresh))


def _has_limits(job: CopyJob) -> bool:
    return job.state == State.COPYING and bool(job.stall_limit or job.total_limit)


def _watch(job: CopyJob, progress: live.LiveProgress | None, now: datetime) -> Watch:
    began = job.started_at or now
    return Watch(
        stall_limit=job.stall_limit,
        total_limit=job.total_limit,
        running_for=(now - began).total_seconds(),
        # As far as it was seen: a QEMU that does not answer says nothing of its copy.
        standing_for=progress.at - progress.rose_at if progress else None,
    )


def _act(job: CopyJob, sentence: str) -> None:
    asked = f"{job.get_at_limit_display()}: asked for at the request"
    intent = f"{asked} by {job.requested_by_name}."
    if job.at_limit == AtLimit.CANCEL:
        _cancel(job, sentence, intent)
    else:
        _flag(job, sentence, intent)


def _flag(job: CopyJob, sentence: str, intent: str) -> None:
    fields = job.saying(flagged=joined(job.told("flagged"), sentence))
    copying = CopyJob.objects.filter(
        pk=job.pk, state=State.COPYING, flagged=job.flagged
    )
    with transaction.atomic():
        if copying.update(**fields) != 1:
            return  # ready by now, ended, or flagged by another sweep
        tell(job, sentence, actor=SYSTEM, level=Level.WARNING)
        done = audit.Outcome.DONE
        audit.record(SYSTEM, "flag", job, done, intent=intent, detail=sentence)
    job.flagged, job.said = fields["flagged"], fields["said"]


def _cancel(job: CopyJob, sentence: str, intent: str) -> None:
    asked = {"action": "cancel", "outcome": audit.Outcome.ASKED, "intent": intent}
    cancelling = move(
        job,
        State.CANCELLING,
        f"{sentence} {intent}",
        actor=SYSTEM,
        level=Level.WARNING,
        audited={**asked, "detail": sentence},
        ending_at=timezone.now(),
        flagged=sentence,
    )
    if cancelling:
        dispatch.call(job)
