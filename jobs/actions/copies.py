"""Asking for a copy."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import audit, checks, dispatch
from jobs.actions.refusal import Denied, Invalid, refuse
from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.checks import Checked
from jobs.hypervisor import destination_to_json, to_xml
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.preflight import (
    CopyRequest,
    Finding,
    Level,
    digest,
    not_accepted,
    problems,
    request_to_json,
    stops,
    warnings,
)
from jobs.said import say
from jobs.schedule import moment_text
from jobs.transition import move, tell

# A start that is to be later than this is a mistake in the date.
LATEST_START = timedelta(days=366)


def request_copy(
    request: CopyRequest,
    actor: Actor,
    *,
    repeats: CopyJob | None = None,
    start_at: datetime | None = None,
) -> CopyJob:
    """Record a copy job and ask a worker to start it, at once or at `start_at`.

    `repeats` is the job that it is a repetition of, for the records. Denied, or
    Invalid with everything that speaks against it; nothing was written but that.
    """
    disk = request.disk
    host = disk.domain.host
    if not actor.may("jobs.start_copyjob"):
        refuse(
            actor,
            "request",
            host,
            Denied(say("Your role does not allow you to start a copy.")),
            request.reason,
        )
    checked = checks.result(digest(request))
    found = [
        *start_time_problems(start_at),
        *(problems(request) or _refused_by(checked, request)),
    ]
    found += _without_reason(checked, request)
    if found:
        refuse(actor, "request", host, Invalid(found), request.reason)
    try:
        accepted = _accepted(checked, request)
        return _create(request, actor, accepted, repeats, start_at)
    except IntegrityError:
        # Two requests at once: the database lets one in.
        found = problems(request) or [
            Finding(
                "disk_has_no_job",
                Level.STOP,
                say("Another job on this disk was just started."),
            )
        ]
    refuse(actor, "request", host, Invalid(found), request.reason)


def start_time_problems(start_at: datetime | None) -> list[Finding]:
    """What speaks against starting at `start_at`; nothing against starting at once."""
    if start_at is None:
        return []
    ahead = start_at - timezone.now()
    time = moment_text(start_at)
    if ahead <= timedelta(0):
        cause = say("The start time %(time)s has passed.", time=time)
        remedy = say("Choose a later one, or start at once.")
    elif ahead > LATEST_START:
        cause = say("The start time %(time)s is more than a year away.", time=time)
        remedy = say("Choose an earlier one.")
    else:
        return []
    return [Finding("start_time_is_ahead", Level.STOP, cause, remedy, "start_at")]


def _refused_by(checked: Checked | None, request: CopyRequest) -> list[Finding]:
    """What the host itself showed a moment ago; the start looks again in any case."""
    if checked is None:
        return []
    found = checked.findings
    return [*stops(found), *not_accepted(found, request.accepted)]


def _without_reason(checked: Checked | None, request: CopyRequest) -> list[Finding]:
    if request.reason.strip() or not _accepted(checked, request):
        return []
    return [
        Finding(
            "accepted_with_reason",
            Level.STOP,
            say("A warning is accepted with a reason."),
            say("Say why the copy is wanted all the same; it goes into the audit log."),
            "reason",
        )
    ]


def _accepted(checked: Checked | None, request: CopyRequest) -> list[str]:
    """The accepted warnings; without a look, whatever would be accepted."""
    if checked is None:
        return sorted(request.accepted)
    return [
        f"{found.rule} ({found.cause})"
        for found in warnings(checked.findings)
        if found.rule in request.accepted
    ]


def ask_check(request: CopyRequest, actor: Actor) -> str:
    """Ask a worker what the host says to `request`; starts nothing.

    Returns the key of `checks.result`; the wake-up {"kind": "check", "key": …} tells
    that it is there. Denied for who may not start a copy.
    """
    if not actor.may("jobs.start_copyjob"):
        raise Denied(say("Your role does not allow you to start a copy."))
    key = digest(request)
    if checks.to_be_asked(key):
        host = request.disk.domain.host
        dispatch.check_copy(host, key, request_to_json(request))
    return key


def _create(
    request: CopyRequest,
    actor: Actor,
    accepted: list[str],
    repeats: CopyJob | None,
    start_at: datetime | None,
) -> CopyJob:
    later = f" To start at {moment_text(start_at)}." if start_at else ""
    again = f" Repeats job {repeats.pk}." if repeats else ""
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
            start_at=start_at,
        )
        audit.record(
            actor,
            "request",
            job,
            Outcome.ASKED,
            intent=_intent(job, accepted) + later + again,
            reason=request.reason,
        )
        message = f"Requested by {actor.name}.{later}{again}"
        tell(job, message, actor=actor, new=State.REQUESTED)
        if start_at is None:
            move(job, State.QUEUED, "Queued.", actor=actor, queued_at=timezone.now())
            dispatch.start(job)
    return job


def _intent(job: CopyJob, accepted: list[str]) -> str:
    what = (
        f"Copy {job.source} to {job.destination} ({job.destination_format}); when "
        f"ready: {job.get_when_ready_display()}."
    )
    in_spite = f" Warnings accepted: {'; '.join(accepted)}." if accepted else ""
    return what + in_spite
