"""`blockcopy job …`: list, show, watch, pivot, finish, cancel, speed."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs import actions
from jobs.actions import Outcome
from jobs.commandline import find
from jobs.commandline.answer import Answer, Call, Failure, Status
from jobs.commandline.findings import finding_records, findings_text
from jobs.commandline.leftovers import leftovers_text
from jobs.commandline.reaching import followed, reached
from jobs.commandline.records import Record, job_record, job_records, shown_record
from jobs.commandline.text import exact, fields, table
from jobs.commandline.waiting import (
    BY_POLICY,
    BY_VERB,
    COMPLETE,
    READY,
    Goal,
    wait_until,
)
from jobs.forecast import Forecast, Kind
from jobs.lifecycle import State, WhenReady
from jobs.models import AuditEntry, CopyJob
from jobs.preflight import findings_from_json
from jobs.units import bandwidth_text, bytes_text, seconds_text

# A worker drops what it was asked for a running copy after so many seconds.
SPEED_EXPIRES = 60.0
# A planned start is told until the host is asked to begin.
AHEAD = (State.REQUESTED, State.QUEUED)


# --- Looking -------------------------------------------------------------------------


def list_all(call: Call) -> Answer:
    """List copy jobs, newest first."""
    call.must_see("copyjob")
    found = CopyJob.objects.all()
    if call.options.active:
        found = found.active()
    if call.options.state:
        found = found.filter(state__in=call.options.state)
    if call.options.flagged:
        found = found.exclude(flagged="")
    if call.options.host:
        found = found.filter(host=find.host(call.options.host))
    records = job_records(found[: call.options.limit])
    headings = (
        *("JOB", "STATE", "COPIED", "STARTS (UTC)"),
        *("HOST", "DOMAIN", "DISK", "DESTINATION"),
    )
    text = table(headings, [_row(record) for record in records])
    left = found.count() - len(records)
    return Answer(records, text + (f"\n… and {left} older ones" if left > 0 else ""))


def _row(record: Record) -> tuple[object, ...]:
    names = ("host", "domain", "disk", "destination")
    percent = (record["progress"] or {}).get("percent")
    copying = record["state"] == State.COPYING and percent is not None
    figure = f"{percent:.0f} %" if copying else ""
    planned = record["start_at"] if record["state"] in AHEAD else None
    start = datetime.fromisoformat(planned).astimezone(UTC) if planned else None
    rest = (record[name] for name in names)
    return (record["job"], record["state"], figure, start, *rest)


def show(call: Call) -> Answer:
    """Show one job: what was asked, found, done and left, with its history."""
    call.must_see("copyjob")
    job = find.job(call.options.job)
    found = findings_from_json(job.findings)
    record = shown_record(job) | {"findings": finding_records(found, job.accepted)}
    rows = [
        (event.time, event.level, event.actor, event.message)
        for event in job.events.all()
    ]
    parts = [
        _job_text(record),
        findings_text(found, job.accepted),
        leftovers_text(record["leftovers"]) if record["leftovers"] else "",
        table(("TIME", "LEVEL", "ACTOR", "EVENT"), rows),
    ]
    return Answer(record, "\n\n".join(filter(None, parts)))


def _job_text(record: Record) -> str:
    """Return what was asked and seen, without what has a table of its own."""
    tables = ("findings", "leftovers", "events", "destination_spec", "disk_xml")
    plain = {name: value for name, value in record.items() if name not in tables}
    return fields(plain | _readable(record))


def _readable(record: Record) -> Record:
    progress = record["progress"] or {}
    done = [bytes_text(progress[name]) for name in ("current", "end") if progress]
    volume = record["created_volume"] or {}
    return {
        "bandwidth": _rate(record["bandwidth"]),
        "bandwidth_asked": _rate(record["bandwidth_asked"]),
        "capacity": _size(record["capacity"]),
        "granularity": _size(record["granularity"]) or "libvirt's default",
        "buf_size": _size(record["buf_size"]) or "libvirt's default",
        "progress": " of ".join(done),
        "time_left": _time_left(record),
        "accepted": ", ".join(record["accepted"]),
        "created_volume": f"{volume['pool']}/{volume['name']}" if volume else "",
        **_limits(record),
    }


def _time_left(record: Record) -> str:
    progress = record["progress"]
    if not progress or record["state"] != State.COPYING:
        return ""
    low, high = progress["seconds_left_at_least"], progress["seconds_left"]
    return Forecast(Kind(progress["forecast"]), low, high).text


def _size(count: int | None) -> str:
    return exact(bytes_text(count), count) if count else ""


def _rate(count: int | None) -> str:
    return "" if count is None else exact(bandwidth_text(count), count, "bytes/s")


def _limits(record: Record) -> Record:
    """Return the limits that there are, each with what happens at it."""
    limits = {name: record[name] for name in ("stall_limit", "total_limit")}
    shown = {
        name: seconds_text(value) if value else "" for name, value in limits.items()
    }
    return shown | {"at_limit": record["at_limit"] if any(limits.values()) else ""}


def watch(call: Call) -> Answer:
    """Follow a job until it is ready, or until its end."""
    call.must_see("copyjob")
    job = find.job(call.options.job)
    return followed(call, job, READY if call.options.until == "ready" else COMPLETE)


# --- Acting --------------------------------------------------------------------------


def start_now(call: Call) -> Answer:
    """Start a job now that waits for its start time."""
    return _perform(call, BY_POLICY[WhenReady(find.job(call.options.job).when_ready)])


def act(call: Call) -> Answer:
    """Pivot, finish or cancel a job."""
    return _perform(call, BY_VERB[call.options.verb])


def _perform(call: Call, goal: Goal) -> Answer:
    verb = actions.VERBS[call.options.verb]
    job = find.job(call.options.job)
    frozen = getattr(call.options, "consistent", None)
    actions.perform(verb, job, call.actor, call.options.reason, consistent=frozen)
    asked = f"{verb.label} of job {job.pk} was asked for. {verb.consequence(job)}"
    return reached(call, job, goal, asked)


def speed(call: Call) -> Answer:
    """Ask for another bandwidth of a running copy; with --wait as it is then."""
    job = find.job(call.options.job)
    bandwidth: int = call.options.bandwidth
    newest = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first()
    actions.set_speed(job, bandwidth, call.actor, call.options.reason)
    if call.options.wait:
        return _in_force(job, newest or 0, call.options.timeout or SPEED_EXPIRES)
    return Answer(
        job_record(job) | {"asked_bandwidth": bandwidth},
        f"Bandwidth {_rate(bandwidth)} was asked for, for job {job.pk}.",
    )


def _in_force(job: CopyJob, after: int, timeout: float) -> Answer:
    """Answer with the bandwidth that the host read back; Failure if it was refused."""
    outcomes = AuditEntry.objects.filter(
        pk__gt=after,
        action="speed",
        object_type=job._meta.verbose_name_raw,
        object_id=str(job.pk),
        outcome__in=(Outcome.DONE, Outcome.FAILED),
    )
    entry = wait_until(outcomes.first, timeout)
    record = job_record(find.job(job.pk))
    if entry is None:
        why = (
            f"{job.host_name} did not answer within {timeout:g} s; the bandwidth is "
            "still asked for."
        )
        raise Failure(why, status=Status.TIMED_OUT, data=record)
    if entry.outcome == Outcome.FAILED:
        raise Failure(f"The bandwidth was not changed: {entry.detail}", data=record)
    now = _rate(record["bandwidth"])
    return Answer(record, f"The bandwidth of job {job.pk} is now {now}.")
