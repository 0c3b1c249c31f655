"""One act on many jobs: each by itself, each with an answer of its own.

Nothing here is all or nothing: a job whose act was refused does not keep the others
from theirs, and every one is told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import structlog
from django.db import DatabaseError

from jobs.actions.refusal import ActionError
from jobs.actions.repeat import (
    REPEAT_PERMISSION,
    repeat,
    repeat_consequence,
    repeat_why_not,
)
from jobs.actions.verbs import (
    SPEED_PERMISSION,
    VERBS,
    Verb,
    perform,
    set_speed,
    speed_why_not,
)
from jobs.actor import Actor
from jobs.audit import NotRecorded
from jobs.models import CopyJob
from jobs.said import joined, say
from jobs.units import bandwidth_text

# The most jobs of one act: each is a transaction with its audit entry.
MOST_AT_ONCE = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BulkAct:
    """What can be done to many jobs: name, words, and how it is done to one."""

    name: str
    label: str
    permission: str
    why_not: Callable[[CopyJob, Actor | None], str]
    consequence: Callable[[CopyJob], str]


def _of_verb(verb: Verb) -> BulkAct:
    return BulkAct(
        verb.name, verb.label, verb.permission, verb.why_not, verb.consequence
    )


SPEED = BulkAct(
    name="speed",
    label=say("Set bandwidth"),
    permission=SPEED_PERMISSION,
    why_not=speed_why_not,
    consequence=lambda job: say(
        "It is %(bandwidth)s now.", bandwidth=bandwidth_text(job.bandwidth)
    ),
)
RETRY = BulkAct(
    name="retry",
    label=say("Retry"),
    permission=REPEAT_PERMISSION,
    why_not=repeat_why_not,
    consequence=repeat_consequence,
)
BULK_ACTS = {act.name: act for act in (*map(_of_verb, VERBS.values()), SPEED, RETRY)}


@dataclass(frozen=True)
class Told:
    """What came of an act on one job: asked for, or why not. `new` is the job that a
    retry made."""

    job: CopyJob
    refused: str = ""
    new: CopyJob | None = None


def perform_each(
    act: BulkAct,
    pks: Iterable[int],
    actor: Actor,
    reason: str = "",
    *,
    bandwidth: int = 0,
) -> list[Told]:
    """Do `act` to each of the jobs `pks`, as it is now; one answer for each.

    `bandwidth` (bytes/s) is what SPEED sets. A job that does not exist has no answer.
    """
    do = _doing(act, actor, reason, bandwidth)
    return [_told(do, job) for pk in pks for job in _fresh(pk)]


def _fresh(pk: int) -> Iterable[CopyJob]:
    return CopyJob.objects.select_related("host__site").filter(pk=pk)


Doing = Callable[[CopyJob], CopyJob | None]


def _doing(act: BulkAct, actor: Actor, reason: str, bandwidth: int) -> Doing:
    if act is SPEED:
        return lambda job: set_speed(job, bandwidth, actor, reason)
    if act is RETRY:
        return lambda job: repeat(job, actor, reason)
    return partial(_perform, VERBS[act.name], actor, reason)


def _perform(verb: Verb, actor: Actor, reason: str, job: CopyJob) -> None:
    perform(verb, job, actor, reason)


def _told(do: Doing, job: CopyJob) -> Told:
    try:
        return Told(job, new=do(job))
    except ActionError as error:
        job.refresh_from_db()
        return Told(job, error.text)
    except (NotRecorded, DatabaseError) as error:
        # Its transaction is rolled back; the others have theirs.
        log.exception("bulk_act_failed", job=job.pk)
        wrong = say("The console could not do it; nothing was changed.")
        return Told(job, joined(wrong, str(error)))
