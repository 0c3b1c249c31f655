"""Finishing a copy while the guest's file systems are frozen, so that it is consistent.

A frozen guest hangs. So it is written down before it is frozen, it is thawed whatever
becomes of the mirror, and where the worker was killed in between, the next look sees to
it. Without an agent, or when anything goes wrong, the copy is what it would have been
otherwise: as after a power cut. Which of both it is, is told.
"""

from __future__ import annotations

import time

import structlog
from django.db import transaction
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    AgentUnavailable,
    DiskObservation,
    DomainNotFound,
    DomainNotRunning,
    HostBusy,
    HostUnreachable,
    Hypervisor,
    HypervisorError,
)
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.models.job import Consistency
from jobs.transition import Level, tell

log = structlog.get_logger(__name__)

# The mirror of a frozen guest ends in milliseconds. After so long it is thawed anyway.
MIRROR_END_SECONDS = 10.0
_LOOK_EACH = 0.02
STILL_FROZEN = (
    "The guest's file systems may still be frozen: the guest hangs then. They could "
    "not be thawed; it is tried again. By hand: virsh domfsthaw."
)


def finish(hypervisor: Hypervisor, job: CopyJob) -> None:
    """End the mirror with the guest frozen, if its agent lets us; thaw in any case.

    Raises what `Hypervisor.end` raises; the guest is thawed then too.
    """
    _require_answer(hypervisor, job)
    frozen, why = _freeze(hypervisor, job)
    since = time.monotonic()
    ended = False
    try:
        hypervisor.end(job.identity)
        CopyJob.objects.filter(pk=job.pk).update(end_accepted=True)
        ended = frozen > 0 and _mirror_ends(hypervisor, job)
    except HypervisorError:
        if _thaw_after(hypervisor, job):
            tell(job, "The guest's file systems were thawed again.", actor=SYSTEM)
        raise
    except BaseException:
        _thaw_after(hypervisor, job)
        raise
    thawed = _thaw_after(hypervisor, job)
    if frozen and not ended:
        why = f"the mirror was not seen to end within {MIRROR_END_SECONDS:g} s"
    elif frozen and not thawed:
        why = "the file systems were not frozen any more when it had ended"
    _tell_consistency(job, why, frozen, time.monotonic() - since)


def _require_answer(hypervisor: Hypervisor, job: CopyJob) -> None:
    """Raise HostBusy while QEMU does not answer: the end would have to wait for it, and
    the guest would be frozen for nothing, again and again."""
    if hypervisor.observe(job.domain_uuid, [job.disk]).stuck:
        raise HostBusy


def _freeze(hypervisor: Hypervisor, job: CopyJob) -> tuple[int, str]:
    """How many file systems are frozen; if none, why."""
    now = timezone.now()
    unfrozen = CopyJob.objects.filter(pk=job.pk, frozen_at=None)
    with transaction.atomic():
        if unfrozen.update(frozen_at=now) != 1:
            return 0, "the guest could not be thawed after the last attempt"
        tell(job, "The guest's file systems are being frozen.", actor=SYSTEM)
    job.frozen_at = now
    try:
        count = hypervisor.freeze(job.domain_uuid)
    except (HostUnreachable, HostBusy) as error:
        # It may be frozen, or will be, but perhaps only after the mirror's end.
        CopyJob.objects.filter(pk=job.pk).update(consistency=Consistency.CRASH)
        return 0, f"the freeze was not answered ({error.text})"
    except AgentUnavailable as error:
        _forget(job)
        return 0, f"no guest agent answers ({error.text})"
    except HypervisorError as error:
        _forget(job)
        return 0, f"the guest did not let itself be frozen ({error.text})"
    return count, "" if count else "the guest's agent froze no file system"


def _mirror_ends(hypervisor: Hypervisor, job: CopyJob) -> bool:
    """Wait until the live definition shows no mirror any more: the end is asynchronous
    and not done when it is accepted."""
    deadline = time.monotonic() + MIRROR_END_SECONDS
    while time.monotonic() < deadline:
        try:
            disk = hypervisor.observe(job.domain_uuid).disks.get(job.disk)
        except HypervisorError:
            return False
        if disk is None or disk.mirror is None:
            return disk is not None
        time.sleep(_LOOK_EACH)
    return False


def _thaw_after(hypervisor: Hypervisor, job: CopyJob) -> int:
    """Thaw; how many file systems were frozen until now. A failure is left to the next
    look, for which `frozen_at` stands."""
    if job.frozen_at is None:
        return 0
    try:
        count = hypervisor.thaw(job.domain_uuid)
    except HypervisorError as error:
        _tell_still_frozen(job, error)
        return 0
    _forget(job)
    return count


def _forget(job: CopyJob) -> None:
    CopyJob.objects.filter(pk=job.pk).update(frozen_at=None)
    job.frozen_at = None


def _tell_consistency(job: CopyJob, why: str, frozen: int, seconds: float) -> None:
    if why:
        like = Consistency.CRASH
        message = f"The copy is crash-consistent, as after a power cut: {why}."
    else:
        like = Consistency.GUEST
        message = (
            "The copy is consistent for the guest: its file systems "
            f"({frozen}) were frozen while the mirror ended, for {seconds:.1f} s."
        )
    _keep(job, like, message)


def _keep(job: CopyJob, like: Consistency, message: str) -> None:
    level = Level.INFO if like == Consistency.GUEST else Level.WARNING
    with transaction.atomic():
        CopyJob.objects.filter(pk=job.pk).update(consistency=like)
        tell(job, message, actor=SYSTEM, level=level)
    job.consistency = like


# --- Nobody thawed it ----------------------------------------------------------------


def thaw(hypervisor: Hypervisor, job: CopyJob) -> None:
    """Thaw the guest of `job`, which a killed worker or a silent agent left frozen.

    Raises HostUnreachable. Other failures are told once; the next look tries again.
    """
    try:
        seen = hypervisor.observe(job.domain_uuid)
    except DomainNotFound:
        _forget(job)
        return
    if seen.domain_id is None or seen.domain_id != job.libvirt_id:
        _forget(job)  # a run that is over took its frozen file systems with it
        return
    try:
        count = hypervisor.thaw(job.domain_uuid)
    except HostUnreachable:
        raise
    except (DomainNotFound, DomainNotRunning):
        _forget(job)
    except HypervisorError as error:
        _tell_still_frozen(job, error)
    else:
        _tell_thawed(job, count, seen.disks.get(job.disk))


def _tell_thawed(job: CopyJob, count: int, disk: DiskObservation | None) -> None:
    """The mirror was seen before the thaw: if it was gone then, and the guest frozen
    until now, it ended while the guest was frozen, for the freeze comes first."""
    message = f"The guest's file systems ({count}) had been left frozen; thawed now."
    with transaction.atomic():
        _forget(job)
        if count:
            tell(job, message, actor=SYSTEM, level=Level.WARNING)
            audit.record(SYSTEM, "thaw", job, audit.Outcome.DONE, detail=message)
        if job.consistency or disk is None or disk.mirror is not None:
            return
        if job.state not in (State.FINISHING, State.COPIED):
            return
        if count:
            like, told = Consistency.GUEST, "The copy is consistent for the guest."
        else:
            like, told = Consistency.CRASH, "The copy is crash-consistent."
        _keep(job, like, told)


def _tell_still_frozen(job: CopyJob, error: HypervisorError) -> None:
    log.error("guest not thawed", job=job.pk, error=error.text)
    if job.events.filter(message=STILL_FROZEN).exists():
        return
    failed, detail = audit.Outcome.FAILED, f"{error.cause} {error.text}"
    with transaction.atomic():
        tell(job, STILL_FROZEN, actor=SYSTEM, level=Level.ERROR)
        audit.record(SYSTEM, "thaw", job, failed, detail=detail)
