"""`blockcopy job …`: start, list, show, watch, pivot, finish, cancel, speed."""

from __future__ import annotations

from jobs import actions
from jobs.actions import Invalid
from jobs.commandline import find
from jobs.commandline.answer import Answer, Call
from jobs.commandline.display import display
from jobs.commandline.records import (
    Record,
    event_records,
    job_record,
    job_records,
)
from jobs.commandline.text import fields, table
from jobs.commandline.waiting import (
    BY_POLICY,
    BY_VERB,
    COMPLETE,
    READY,
    Goal,
    follow,
)
from jobs.hypervisor import CopyOptions, Destination, to_xml
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob
from jobs.preflight import CopyRequest, problems
from jobs.units import bandwidth_text, bytes_text


def start(call: Call) -> Answer:
    """Start a copy, or only print the XML that would be sent."""
    request = _request(call)
    if call.options.print_xml:
        return _xml(request)
    job = actions.request_copy(request, call.actor)
    asked = f"Job {job.pk} copies {job.source} to {job.destination}."
    return _reached(call, job, BY_POLICY[request.when_ready], asked)


def _request(call: Call) -> CopyRequest:
    given = call.options
    domain = find.domain(find.host(given.host), given.domain)
    return CopyRequest(
        disk=find.disk(domain, given.disk),
        destination=Destination(kind=given.kind, path=given.to, format=given.format),
        options=CopyOptions(
            shallow=given.shallow,
            reuse_external=given.reuse_external,
            synchronous_writes=given.synchronous_writes,
            bandwidth=given.bandwidth,
            granularity=given.granularity,
            buf_size=given.buf_size,
        ),
        when_ready=WhenReady(given.when_ready),
        reason=given.reason,
    )


def _xml(request: CopyRequest) -> Answer:
    found = problems(request)
    if found:
        raise Invalid(found)
    xml = to_xml(request.destination)
    return Answer({"xml": xml}, xml)


def _reached(call: Call, job: CopyJob, goal: Goal, asked: str) -> Answer:
    """Answer at once, or with --wait when the job reached `goal`."""
    if not call.options.wait:
        return Answer(job_record(job), asked)
    shown = display(as_json=call.options.json)
    reached = follow(job.pk, goal, shown, call.options.timeout)
    return Answer(job_record(reached), _ended(reached))


def _ended(job: CopyJob) -> str:
    told = f"Job {job.pk}: {State(job.state).label}."
    open_choice = job.state == State.MIRRORING and job.when_ready == WhenReady.WAIT
    hint = f"Decide: blockcopy job pivot|finish|cancel {job.pk}." if open_choice else ""
    return " ".join(filter(None, [told, job.left_behind, hint]))


# --- Looking -------------------------------------------------------------------------


def list_all(call: Call) -> Answer:
    """List copy jobs, newest first."""
    call.must_see("copyjob")
    found = CopyJob.objects.all()
    if call.options.active:
        found = found.active()
    if call.options.state:
        found = found.filter(state__in=call.options.state)
    if call.options.host:
        found = found.filter(host=find.host(call.options.host))
    records = job_records(found[: call.options.limit])
    headings = ("JOB", "STATE", "COPIED", "HOST", "DOMAIN", "DISK", "DESTINATION")
    text = table(headings, [_row(record) for record in records])
    left = found.count() - len(records)
    return Answer(records, text + (f"\n… and {left} older ones" if left > 0 else ""))


def _row(record: Record) -> tuple[object, ...]:
    names = ("host", "domain", "disk", "destination")
    percent = (record["progress"] or {}).get("percent")
    copying = record["state"] == State.COPYING and percent is not None
    figure = f"{percent:.0f} %" if copying else ""
    return (record["job"], record["state"], figure, *(record[name] for name in names))


def show(call: Call) -> Answer:
    """Show one job with its history."""
    call.must_see("copyjob")
    job = find.job(call.options.job)
    record, events = job_record(job), event_records(job)
    record |= {"destination_xml": job.destination_xml}
    rows = [
        (event.time, event.level, event.actor, event.message)
        for event in job.events.all()
    ]
    text = "\n\n".join(
        [_job_text(record), table(("TIME", "LEVEL", "ACTOR", "EVENT"), rows)]
    )
    return Answer(record | {"events": events}, text)


def _job_text(record: Record) -> str:
    progress = record["progress"] or {}
    done = [bytes_text(progress[name]) for name in ("current", "end") if progress]
    return fields(
        record
        | {
            "bandwidth": bandwidth_text(record["bandwidth"]),
            "capacity": bytes_text(record["capacity"]),
            "granularity": record["granularity"] or "libvirt's default",
            "buf_size": record["buf_size"] or "libvirt's default",
            "progress": " of ".join(done),
        }
    )


def watch(call: Call) -> Answer:
    """Follow a job until it is ready, or until its end."""
    call.must_see("copyjob")
    job = find.job(call.options.job)
    goal = READY if call.options.until == "ready" else COMPLETE
    shown = display(as_json=call.options.json)
    reached = follow(job.pk, goal, shown, call.options.timeout)
    return Answer(job_record(reached), _ended(reached))


# --- Acting --------------------------------------------------------------------------


def act(call: Call) -> Answer:
    """Pivot, finish or cancel a job."""
    verb = actions.VERBS[call.options.verb]
    job = find.job(call.options.job)
    consequence = verb.consequence(job)
    actions.perform(verb, job, call.actor, call.options.reason)
    asked = f"{verb.label} of job {job.pk} was asked for. {consequence}"
    return _reached(call, job, BY_VERB[verb.name], asked)


def speed(call: Call) -> Answer:
    """Ask for another bandwidth of a running copy."""
    job = find.job(call.options.job)
    bandwidth: int = call.options.bandwidth
    actions.set_speed(job, bandwidth, call.actor, call.options.reason)
    return Answer(
        job_record(job) | {"asked_bandwidth": bandwidth},
        f"Bandwidth {bandwidth_text(bandwidth)} was asked for, for job {job.pk}.",
    )
