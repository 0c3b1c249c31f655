"""Copies that start at a time: taken up by a look at their host once it has come.

Nothing waits for the time but the row itself. While nobody is at work it passes, and
the next look is late; a conditional update lets one of several lookers in.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from jobs.actor import SYSTEM
from jobs.audit import Outcome
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.said import Moment, joined, say
from jobs.transition import Level, move
from jobs.units import rough_text

# A start that is later than this is told as late.
LATE = timedelta(minutes=1)


def moment_text(moment: datetime) -> str:
    """Return a time to the minute with the name of its zone: UTC, or the reader's."""
    return Moment.of(moment)


def take_up(job: CopyJob) -> bool:
    """Queue a requested job whose start time has come.

    False if it has not, or somebody was first: another look, or who withdrew it.
    """
    now = timezone.now()
    if job.start_at is None or job.start_at > now:
        return False
    late = now - job.start_at
    message = say(
        "The start time %(time)s was reached.", time=moment_text(job.start_at)
    )
    if late > LATE:
        lateness = rough_text(late.total_seconds())
        # No worker was there, or the host was disabled.
        told = say(
            "Nobody looked at the host then: it is %(late)s late.", late=lateness
        )
        message = joined(message, told)
    return move(
        job,
        State.QUEUED,
        message,
        actor=SYSTEM,
        level=Level.WARNING if late > LATE else Level.INFO,
        audited={"action": "start", "outcome": Outcome.ASKED, "detail": message},
        queued_at=now,
    )
