"""Carrying out what was intended: start, pivot, end and speed, one call at a time.

Each takes the job's lock, checks that the intent still stands, calls, and looks again.
A worker killed anywhere in here leaves an intent that the next look resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from jobs import audit, dispatch, live
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    DiskObservation,
    DomainObservation,
    HostUnreachable,
    Hypervisor,
    HypervisorError,
    Identity,
    NoJob,
    Started,
)
from jobs.lifecycle import ON_HOST, State
from jobs.models import CopyJob
from jobs.reconcile import (
    UNDECIDED,
    connect,
    look_at_domain,
    note_silence,
)
from jobs.transition import Level, move, tell
from jobs.units import bandwidth_text

log = structlog.get_logger(__name__)

# A copy that could not be started for so long is asked for again rather than started.
QUEUED_AT_MOST = timedelta(minutes=10)
WAITED_TOO_LONG = "The host or the workers did not answer within ten minutes."


def _job(pk: int) -> CopyJob | None:
    return CopyJob.objects.select_related("host__site", "domain").filter(pk=pk).first()


# --- Start -------------------------------------------------------------------------


def start(pk: int) -> None:
    """Start a queued job on its host, unless it waited so long that it may surprise."""
    with live.exclusively(live.call_lock(pk)) as mine:
        job = _job(pk)
        if not mine or job is None or job.state != State.QUEUED:
            return
        if timezone.now() - job.requested_at > QUEUED_AT_MOST:
            _not_started(
                job, WAITED_TOO_LONG, "Request it again if it is still wanted."
            )
            return
        try:
            with connect(job.host) as hypervisor:
                started = _start(hypervisor, job)
        except HypervisorError as error:
            note_silence(job.host, error)
            return
    if started:
        look_again(pk)


def _start(hypervisor: Hypervisor, job: CopyJob) -> bool:
    """Look once more, write the intent, call. True if the call was accepted."""
    try:
        domain = hypervisor.observe(job.domain_uuid)
    except HostUnreachable:
        raise
    except HypervisorError as error:
        return _not_started(job, error.cause, error.remedy, error)
    disk = domain.disks.get(job.disk)
    obstacle = _obstacle(job, domain, disk)
    if obstacle or disk is None:
        return _not_started(job, obstacle, "Nothing was started. Copy again then.")
    intended = move(
        job,
        State.STARTING,
        f"Starting: {disk.source} → {job.destination}.",
        actor=SYSTEM,
        source=disk.source,
        libvirt_id=domain.domain_id,
        started_at=timezone.now(),
    )
    return intended and _call_start(hypervisor, job)


def _obstacle(
    job: CopyJob, domain: DomainObservation, disk: DiskObservation | None
) -> str:
    """Say what has changed on the host since the request, or an empty string."""
    if domain.domain_id is None:
        return "The domain is not running any more."
    if disk is None or not disk.source:
        return "The domain has no such disk any more."
    if disk.mirror is not None:
        where = disk.mirror.destination or "somewhere"
        return f"Another block job ({disk.mirror.job or 'copy'} to {where}) is active."
    if disk.source == job.destination:
        return "The disk's source is the destination already."
    return ""


def _call_start(hypervisor: Hypervisor, job: CopyJob) -> bool:
    try:
        started = hypervisor.start(
            job.domain_uuid, job.disk, job.target_destination, job.options
        )
    except UNDECIDED as error:
        log.warning("start: no clear answer", job=job.pk, error=error.text)
        return True  # it may have begun; the look decides
    except HypervisorError as error:
        return _not_started(job, error.cause, error.remedy, error)
    _accepted(job, started)
    return True


def _accepted(job: CopyJob, started: Started) -> None:
    """Write down what was sent, and the act unless a look has seen it and done so."""
    sent = {"transient_job": started.transient_job, "destination_xml": started.xml}
    with transaction.atomic():
        if CopyJob.objects.filter(pk=job.pk, seen_at=None).update(**sent):
            what = f"{job.source} → {job.destination}"
            audit.record(SYSTEM, "start", job, audit.Outcome.DONE, intent=what)
        else:
            CopyJob.objects.filter(pk=job.pk).update(**sent)


def _not_started(
    job: CopyJob, cause: str, remedy: str, error: HypervisorError | None = None
) -> bool:
    refused = {"action": "start", "outcome": audit.Outcome.FAILED, "detail": cause}
    message = f"Nothing was started: {cause}"
    failed = move(
        job,
        State.FAILED,
        message,
        actor=SYSTEM,
        level=Level.ERROR,
        audited=refused,
        untouched=True,
        ended_at=timezone.now(),
        failure=cause,
        remedy=remedy,
        libvirt_code=error.code if error else None,
        libvirt_text=error.text if error else "",
    )
    if not failed:
        _cancelled_meanwhile(job, message, refused)
    return False


def _cancelled_meanwhile(job: CopyJob, message: str, refused: dict[str, Any]) -> None:
    """End a job whose cancelling was asked for while the start was being refused."""
    job.refresh_from_db(fields=["state"])
    if job.state != State.CANCELLING:
        return
    with transaction.atomic():
        audit.record(SYSTEM, about=job, **refused)
        cancelled = {"action": "cancel", "outcome": audit.Outcome.DONE}
        move(
            job,
            State.CANCELLED,
            message,
            actor=SYSTEM,
            audited={**cancelled, "detail": message},
            untouched=True,
            ended_at=timezone.now(),
        )


# --- Pivot, finish, cancel ----------------------------------------------------------


def pivot(pk: int) -> None:
    """Carry out the intent to pivot. Blocks as long as a hung destination does."""
    _carry_out(pk, State.PIVOTING, _pivot)


def end(pk: int, state: State) -> None:
    """Carry out the intent to finish or to cancel."""
    _carry_out(pk, state, _end)


def _pivot(hypervisor: Hypervisor, job: CopyJob) -> None:
    hypervisor.pivot(job.identity)


def _end(hypervisor: Hypervisor, job: CopyJob) -> None:
    hypervisor.end(job.identity)
    CopyJob.objects.filter(pk=job.pk).update(end_accepted=True)


def _carry_out(
    pk: int, state: State, call: Callable[[Hypervisor, CopyJob], None]
) -> None:
    error: HypervisorError | None = None
    with live.exclusively(live.call_lock(pk)) as mine:
        job = _job(pk)
        if not mine or job is None or job.state != state:
            return
        try:
            with connect(job.host) as hypervisor:
                call(hypervisor, job)
        except HypervisorError as raised:
            error = raised
            log.warning("call failed", job=pk, state=job.state, error=raised.text)
    look_again(pk, error)


def look_again(pk: int, error: HypervisorError | None = None) -> None:
    """Look at one job's domain and settle the job, right after a call."""
    job = _job(pk)
    if job is not None and job.state in ON_HOST:
        look([job], error=error, reissue=False)


def look(
    jobs: list[CopyJob], *, error: HypervisorError | None = None, reissue: bool = True
) -> None:
    """Look at the domain of these jobs, all of the same one; settle and call."""
    host, uuid = jobs[0].host, jobs[0].domain_uuid
    try:
        with connect(host) as hypervisor:
            due = look_at_domain(hypervisor, uuid, jobs, error=error, reissue=reissue)
    except HypervisorError as silence:
        note_silence(host, silence)
    else:
        _call(due)


def _call(due: list[CopyJob]) -> None:
    """Call one here and now; the others elsewhere, since any call may block."""
    for job in due[1:]:
        dispatch.call(job)
    for job in due[:1]:
        if job.state == State.PIVOTING:
            pivot(job.pk)
        else:
            end(job.pk, State(job.state))


# --- Speed -------------------------------------------------------------------------


def set_speed(pk: int, bytes_per_second: int, actor: str) -> None:
    """Change the bandwidth of a running copy and write down what came of it."""
    job = _job(pk)
    if job is None:
        return
    asked = f"bandwidth {bytes_per_second} bytes/s, asked by {actor}"
    try:
        with connect(job.host) as hypervisor:
            effective = hypervisor.set_speed(_identity(job), bytes_per_second)
    except HypervisorError as error:
        _speed_stays(job, asked, error.cause)
        return
    done, detail = audit.Outcome.DONE, f"{effective} bytes/s in force"
    with transaction.atomic():
        CopyJob.objects.filter(pk=pk).update(bandwidth=effective)
        audit.record(SYSTEM, "speed", job, done, intent=asked, detail=detail)
        tell(job, f"Bandwidth is now {bandwidth_text(effective)}.", actor=SYSTEM)


def _identity(job: CopyJob) -> Identity:
    if not job.active or job.libvirt_id is None:
        raise NoJob
    return job.identity


def _speed_stays(job: CopyJob, asked: str, cause: str) -> None:
    failed = audit.Outcome.FAILED
    with transaction.atomic():
        audit.record(SYSTEM, "speed", job, failed, intent=asked, detail=cause)
        tell(
            job,
            f"The bandwidth was not changed: {cause}",
            actor=SYSTEM,
            level=Level.WARNING,
        )
