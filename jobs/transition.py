"""Carrying a transition out: a conditional update, its event and its audit entry.

All in one transaction, at an end with the ledger of what is left on the storage.
Whoever comes second changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from jobs import audit, leftovers, live
from jobs.actor import Actor
from jobs.lifecycle import ENDED, State, is_legal
from jobs.models import CopyJob, JobEvent
from jobs.resolve import Side

Level = JobEvent.Level


def move(
    job: CopyJob,
    new: State,
    message: str,
    *,
    actor: Actor,
    level: JobEvent.Level = Level.INFO,
    audited: dict[str, Any] | None = None,
    side: Side = Side.SOURCE,
    untouched: bool = False,
    provided: Mapping[str, Any] | None = None,
    **fields: Any,
) -> bool:
    """Move `job` from the state it was read in to `new`; False if it was elsewhere.

    `fields` are set in the same update. With `audited` (the arguments of
    `audit.record`) an audit entry is appended too. At an end the ledger notes what is
    left: `side` says which file the guest is on, `untouched` that the host refused
    the start and made nothing. `provided`: fields that must still have these values,
    or somebody else was first too. `job` is changed in memory only when the update took
    place. ValueError for a transition that does not exist.
    """
    old = State(job.state)
    if not is_legal(old, new):
        raise ValueError(f"{job}: no transition from {old} to {new}")
    fields = job.saying(**fields)
    with transaction.atomic():
        same = CopyJob.objects.filter(pk=job.pk, state=old, **(provided or {}))
        rows = same.update(state=new, **fields)
        if rows != 1:  # someone else was first; what they did stands
            return False
        for name, value in {"state": new, **fields}.items():
            setattr(job, name, value)
        tell(job, message, actor=actor, level=level, old=old, new=new)
        if audited is not None:
            audit.record(actor, about=job, **audited)
        if new in ENDED:
            leftovers.note(job, new, side, untouched=untouched)
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
