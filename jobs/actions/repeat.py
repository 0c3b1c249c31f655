"""The same copy once more: a job that came to nothing, asked for again as it was."""

from __future__ import annotations

from dataclasses import replace

from jobs.actions.copies import request_copy
from jobs.actions.refusal import must
from jobs.actor import Actor
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from jobs.names import alone
from jobs.preflight import CopyRequest, Level, preflight, request_of
from jobs.said import say
from jobs.transition import tell

REPEAT_PERMISSION = "jobs.start_copyjob"
# What came to nothing. A copy that was made is repeated to another place: a new copy.
REPEAT_STATES = frozenset({State.FAILED, State.CANCELLED, State.LOST})
_LEFTOVER = "destination_is_no_leftover"


def repeat_why_not(
    job: CopyJob, actor: Actor | None = None, disk: Disk | None = None
) -> str:
    """Return why `job` can't be asked for again as it was, or an empty string.

    `disk`: its disk as the inventory has it, where that was read already.
    """
    if actor is not None and not actor.may(REPEAT_PERMISSION):
        return say("Your role does not allow you to start a copy.")
    if job.state not in REPEAT_STATES:
        state = State(job.state).label
        return say(
            "Only what failed or was cancelled is retried; the job is %(state)s.",
            state=state,
        )
    if job.adopted_at is not None:
        return say("It was begun elsewhere: how is not known here.")
    try:
        request = _request(job, disk=disk)
    except Disk.DoesNotExist:
        return say(
            "%(domain)s has no disk %(disk)s any more.",
            domain=job.domain_name,
            disk=job.disk,
        )
    return _moved(job, request.disk) or _obstacle(request)


def _request(job: CopyJob, reason: str = "", disk: Disk | None = None) -> CopyRequest:
    return replace(request_of(job, disk), job=0, reason=reason or job.reason)


def _moved(job: CopyJob, disk: Disk) -> str:
    if disk.source == job.source:
        return ""
    return say(
        "%(target)s of %(domain)s is on %(source)s by now; make a new copy.",
        target=disk.target,
        domain=disk.domain.name,
        source=disk.source,
    )


def _obstacle(request: CopyRequest) -> str:
    """The first thing that speaks against it, with what to do."""
    found = preflight(request)
    for each in found:
        if each.level == Level.STOP:
            return each.sentence
    if request.options.reuse_external:
        return ""
    # A start would only fail a moment later.
    left = next((each for each in found if each.rule == _LEFTOVER), None)
    if left is None or left.level == Level.PASS:
        return ""
    return say(
        "%(cause)s Remove it first, or make a new copy to another place.",
        cause=left.cause,
    )


def repeat_consequence(job: CopyJob) -> str:
    """Say what repeating `job` will lead to."""
    return say(
        "%(disk)s of %(domain)s is copied from %(source)s to "
        "%(destination)s as job %(job)s asked; when ready: "
        "%(when_ready)s. The host is looked into again "
        "first.",
        disk=job.disk,
        domain=alone(job.domain_name),
        source=alone(job.source),
        destination=alone(job.destination),
        job=job.pk,
        when_ready=job.get_when_ready_display(),
    )


def repeat(job: CopyJob, actor: Actor, reason: str = "") -> CopyJob:
    """Ask for the copy of `job` again; return the new job.

    Its options, limits and accepted warnings are those of `job`, and so is the reason
    unless another is given. Denied, NotPossible or Invalid; nothing was started then.
    """
    why_not = repeat_why_not(job, actor)
    must(actor, REPEAT_PERMISSION, "retry", job, why_not, reason)
    again = request_copy(_request(job, reason), actor, repeats=job)
    tell(job, f"Retried by {actor.name} as job {again.pk}.", actor=actor)
    return again
