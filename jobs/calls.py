"""Carrying out what was intended: start, pivot, end and speed, one call at a time.

Each takes the job's lock, checks that the intent still stands, calls, and looks again.
A worker killed anywhere in here leaves an intent that the next look resolves.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.utils import timezone

from jobs import audit, live
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    DiskObservation,
    DomainObservation,
    HostUnreachable,
    Hypervisor,
    HypervisorError,
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


def _job(pk: int) -> CopyJob | None:
    return CopyJob.objects.select_related("host__site", "domain").filter(pk=pk).first()


# --- Start -------------------------------------------------------------------------


def start(pk: int) -> None:
    """Start a queued job on its host."""
    with live.exclusively(live.call_lock(pk)) as mine:
        job = _job(pk)
        if not mine or job is None or job.state != State.QUEUED:
            return
        try:
            with connect(job.host) as hypervisor:
                started = _start(hypervisor, job)
        except HostUnreachable as error:
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
    CopyJob.objects.filter(pk=job.pk).update(
        transient_job=started.transient_job, destination_xml=started.xml
    )
    return True


def _not_started(
    job: CopyJob, cause: str, remedy: str, error: HypervisorError | None = None
) -> bool:
    move(
        job,
        State.FAILED,
        f"Nothing was started: {cause}",
        actor=SYSTEM,
        level=Level.ERROR,
        audited={"action": "start", "outcome": audit.Outcome.FAILED, "detail": cause},
        ended_at=timezone.now(),
        failure=cause,
        remedy=remedy,
        libvirt_code=error.code if error else None,
        libvirt_text=error.text if error else "",
    )
    return False


# --- Pivot, finish, cancel ----------------------------------------------------------


def pivot(pk: int) -> None:
    """Carry out the intent to pivot. Blocks as long as a hung destination does."""
    _carry_out(pk, {State.PIVOTING}, lambda hypervisor, job: _pivot(hypervisor, job))


def end(pk: int, state: State) -> None:
    """Carry out the intent to finish or to cancel."""
    _carry_out(pk, {state}, _end)


def _pivot(hypervisor: Hypervisor, job: CopyJob) -> None:
    hypervisor.pivot(job.identity)


def _end(hypervisor: Hypervisor, job: CopyJob) -> None:
    hypervisor.end(job.identity)
    CopyJob.objects.filter(pk=job.pk).update(end_accepted=True)


def _carry_out(
    pk: int, states: set[State], call: Callable[[Hypervisor, CopyJob], None]
) -> None:
    error: HypervisorError | None = None
    with live.exclusively(live.call_lock(pk)) as mine:
        job = _job(pk)
        if not mine or job is None or job.state not in states:
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
    if job is None or job.state not in ON_HOST:
        return
    try:
        with connect(job.host) as hypervisor:
            look_at_domain(
                hypervisor, job.domain_uuid, [job], error=error, reissue=False
            )
    except HostUnreachable as silence:
        note_silence(job.host, silence)


# --- Speed -------------------------------------------------------------------------


def set_speed(pk: int, bytes_per_second: int, actor: str) -> None:
    """Change the bandwidth of a running copy and write down what came of it."""
    job = _job(pk)
    if job is None or job.state not in (State.COPYING, State.MIRRORING):
        return
    asked = f"bandwidth {bytes_per_second} bytes/s, asked by {actor}"
    try:
        with connect(job.host) as hypervisor:
            effective = hypervisor.set_speed(job.identity, bytes_per_second)
    except HypervisorError as error:
        audit.record(
            SYSTEM, "speed", job, audit.Outcome.FAILED, intent=asked, detail=error.cause
        )
        tell(
            job,
            f"The bandwidth was not changed: {error.cause}",
            actor=SYSTEM,
            level=Level.WARNING,
        )
        return
    CopyJob.objects.filter(pk=pk).update(bandwidth=effective)
    audit.record(
        SYSTEM,
        "speed",
        job,
        audit.Outcome.DONE,
        intent=asked,
        detail=f"{effective} bytes/s in force",
    )
    tell(job, f"Bandwidth is now {bandwidth_text(effective)}.", actor=SYSTEM)
