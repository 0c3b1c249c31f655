"""Copies that this console did not start: seen, told, and left alone or adopted.

A copy is a stranger's while no job of ours is on its disk. It is never ended or
overwritten by itself; an operator may adopt it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from jobs import dispatch, live
from jobs.hypervisor import DomainObservation, HypervisorError, Mirror
from jobs.inventory import mirror_fields
from jobs.lifecycle import ENDED, State
from jobs.models import CopyJob, Disk, Host

EVERYWHERE = Q()


def foreign_copies(among: Q = EVERYWHERE) -> QuerySet[Disk]:
    """Return the disks that show a block job which is none of ours, as last seen.

    A mirror of ours that ended after its host was read still shows in the inventory,
    and libvirt may show one of a job that is lost for as long as the guest runs. Each
    has `active_job`, the number of the job of ours on the same disk, or None. `among`:
    only these disks.
    """
    shown = Disk.objects.filter(among, gone_at=None).exclude(mirror="").order_by()
    ours = CopyJob.objects.active().filter(
        domain=OuterRef("domain"),
        disk=OuterRef("target"),
        destination=OuterRef("mirror"),
    )
    # Nearly all that show one are ours. Asked for the few others in one query with what
    # follows, PostgreSQL would go through all disks of one host after the other.
    others = list(shown.exclude(Exists(ours)).values_list("pk", flat=True))
    same_disk = CopyJob.objects.filter(
        host=OuterRef("domain__host"),
        domain_uuid=OuterRef("domain__uuid"),
        disk=OuterRef("target"),
    )
    same_copy = same_disk.filter(destination=OuterRef("mirror"))
    just_ended = same_copy.filter(
        state__in=ENDED, ended_at__gte=OuterRef("domain__seen_at")
    )
    lost = same_copy.filter(
        state=State.LOST, doubted=True, libvirt_id=OuterRef("domain__libvirt_id")
    )
    return (
        Disk.objects.filter(pk__in=others, domain__gone_at=None)
        .exclude(Exists(just_ended))
        .exclude(Exists(lost))
        .annotate(active_job=Subquery(same_disk.active().values("pk")[:1]))
        .select_related("domain__host")
        .order_by("domain__host__name", "domain__name", "target")
    )


def note_mirrors(
    host: Host,
    seen: Mapping[str, DomainObservation | HypervisorError],
    asked_at: datetime,
) -> None:
    """Write down the block jobs that the domains of `host` show; asked at `asked_at`.

    A disk's source and its format are written with them, and which run of the guest
    it is: who adopts a copy has to know where the guest is, and since the last
    inventory somebody may have pivoted, or started the guest.
    """
    told = {
        (uuid, target): (domain, disk)
        for uuid, domain in seen.items()
        if isinstance(domain, DomainObservation)
        for target, disk in domain.disks.items()
    }
    rows = Disk.objects.filter(domain__host=host, gone_at=None).annotate(
        uuid=F("domain__uuid"), run=F("domain__libvirt_id")
    )
    changed = moved = False
    for row in rows.values_list("pk", "uuid", "run", "target", "source", "mirror"):
        pk, uuid, run, target, source, mirror = row
        domain, now = told.get((uuid, target), (None, None))
        if domain is None or now is None or not _shown(now.mirror):
            continue
        if domain.domain_id not in (run, None):
            if not _note_run(host, domain, asked_at):
                continue  # the next look tells
            changed = True
        if (now.source, _destination(now.mirror)) != (source, mirror):
            Disk.objects.filter(pk=pk).update(
                source=now.source, format=now.format, **mirror_fields(now.mirror)
            )
            changed, moved = True, moved or now.source != source
    if changed:
        live.wake_host(host)
    if moved:  # its size and chain are others too
        dispatch.sync_host(host.site.name, host.pk)


def _note_run(host: Host, domain: DomainObservation, asked_at: datetime) -> bool:
    """Write down which run of a guest it is, unless an inventory may know better.

    Return whether it was written.
    """
    before = host.domains.filter(uuid=domain.uuid, seen_at__lt=asked_at)
    run = {"libvirt_id": domain.domain_id, "state": domain.state}
    return before.update(**run, unaccounted=False) > 0


def _shown(mirror: Mirror | None) -> bool:
    """For some milliseconds at a job's end libvirt names neither job nor place."""
    return mirror is None or bool(mirror.destination)


def _destination(mirror: Mirror | None) -> str:
    return mirror.destination if mirror else ""


def running_domains(host: Host) -> Collection[str]:
    """Return the UUIDs of the domains that may have block jobs."""
    running = host.domains.filter(gone_at=None).exclude(libvirt_id=None)
    return list(running.values_list("uuid", flat=True))
