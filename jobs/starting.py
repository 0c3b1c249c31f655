"""From a queued job to an accepted call: look, judge, make the volume, claim, call.

Each step is written down before it is taken. A worker killed between any two of them
leaves a queued job, which is taken up again, or a starting one: there a look decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import audit, definitions, leftovers
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    DiskFacts,
    DiskObservation,
    DomainObservation,
    Evidence,
    HostUnreachable,
    Hypervisor,
    HypervisorError,
    Started,
    destination_to_json,
    to_xml,
)
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from jobs.models.job import claim_of
from jobs.preflight import (
    Finding,
    findings_to_json,
    not_accepted,
    preflight,
    request_of,
    stops,
)
from jobs.reconcile import UNDECIDED
from jobs.said import joined, say
from jobs.transition import Level, move, tell

log = structlog.get_logger(__name__)

# After so long between the written intent and the call it is not called any more. With
# the hypervisor layer's own SEND_SECONDS this makes resolve.START_SENT_SECONDS.
CALL_WITHIN_SECONDS = 3.0
COPY_AGAIN = say("Copy again then.")
NO_SUCH_DISK = say("The domain has no such disk any more.")
LOOK_INTO_POOL = say(
    "Look into the pool, remove the volume if it is there, and copy again."
)


class Obstacle(Exception):
    """Why nothing is started, and what to do; `error` is what a host said."""

    def __init__(
        self, cause: str, remedy: str, error: HypervisorError | None = None
    ) -> None:
        self.cause, self.remedy, self.error = cause, remedy, error
        super().__init__(cause)


def start(hypervisor: Hypervisor, job: CopyJob) -> bool:
    """Start a queued job, whose lock is held. True if the copy runs or may yet begin.

    Raises HostUnreachable while nothing was changed on the host.
    """
    try:
        _prepare(hypervisor, job)
        return _write_intent(hypervisor, job) and _call(hypervisor, job)
    except Obstacle as obstacle:
        not_started(job, obstacle.cause, obstacle.remedy, obstacle.error)
        return False


def not_started(
    job: CopyJob, cause: str, remedy: str, error: HypervisorError | None = None
) -> None:
    """End a job that nothing was started of."""
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


# --- Look and judge -----------------------------------------------------------------


def _prepare(hypervisor: Hypervisor, job: CopyJob) -> None:
    if job.volume_asked_at and not job.created_volume:
        raise Obstacle(
            say(
                "Whether the volume %(volume)s was created is not known: the worker "
                "ended while the host was being asked to.",
                volume=job.destination,
            ),
            LOOK_INTO_POOL,
        )
    if job.created_volume:
        return  # judged before it was made, some seconds ago
    evidence = _examine(hypervisor, job)
    _judge(job, evidence)
    if job.destination_kind == "volume":
        _make_volume(hypervisor, job, evidence)


def _examine(hypervisor: Hypervisor, job: CopyJob) -> Evidence:
    try:
        return hypervisor.examine(
            job.domain_uuid,
            job.disk,
            job.target_destination,
            transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS,
        )
    except HostUnreachable:
        raise
    except HypervisorError as error:
        raise Obstacle(error.cause, error.remedy, error) from error


def _judge(job: CopyJob, evidence: Evidence) -> None:
    """Keep what every rule says; raise Obstacle for what nobody can or did accept."""
    try:
        request = request_of(job)
    except Disk.DoesNotExist as missing:
        raise Obstacle(NO_SUCH_DISK, COPY_AGAIN) from missing
    findings = preflight(request, evidence)
    job.findings = findings_to_json(findings)
    CopyJob.objects.filter(pk=job.pk).update(findings=job.findings)
    forbidden = stops(findings)
    if forbidden:
        raise Obstacle(*_told(forbidden))
    unaccepted = not_accepted(findings, request.accepted)
    if unaccepted:
        cause, remedy = _told(unaccepted)
        again = say("Or request it again and accept the warning.")
        raise Obstacle(cause, joined(remedy, again))


def _told(findings: list[Finding]) -> tuple[str, str]:
    """Their causes, and their remedies, each once."""
    causes = dict.fromkeys(finding.cause for finding in findings)
    remedies = dict.fromkeys(finding.remedy for finding in findings if finding.remedy)
    return joined(*causes), joined(*remedies)


# --- The volume -----------------------------------------------------------------------


def _make_volume(hypervisor: Hypervisor, job: CopyJob, evidence: Evidence) -> None:
    """Have the volume created, and aim the job at its path.

    A worker killed in here leaves `volume_asked_at` without a volume: not known which.
    """
    place = job.target_destination
    name = f"{place.volume} in pool {place.pool}"
    disk = _disk_of(job, evidence)
    if disk is None or not disk.capacity:
        raise Obstacle(
            say("The size of the disk is not known."), say("Sync the host first.")
        )
    _write_down(job, f"Creating the volume {name}.", volume_asked_at=timezone.now())
    try:
        path = hypervisor.create_volume(place, disk.capacity, _backing(job, disk))
    except UNDECIDED as error:
        log.warning("volume: no clear answer", job=job.pk, error=error.text)
        raise Obstacle(
            say(
                "Whether the volume %(volume)s was created is not known: %(cause)s",
                volume=say(
                    "%(volume)s in pool %(pool)s", volume=place.volume, pool=place.pool
                ),
                cause=error.cause,
            ),
            LOOK_INTO_POOL,
            error,
        ) from error
    except HypervisorError as error:
        CopyJob.objects.filter(pk=job.pk).update(volume_asked_at=None)
        job.volume_asked_at = None
        raise Obstacle(error.cause, error.remedy, error) from error
    _keep_volume(job, replace(place, path=path))


def _disk_of(job: CopyJob, evidence: Evidence) -> DiskFacts | None:
    disks = evidence.domain.disks if evidence.domain else ()
    return next((disk for disk in disks if disk.target == job.disk), None)


def _backing(job: CopyJob, disk: DiskFacts) -> ChainLink | None:
    """What a shallow copy shares with its source."""
    return disk.chain[0] if job.shallow and disk.chain else None


def _write_down(job: CopyJob, message: str, **fields: Any) -> None:
    """Set fields of a job that is still queued, with a line of history."""
    with transaction.atomic():
        queued = CopyJob.objects.filter(pk=job.pk, state=State.QUEUED)
        if queued.update(**fields) != 1:
            raise Obstacle(say("The request was withdrawn."), "")
        tell(job, message, actor=SYSTEM)
    for name, value in fields.items():
        setattr(job, name, value)


def _keep_volume(job: CopyJob, made: Destination) -> None:
    """Also of a job that was cancelled meanwhile: the volume is there."""
    fields = {
        "created_volume": {"pool": made.pool, "name": made.volume, "path": made.path},
        "destination": made.location,
        "destination_spec": destination_to_json(made),
        "destination_xml": to_xml(made),
    }
    with transaction.atomic():
        CopyJob.objects.filter(pk=job.pk).update(**fields)
        detail = f"{made.volume} in pool {made.pool}: {made.path}"
        audit.record(SYSTEM, "create volume", job, audit.Outcome.DONE, detail=detail)
        tell(job, f"The volume was created: {made.path}.", actor=SYSTEM)
        for name, value in fields.items():
            setattr(job, name, value)
        leftovers.note_made(job)


# --- Intent and call ------------------------------------------------------------------


def _write_intent(hypervisor: Hypervisor, job: CopyJob) -> bool:
    """Look once more and claim the destination. False: somebody was first."""
    try:
        domain = hypervisor.observe(job.domain_uuid)
    except HostUnreachable:
        raise
    except HypervisorError as error:
        raise Obstacle(error.cause, error.remedy, error) from error
    disk = domain.disks.get(job.disk)
    obstacle = _changed(job, domain, disk)
    if obstacle or disk is None:
        raise Obstacle(obstacle, COPY_AGAIN)
    try:
        with transaction.atomic():
            moved = move(
                job,
                State.STARTING,
                f"Starting: {disk.source} → {job.destination}.",
                actor=SYSTEM,
                source=disk.source,
                source_format=disk.format,
                libvirt_id=domain.domain_id,
                bandwidth_sent=job.bandwidth,
                started_at=timezone.now(),
                claim=claim_of(job.destination),
            )
            if moved:
                definitions.keep(job, definitions.When.BEFORE, disk)
        return moved
    except IntegrityError as taken:
        raise Obstacle(*_taken(job)) from taken


def _changed(
    job: CopyJob, domain: DomainObservation, disk: DiskObservation | None
) -> str:
    """Say what has changed on the host since the request, or an empty string."""
    if domain.domain_id is None:
        return say("The domain is not running any more.")
    if disk is None or not disk.source:
        return NO_SUCH_DISK
    if disk.mirror is not None:
        return say(
            "Another block job (%(kind)s to %(destination)s) is active.",
            kind=disk.mirror.job or "copy",
            destination=disk.mirror.destination or say("somewhere"),
        )
    if disk.source == job.destination:
        return say("The disk's source is the destination already.")
    return ""


def _taken(job: CopyJob) -> tuple[str, str]:
    other = CopyJob.objects.active().filter(claim=claim_of(job.destination)).first()
    who = say("job %(job)s", job=other.pk) if other else say("another job")
    return (
        say(
            "%(destination)s became the destination of %(job)s a moment ago.",
            destination=job.destination,
            job=who,
        ),
        say("Choose another destination."),
    )


def _call(hypervisor: Hypervisor, job: CopyJob) -> bool:
    if _seconds_since_intent(job) > CALL_WITHIN_SECONDS:
        raise Obstacle(
            say("The console's database was too slow to write the start down in time."),
            say("Copy again; if it stays so, look after the database."),
        )
    try:
        started = hypervisor.start(
            job.domain_uuid, job.disk, job.target_destination, _options(job)
        )
    except UNDECIDED as error:
        log.warning("start: no clear answer", job=job.pk, error=error.text)
        return True  # it may have begun; the look decides
    except HypervisorError as error:
        raise Obstacle(error.cause, error.remedy, error) from error
    _accepted(job, started)
    return True


def _seconds_since_intent(job: CopyJob) -> float:
    if job.started_at is None:
        raise ValueError(f"{job}: no intent to start was written down")
    return (timezone.now() - job.started_at).total_seconds()


def _options(job: CopyJob) -> CopyOptions:
    """libvirt is to write into the volume that was made for it."""
    if not job.created_volume:
        return job.options
    return replace(job.options, reuse_external=True)


def _accepted(job: CopyJob, started: Started) -> None:
    """Write down what was sent, and the act unless a look has seen it and done so."""
    sent = {"transient_job": started.transient_job, "destination_xml": started.xml}
    with transaction.atomic():
        if CopyJob.objects.filter(pk=job.pk, seen_at=None).update(**sent):
            what = f"{job.source} → {job.destination}"
            audit.record(SYSTEM, "start", job, audit.Outcome.DONE, intent=what)
        else:
            CopyJob.objects.filter(pk=job.pk).update(**sent)
