"""The operator's verbs. Console, admin and command line all call these.

Each verb on a job is described once: name, permission, legal states, the reason why
it is not possible now, and the sentence that tells what it will do. An action checks,
writes the intent with its event and audit entry in one transaction, and asks a worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import audit, dispatch
from jobs.actor import Actor
from jobs.hypervisor import (
    InvalidOption,
    check_bandwidth,
    destination_to_json,
    to_xml,
)
from jobs.lifecycle import ENDED, State
from jobs.models import CopyJob, Host
from jobs.preflight import CopyRequest, Finding, Level, problems
from jobs.transition import move, tell
from jobs.units import bandwidth_text

Outcome = audit.Outcome


class ActionError(Exception):
    """An action was not carried out; the message says why and what to do."""


class Denied(ActionError):
    """The actor's role does not allow it."""


class NotPossible(ActionError):
    """The job's state does not allow it (any more)."""


class Invalid(ActionError):
    """The request makes no sense; `problems` says where and what to do."""

    def __init__(self, found: list[Finding]) -> None:
        self.problems = found
        super().__init__(" ".join(map(str, found)))


# --- Verbs on a job ------------------------------------------------------------------


@dataclass(frozen=True)
class Verb:
    """One verb on a running copy. `consequence` takes the job."""

    name: str
    label: str
    permission: str
    states: frozenset[State]
    intended: State
    consequence: Callable[[CopyJob], str]
    not_yet: str

    def why_not(self, job: CopyJob, actor: Actor | None = None) -> str:
        """Return why the verb is not possible now, or an empty string."""
        if actor is not None and not actor.may(self.permission):
            return f"Your role does not allow you to {self.name} a copy."
        state = State(job.state)
        if state in self.states:
            return ""
        if state in ENDED:
            return f"The job has ended: {state.label}."
        if state == self.intended:
            return f"It is {state.label} already."
        return self.not_yet


def _pivot_consequence(job: CopyJob) -> str:
    return (
        f"{job.domain_name} will run from {job.destination}. The old file "
        f"{job.source or 'of the disk'} stays on {job.host_name} and goes stale."
    )


def _finish_consequence(job: CopyJob) -> str:
    return (
        f"The mirror ends. {job.domain_name} stays on {job.source or 'its source'}; "
        f"{job.destination} is kept as it is at that moment, as after a power cut."
    )


def _cancel_consequence(job: CopyJob) -> str:
    if job.libvirt_id is None:
        return "The request is withdrawn. Nothing was started on the host."
    return (
        f"The copy ends. {job.domain_name} stays on {job.source}; what was written to "
        f"{job.destination} stays on {job.host_name} and can't be relied on."
    )


PIVOT = Verb(
    name="pivot",
    label="Pivot",
    permission="jobs.pivot_copyjob",
    states=frozenset({State.MIRRORING}),
    intended=State.PIVOTING,
    consequence=_pivot_consequence,
    not_yet="Possible once source and destination are in sync (mirroring).",
)
FINISH = Verb(
    name="finish",
    label="Finish",
    permission="jobs.finish_copyjob",
    states=frozenset({State.MIRRORING}),
    intended=State.FINISHING,
    consequence=_finish_consequence,
    not_yet="Possible once source and destination are in sync (mirroring).",
)
CANCEL = Verb(
    name="cancel",
    label="Cancel",
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
    not_yet="The copy is being ended already.",
)
VERBS = {verb.name: verb for verb in (PIVOT, FINISH, CANCEL)}
SPEED_PERMISSION = "jobs.speed_copyjob"
SPEED_STATES = frozenset({State.COPYING, State.MIRRORING})


def perform(verb: Verb, job: CopyJob, actor: Actor, reason: str = "") -> None:
    """Write the intent of `verb` and ask a worker to carry it out.

    Denied or NotPossible (also when somebody else was first), with a refused entry in
    the audit log.
    """
    _must(actor, verb.permission, verb.name, job, verb.why_not(job, actor), reason)
    never_started = job.state in (State.REQUESTED, State.QUEUED)
    intended = State.CANCELLED if never_started else verb.intended
    ending: dict[str, Any] = {
        "ended_at" if never_started else "ending_at": timezone.now()
    }
    intent = verb.consequence(job)
    moved = move(
        job,
        intended,
        f"{verb.label} asked for by {actor.name}." + (f" {reason}" if reason else ""),
        actor=actor,
        audited={
            "action": verb.name,
            "outcome": Outcome.DONE if never_started else Outcome.ASKED,
            "intent": intent,
            "reason": reason,
        },
        **ending,
    )
    if not moved:
        job.refresh_from_db()
        _refuse(
            actor,
            verb.name,
            job,
            NotPossible(
                f"Somebody was first: the job is {State(job.state).label} now."
            ),
            reason,
        )
    if not never_started:
        dispatch.call(job)


def _must(
    actor: Actor, permission: str, action: str, job: CopyJob, why_not: str, reason: str
) -> None:
    if not actor.may(permission):
        _refuse(actor, action, job, Denied(why_not), reason)
    if why_not:
        _refuse(actor, action, job, NotPossible(why_not), reason)


def _refuse(
    actor: Actor, action: str, about: CopyJob | Host, error: ActionError, reason: str
) -> NoReturn:
    audit.record(
        actor, action, about, Outcome.REFUSED, reason=reason, detail=str(error)
    )
    raise error


def speed_why_not(job: CopyJob, actor: Actor | None = None) -> str:
    """Return why the bandwidth can't be changed now, or an empty string."""
    if actor is not None and not actor.may(SPEED_PERMISSION):
        return "Your role does not allow you to change a copy's bandwidth."
    if job.state in SPEED_STATES:
        return ""
    return f"The copy does not run: the job is {State(job.state).label}."


def set_speed(
    job: CopyJob, bytes_per_second: int, actor: Actor, reason: str = ""
) -> None:
    """Ask for another bandwidth (bytes/s, 0 for no limit) of a running copy."""
    why_not = speed_why_not(job, actor)
    _must(actor, SPEED_PERMISSION, "speed", job, why_not, reason)
    try:
        check_bandwidth(bytes_per_second)
    except InvalidOption as error:
        wrong = Finding("options_make_sense", Level.STOP, error.text, "", "bandwidth")
        invalid = Invalid([wrong])
        _refuse(actor, "speed", job, invalid, reason)
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
        tell(job, f"Bandwidth {text} asked for by {actor.name}.", actor=actor)
        dispatch.set_speed(job, bytes_per_second, actor.name)


# --- Starting a copy -----------------------------------------------------------------


def request_copy(request: CopyRequest, actor: Actor) -> CopyJob:
    """Record a copy job and ask a worker to start it.

    Denied, or Invalid with everything that speaks against it; nothing was started
    then.
    """
    disk = request.disk
    host = disk.domain.host
    if not actor.may("jobs.start_copyjob"):
        _refuse(
            actor,
            "request",
            host,
            Denied("Your role does not allow you to start a copy."),
            request.reason,
        )
    found = problems(request)
    if found:
        _refuse(actor, "request", host, Invalid(found), request.reason)
    try:
        return _create(request, actor)
    except IntegrityError:
        # Two requests at once: the database lets one in.
        found = problems(request) or [
            Finding(
                "disk_has_no_job",
                Level.STOP,
                "Another job on this disk was just started.",
            )
        ]
    _refuse(actor, "request", host, Invalid(found), request.reason)


def _create(request: CopyRequest, actor: Actor) -> CopyJob:
    disk, options = request.disk, request.options
    domain, destination = disk.domain, request.destination
    with transaction.atomic():
        job = CopyJob.objects.create(
            host=domain.host,
            domain=domain,
            host_name=domain.host.name,
            domain_name=domain.name,
            domain_uuid=domain.uuid,
            disk=disk.target,
            source=disk.source,
            source_format=disk.format,
            capacity=disk.capacity,
            destination_spec=destination_to_json(destination),
            destination_kind=destination.kind,
            destination=destination.location,
            destination_format=destination.format,
            destination_xml=to_xml(destination),
            shallow=options.shallow,
            reuse_external=options.reuse_external,
            synchronous_writes=options.synchronous_writes,
            target_zeroed=options.target_zeroed,
            bandwidth=options.bandwidth,
            granularity=options.granularity,
            buf_size=options.buf_size,
            when_ready=request.when_ready,
            stall_limit=request.stall_limit,
            total_limit=request.total_limit,
            at_limit=request.at_limit,
            consistent=request.consistent,
            accepted=sorted(request.accepted),
            requested_by=actor.user,
            requested_by_name=actor.name,
            reason=request.reason,
        )
        audit.record(
            actor,
            "request",
            job,
            Outcome.ASKED,
            intent=f"Copy {disk.source} to {destination.location} "
            f"({destination.format}); when ready: {job.get_when_ready_display()}.",
            reason=request.reason,
        )
        tell(job, f"Requested by {actor.name}.", actor=actor, new=State.REQUESTED)
        move(job, State.QUEUED, "Queued.", actor=actor)
        dispatch.start(job)
    return job


# --- Hosts ---------------------------------------------------------------------------


def sync_host(host: Host, actor: Actor) -> None:
    """Ask a worker for the host's inventory, now."""
    _host_act(host, actor, "sync", "jobs.sync_host", dispatch_sync)


def dispatch_sync(host: Host, actor: Actor) -> None:
    dispatch.sync_host(host.site.name, host.pk)


def test_host(host: Host, actor: Actor) -> None:
    """Ask a worker to try the host's address; the host's page shows the answer."""
    _host_act(host, actor, "test connection", "jobs.test_host", dispatch_test)


def dispatch_test(host: Host, actor: Actor) -> None:
    dispatch.test_host(host, actor.name)


def _host_act(
    host: Host,
    actor: Actor,
    action: str,
    permission: str,
    send: Callable[[Host, Actor], None],
) -> None:
    if not actor.may(permission):
        _refuse(actor, action, host, Denied(f"Your role does not allow: {action}."), "")
    if not host.enabled:
        _refuse(
            actor,
            action,
            host,
            NotPossible(f"{host} is disabled; enable it first."),
            "",
        )
    with transaction.atomic():
        audit.record(actor, action, host, Outcome.ASKED)
        send(host, actor)


def save_host(host: Host, actor: Actor, reason: str = "") -> None:
    """Add or change a host, then ask for its inventory.

    ValidationError (Django's) for an address that can't be.
    """
    adding = host.pk is None
    permission = "jobs.add_host" if adding else "jobs.change_host"
    action = "add host" if adding else "change host"
    if not actor.may(permission):
        _refuse(actor, action, host, Denied(f"Your role does not allow: {action}."), "")
    host.full_clean()
    with transaction.atomic():
        intent = _changes(host)
        host.save()
        audit.record(actor, action, host, Outcome.DONE, intent=intent, reason=reason)
        if host.enabled:
            dispatch.sync_host(host.site.name, host.pk)


_HOST_FIELDS = [
    "name",
    "site",
    "transport",
    "host_name",
    "port",
    "user",
    "mode",
    "socket",
    "enabled",
]


def _changes(host: Host) -> str:
    old = Host.objects.filter(pk=host.pk).first()
    shown = []
    for name in _HOST_FIELDS:
        new_value = getattr(host, name)
        if old is None and new_value not in ("", None):
            shown.append(f"{name}={new_value}")
        elif old is not None and getattr(old, name) != new_value:
            shown.append(f"{name}: {getattr(old, name)} → {new_value}")
    return ", ".join(shown) or "nothing changed"
