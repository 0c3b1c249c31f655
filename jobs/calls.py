"""Carrying out what was intended: start, pivot, end and speed, one call at a time.

Each takes the job's lock, checks that the intent still stands, calls, and looks again.
A worker killed anywhere in here leaves an intent that the next look resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs import audit, dispatch, freezing, live, starting
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    Hypervisor,
    HypervisorError,
    Identity,
    NoJob,
    PivotFailed,
)
from jobs.lifecycle import ON_HOST, State
from jobs.models import CopyJob
from jobs.reconcile import (
    UNDECIDED,
    connect,
    look_at_domain,
    note_silence,
)
from jobs.transition import Level, tell
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
        if timezone.now() - job.queued_since > QUEUED_AT_MOST:
            remedy = "Request it again if it is still wanted."
            starting.not_started(job, WAITED_TOO_LONG, remedy)
            return
        try:
            with connect(job.host) as hypervisor:
                started = starting.start(hypervisor, job)
        except HypervisorError as error:
            note_silence(job.host, error)
            return
    if started:
        look_again(pk)


# --- Pivot, finish, cancel ----------------------------------------------------------


def pivot(pk: int) -> None:
    """Carry out the intent to pivot. Blocks as long as a hung destination does."""
    _carry_out(pk, State.PIVOTING, _pivot)


def end(pk: int, state: State) -> None:
    """Carry out the intent to finish or to cancel."""
    _carry_out(pk, state, _end)


def _pivot(hypervisor: Hypervisor, job: CopyJob) -> None:
    look = settings.BLOCKCOPY_TRANSIENT_POOLS
    hypervisor.check_destination(job.identity, transient_pools=look)
    hypervisor.pivot(job.identity)


def _end(hypervisor: Hypervisor, job: CopyJob) -> None:
    if job.state == State.FINISHING and job.consistent:
        freezing.finish(hypervisor, job)
        return
    if job.cancelled_by_limit and _is_ready(hypervisor, job):
        return  # it is none of the limit's business any more
    hypervisor.end(job.identity)
    CopyJob.objects.filter(pk=job.pk).update(end_accepted=True)


def _is_ready(hypervisor: Hypervisor, job: CopyJob) -> bool:
    disk = hypervisor.observe(job.domain_uuid).disks.get(job.disk)
    return disk is not None and disk.mirror is not None and disk.mirror.is_ready


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
            if isinstance(error, PivotFailed):  # as the event says, if it is heard
                unheard = CopyJob.objects.filter(pk=pk, state=state, last_event="")
                unheard.update(last_event="failed")
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


def set_speed(pk: int) -> None:
    """Change the bandwidth of a running copy to what was asked for last.

    Without a clear answer the intent stands, and the sweep asks again.
    """
    job = _job(pk)
    if job is None or job.bandwidth_asked is None:
        return
    wanted = job.bandwidth_asked
    asked = f"bandwidth {wanted} bytes/s, asked by {job.bandwidth_asked_by}"
    try:
        with connect(job.host) as hypervisor:
            effective = hypervisor.set_speed(_identity(job), wanted)
    except NoJob as error:
        _speed_stays(job, asked, error.cause)
    except UNDECIDED as error:
        log.warning("bandwidth: no clear answer", job=pk, error=error.text)
    except HypervisorError as error:
        _speed_stays(job, asked, error.cause)
    else:
        _speed_changed(job, asked, effective)


def _identity(job: CopyJob) -> Identity:
    if not job.active or job.libvirt_id is None:
        raise NoJob
    return job.identity


def _done_with_speed(job: CopyJob, **fields: int) -> bool:
    """Forget the intent; False if somebody did, or asked for another one meanwhile."""
    same = CopyJob.objects.filter(pk=job.pk, bandwidth_asked=job.bandwidth_asked)
    return same.update(bandwidth_asked=None, bandwidth_asked_by="", **fields) == 1


def _speed_changed(job: CopyJob, asked: str, effective: int) -> None:
    done, detail = audit.Outcome.DONE, f"{effective} bytes/s in force"
    with transaction.atomic():
        if not _done_with_speed(job, bandwidth=effective):
            return
        audit.record(SYSTEM, "speed", job, done, intent=asked, detail=detail)
        tell(job, f"Bandwidth is now {bandwidth_text(effective)}.", actor=SYSTEM)


def _speed_stays(job: CopyJob, asked: str, cause: str) -> None:
    failed, message = audit.Outcome.FAILED, f"The bandwidth was not changed: {cause}"
    with transaction.atomic():
        if not _done_with_speed(job):
            return
        audit.record(SYSTEM, "speed", job, failed, intent=asked, detail=cause)
        tell(job, message, actor=SYSTEM, level=Level.WARNING)


# --- Thaw --------------------------------------------------------------------------


def thaw(pk: int) -> None:
    """Thaw a guest that was left frozen, unless a call is at it right now."""
    with live.exclusively(live.call_lock(pk)) as mine:
        job = _job(pk)
        if not mine or job is None or job.frozen_at is None:
            return
        try:
            with connect(job.host) as hypervisor:
                freezing.thaw(hypervisor, job)
        except HypervisorError as error:
            note_silence(job.host, error)
            return
    look_again(pk)
