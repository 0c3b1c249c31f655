"""Carrying a transition out: a conditional update, its event and its audit entry.

All three in one transaction. Whoever comes second changes nothing.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from jobs import audit, live
from jobs.actor import Actor
from jobs.lifecycle import State, is_legal
from jobs.models import CopyJob, JobEvent

Level = JobEvent.Level


def move(
    job: CopyJob,
    new: State,
    message: str,
    *,
    actor: Actor,
    level: JobEvent.Level = Level.INFO,
    audited: dict[str, Any] | None = None,
    **fields: Any,
) -> bool:
    """Move `job` from the state it was read in to `new`; False if it was elsewhere.

    `fields` are set in the same update. With `audited` (the arguments of
    `audit.record`) an audit entry is appended too. `job` is changed in memory only
    when the update took place. ValueError for a transition that does not exist.
    """
    old = State(job.state)
    if not is_legal(old, new):
        raise ValueError(f"{job}: no transition from {old} to {new}")
    with transaction.atomic():
        rows = CopyJob.objects.filter(pk=job.pk, state=old).update(state=new, **fields)
        if rows != 1:  # someone else was first; what they did stands
            return False
        for name, value in {"state": new, **fields}.items():
            setattr(job, name, value)
        tell(job, message, actor=actor, level=level, old=old, new=new)
        if audited is not None:
            audit.record(actor, about=job, **audited)
    return True


def tell(
    job: CopyJob,
    message: str,
    *,
    actor: Actor,
    level: JobEvent.Level = Level.INFO,
    old: str = "",
    new: str = "",
) -> None:
    """Append a line to the job's history and wake the pages that show the job."""
    JobEvent.objects.create(
        job=job,
        actor=actor.name,
        level=level,
        message=message,
        old_state=old,
        new_state=new,
    )
    transaction.on_commit(lambda: live.wake(job, moved=bool(new)))
