"""Taking over a copy that somebody began elsewhere, with virsh for example."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import audit, dispatch
from jobs.actions.refusal import NotPossible, must, refuse
from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from jobs.models.job import claim_of
from jobs.names import alone
from jobs.said import say
from jobs.transition import tell

ADOPT_PERMISSION = "jobs.start_copyjob"


def adoption_why_not(disk: Disk, actor: Actor | None = None) -> str:
    """Return why the copy on `disk` can't be adopted, or an empty string."""
    ours = CopyJob.objects.active().filter(
        host=disk.domain.host, domain_uuid=disk.domain.uuid, disk=disk.target
    )
    return stranger_why_not(
        disk, ours.values_list("pk", flat=True).first(), actor
    ) or _place_taken(disk)


def _place_taken(disk: Disk) -> str:
    """Say which job of ours has the foreign copy's destination for its own."""
    other = CopyJob.objects.active().filter(claim=claim_of(disk.mirror)).first()
    if other is None:
        return ""
    return say(
        "%(mirror)s is the destination of job %(job)s, of "
        "%(domain)s on %(host)s. Adopt this copy when that "
        "job has ended.",
        mirror=disk.mirror,
        job=other.pk,
        domain=other.domain_name,
        host=other.host_name,
    )


def stranger_why_not(
    disk: Disk, active_job: int | None, actor: Actor | None = None
) -> str:
    """Return the same without asking the database, for lists.

    `active_job` is the number of the active job of ours on the disk.
    """
    if actor is not None and not actor.may(ADOPT_PERMISSION):
        return say("Your role does not allow you to adopt a copy.")
    domain = disk.domain
    if not disk.mirror or disk.gone_at or not domain.running:
        return say(
            "%(domain)s shows no copy on %(target)s any more.",
            domain=domain.name,
            target=disk.target,
        )
    if disk.mirror_job not in ("copy", ""):
        return say(
            "It is no copy but a job of another kind (%(mirror_job)s).",
            mirror_job=disk.mirror_job,
        )
    if not domain.host.enabled:
        return say("%(host)s is disabled; enable it first.", host=domain.host)
    return (
        say("Job %(job)s is on this disk already.", job=active_job)
        if active_job
        else ""
    )


def adoption_consequence(disk: Disk) -> str:
    """Say what adopting the copy on `disk` will lead to."""
    name = alone(disk.domain.name)
    return say(
        "The copy of %(target)s of %(name)s to %(mirror)s becomes a job "
        "of this console. Nothing changes on %(host)s: %(name)s stays "
        "on %(source)s until a person pivots, finishes or cancels. "
        "Whoever began the copy elsewhere can still end it there.",
        target=disk.target,
        name=name,
        mirror=alone(disk.mirror),
        host=disk.domain.host,
        source=alone(disk.source),
    )


def adopt(disk: Disk, actor: Actor, reason: str = "") -> CopyJob:
    """Make the copy that the host shows on `disk` a job, and look at it.

    Denied or NotPossible; nothing was changed then.
    """
    why_not = adoption_why_not(disk, actor)
    must(actor, ADOPT_PERMISSION, "adopt", disk.domain.host, why_not, reason)
    try:
        with transaction.atomic():
            return _adopted(disk, actor, reason)
    except IntegrityError:
        first = NotPossible(
            say(
                "Somebody was first: a job is on this disk, or copies to the "
                "same place, by now."
            )
        )
    refuse(actor, "adopt", disk.domain.host, first, reason)


def _adopted(disk: Disk, actor: Actor, reason: str) -> CopyJob:
    domain, now = disk.domain, timezone.now()
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
        destination=disk.mirror,
        destination_kind=disk.mirror_kind or "file",
        destination_format=disk.mirror_format,
        claim=claim_of(disk.mirror),
        requested_by=actor.user,
        requested_by_name=actor.name,
        reason=reason,
        state=State.COPYING,
        libvirt_id=domain.libvirt_id,
        started_at=now,
        seen_at=now,
        adopted_at=now,
    )
    told = f"Adopted by {actor.name}: the copy was begun elsewhere."
    tell(job, told, actor=actor, new=State.COPYING)
    audit.record(
        actor,
        "adopt",
        job,
        Outcome.DONE,
        intent=adoption_consequence(disk),
        reason=reason,
    )
    dispatch.observe_host(domain.host.site.name, domain.host.pk)
    return job
