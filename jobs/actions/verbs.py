"""The operator's verbs on a job: start now, pivot, finish, cancel; and its bandwidth.

Each is described once: name, permission, legal states, the reason why it is not
possible now, and the sentence that tells what it will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from jobs import audit, dispatch
from jobs.actions.refusal import Invalid, NotPossible, must, refuse
from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.hypervisor import InvalidOption, check_bandwidth
from jobs.lifecycle import ENDED, State
from jobs.models import CopyJob
from jobs.names import alone
from jobs.outcome import without_stale_evidence
from jobs.preflight import Finding, Level
from jobs.said import say
from jobs.transition import move, tell
from jobs.units import bandwidth_text


@dataclass(frozen=True)
class Verb:
    """One verb on a copy. `consequence` takes the job.

    `only_then`: where it is not possible it is not even worth a word.
    """

    name: str
    label: str
    permission: str
    states: frozenset[State]
    intended: State
    consequence: Callable[[CopyJob], str]
    not_yet: str
    denied: str
    only_then: bool = False

    def why_not(self, job: CopyJob, actor: Actor | None = None) -> str:
        """Return why the verb is not possible now, or an empty string."""
        if actor is not None and not actor.may(self.permission):
            return self.denied
        state = State(job.state)
        if state in self.states:
            return ""
        if state in ENDED:
            return say("The job has ended: %(state)s.", state=state.label)
        if state == self.intended:
            return say("It is %(state)s already.", state=state.label)
        return self.not_yet


def _start_consequence(job: CopyJob) -> str:
    return say(
        "%(disk)s of %(domain)s is copied to %(destination)s now, and not only at its "
        "start time. The host is looked into again first.",
        disk=job.disk,
        domain=alone(job.domain_name),
        destination=alone(job.destination),
    )


def _pivot_consequence(job: CopyJob) -> str:
    source = alone(job.source) if job.source else say("of the disk")
    return say(
        "%(domain)s will run from %(destination)s. The old file "
        "%(source)s stays on %(host)s and goes stale.",
        domain=alone(job.domain_name),
        destination=alone(job.destination),
        source=source,
        host=job.host_name,
    )


def finish_consequence(job: CopyJob, *, consistent: bool) -> str:
    """Say what a finish does, with the guest's file systems frozen or without."""
    like = say("as after a power cut")
    if consistent:
        like = say(
            "with the guest's file systems frozen if its agent answers, as after a "
            "power cut if not"
        )
    source = alone(job.source) if job.source else say("its source")
    return say(
        "The mirror ends. %(domain)s stays on %(source)s; "
        "%(destination)s is kept as it is at that moment, %(like)s.",
        domain=alone(job.domain_name),
        source=source,
        destination=alone(job.destination),
        like=like,
    )


def _finish_consequence(job: CopyJob) -> str:
    return finish_consequence(job, consistent=job.consistent)


def _cancel_consequence(job: CopyJob) -> str:
    if job.libvirt_id is None:
        return say("The request is withdrawn. Nothing was started on the host.")
    return say(
        "The copy ends. %(domain)s stays on %(source)s; what was "
        "written to %(destination)s stays on %(host)s and can't be "
        "relied on.",
        domain=alone(job.domain_name),
        source=alone(job.source),
        destination=alone(job.destination),
        host=job.host_name,
    )


START = Verb(
    name="start",
    label=say("Start now"),
    permission="jobs.start_copyjob",
    states=frozenset({State.REQUESTED}),
    intended=State.QUEUED,
    consequence=_start_consequence,
    not_yet=say("It does not wait for a start time."),
    denied=say("Your role does not allow you to start a copy."),
    only_then=True,
)
PIVOT = Verb(
    name="pivot",
    label=say("Pivot"),
    permission="jobs.pivot_copyjob",
    states=frozenset({State.MIRRORING}),
    intended=State.PIVOTING,
    denied=say("Your role does not allow you to pivot a copy."),
    consequence=_pivot_consequence,
    not_yet=say("Possible once source and destination are in sync (mirroring)."),
)
FINISH = Verb(
    name="finish",
    label=say("Finish"),
    permission="jobs.finish_copyjob",
    states=frozenset({State.MIRRORING}),
    intended=State.FINISHING,
    denied=say("Your role does not allow you to finish a copy."),
    consequence=_finish_consequence,
    not_yet=say("Possible once source and destination are in sync (mirroring)."),
)
CANCEL = Verb(
    name="cancel",
    label=say("Cancel"),
    permission="jobs.cancel_copyjob",
    states=frozenset(
        {
            State.REQUESTED,
            State.QUEUED,
            State.STARTING,
            State.COPYING,
            State.MIRRORING,
        }
    ),
    intended=State.CANCELLING,
    consequence=_cancel_consequence,
    not_yet=say("The copy is being ended already."),
    denied=say("Your role does not allow you to cancel a copy."),
)
VERBS = {verb.name: verb for verb in (START, PIVOT, FINISH, CANCEL)}
SPEED_PERMISSION = "jobs.speed_copyjob"
SPEED_STATES = frozenset({State.COPYING, State.MIRRORING})


def never_started(job: CopyJob) -> bool:
    """Tell whether nothing was asked of the host yet."""
    return job.state in (State.REQUESTED, State.QUEUED)


def perform(
    verb: Verb,
    job: CopyJob,
    actor: Actor,
    reason: str = "",
    *,
    consistent: bool | None = None,
) -> None:
    """Write the intent of `verb` and ask a worker to carry it out.

    `consistent` is for a finish: whether the guest's file systems are frozen
    meanwhile; None leaves it as it was asked for at the request.
    Denied or NotPossible (also when somebody else was first), with a refused entry in
    the audit log.
    """
    must(actor, verb.permission, verb.name, job, verb.why_not(job, actor), reason)
    if verb is FINISH and consistent is not None:
        job.consistent = consistent
    intent, done_at_once = verb.consequence(job), False
    if verb is START:
        intended, fields = State.QUEUED, _queued()
    elif never_started(job):
        intended, fields, done_at_once = State.CANCELLED, _withdrawn(), True
    else:
        intended, fields = verb.intended, _ending(job)
    moved = move(
        job,
        intended,
        _told(verb.label, actor, reason),
        actor=actor,
        audited={
            "action": verb.name,
            "outcome": Outcome.DONE if done_at_once else Outcome.ASKED,
            "intent": intent,
            "reason": reason,
        },
        **fields,
    )
    if not moved:
        job.refresh_from_db()
        refuse(
            actor,
            verb.name,
            job,
            NotPossible(
                say(
                    "Somebody was first: the job is %(state)s now.",
                    state=State(job.state).label,
                )
            ),
            reason,
        )
    if verb is START:
        dispatch.start(job)
    elif not done_at_once:
        dispatch.call(job)


def _told(what: str, actor: Actor, reason: str) -> str:
    """Return the line of a job's history; the reason apart from our own words."""
    because = f": “{reason}”" if reason else ""
    return f"{what} asked for by {actor.name}{because}."


def _queued() -> dict[str, Any]:
    return {"queued_at": timezone.now()}


def _withdrawn() -> dict[str, Any]:
    return {"ended_at": timezone.now()}


def _ending(job: CopyJob) -> dict[str, Any]:
    """What is written with an intent to end."""
    return {
        "ending_at": timezone.now(),
        "refusals": 0,
        "consistent": job.consistent,
        **without_stale_evidence(job),
    }


def speed_why_not(job: CopyJob, actor: Actor | None = None) -> str:
    """Return why the bandwidth can't be changed now, or an empty string."""
    if actor is not None and not actor.may(SPEED_PERMISSION):
        return say("Your role does not allow you to change a copy's bandwidth.")
    if job.state in SPEED_STATES:
        return ""
    return say(
        "The copy does not run: the job is %(state)s.", state=State(job.state).label
    )


def set_speed(
    job: CopyJob, bytes_per_second: int, actor: Actor, reason: str = ""
) -> None:
    """Ask for another bandwidth (bytes/s, 0 for no limit) of a running copy."""
    why_not = speed_why_not(job, actor)
    must(actor, SPEED_PERMISSION, "speed", job, why_not, reason)
    try:
        check_bandwidth(bytes_per_second)
    except InvalidOption as error:
        wrong = Finding("options_make_sense", Level.STOP, error.text, "", "bandwidth")
        invalid = Invalid([wrong])
        refuse(actor, "speed", job, invalid, reason)
    text = bandwidth_text(bytes_per_second)
    with transaction.atomic():
        audit.record(
            actor,
            "speed",
            job,
            Outcome.ASKED,
            intent=f"bandwidth {text} ({bytes_per_second} bytes/s)",
            reason=reason,
        )
        tell(job, _told(f"Bandwidth {text}", actor, reason), actor=actor)
        CopyJob.objects.filter(pk=job.pk).update(
            bandwidth_asked=bytes_per_second, bandwidth_asked_by=actor.name
        )
        dispatch.set_speed(job)
