"""The ledger of what jobs left on the hosts' storage, and what still uses it.

`note` writes a row in the transaction in which a job ends. Whether anything uses a
leftover is never stored: it is asked of the inventory whenever it matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Domain, Host, Leftover, StoragePool
from jobs.models.domain import using
from jobs.resolve import Side
from jobs.said import say

Kind = Leftover.Kind


# --- Noting -------------------------------------------------------------------------


def note(
    job: CopyJob, new: State, side: Side = Side.SOURCE, *, untouched: bool = False
) -> None:
    """Write down what `job`, which just came to its end `new`, has left behind.

    `side` says where the guest is: that file is never a leftover. `untouched`: the
    host refused the start and left nothing. Call it in the end's own transaction;
    a second call changes nothing.
    """
    for left in _left_by(job, new, side, untouched=untouched):
        leftover, added = Leftover.objects.get_or_create(
            job=job,
            location=left.location,
            defaults={
                "host_id": job.host_id,
                "host_name": job.host_name,
                "domain_name": job.domain_name,
                "kind": left.kind,
                "storage_kind": left.storage_kind,
                "ours": left.ours,
            },
        )
        if added:
            _close_earlier(leftover)
            if left.ours and left.kind == Kind.PARTIAL and new == State.FAILED:
                _ask_by_ourselves(leftover)


def note_made(job: CopyJob) -> None:
    """Write down that the volume of `job` was made after all.

    A job that had ended by then is listed as having left it perhaps.
    """
    perhaps = Leftover.objects.there().filter(job=job, kind=Kind.UNCERTAIN)
    if job.created_volume:
        path = job.created_volume["path"]
        perhaps.update(kind=Kind.PARTIAL, location=path, ours=True)


@dataclass(frozen=True)
class _Left:
    kind: Leftover.Kind
    location: str
    storage_kind: str
    ours: bool = False


def _left_by(
    job: CopyJob, new: State, side: Side, *, untouched: bool
) -> Iterator[_Left]:
    if job.libvirt_id is None or untouched:
        if job.created_volume:
            yield _destination(job, Kind.PARTIAL)
        elif job.volume_asked_at:
            yield _Left(Kind.UNCERTAIN, _path_to_be(job), "volume")
    elif not side.is_known:
        yield from _source(job, Kind.UNCERTAIN)
        yield _destination(job, Kind.UNCERTAIN)
    elif side == Side.DESTINATION:
        yield from _source(job, Kind.SOURCE)
    else:
        yield _destination(job, Kind.COPY if new == State.COPIED else Kind.PARTIAL)


def _destination(job: CopyJob, kind: Leftover.Kind) -> _Left:
    if job.created_volume:
        return _Left(kind, job.created_volume["path"], "volume", ours=True)
    return _Left(kind, job.destination, job.destination_kind)


def _path_to_be(job: CopyJob) -> str:
    """Where a volume lies if it was made: a pool's volumes are named as its files."""
    place = job.target_destination
    pool = StoragePool.objects.filter(host=job.host_id, name=place.pool).first()
    if pool is None or not pool.path:
        return job.destination
    return f"{pool.path.rstrip('/')}/{place.volume}"


def _source(job: CopyJob, kind: Leftover.Kind) -> Iterator[_Left]:
    if job.source:
        disk = Disk.objects.filter(domain=job.domain_id, target=job.disk).first()
        yield _Left(kind, job.source, (disk and disk.source_kind) or "file")


def _close_earlier(leftover: Leftover) -> None:
    """One place is one row: what an earlier job left there is not there any more."""
    earlier = Leftover.objects.there().filter(
        host=leftover.host_id, location=leftover.location
    )
    words = say(
        "Job %(job)s used the place again and is listed for it.", job=leftover.job_id
    )
    for row in earlier.exclude(pk=leftover.pk):
        fields = row.saying(removed_at=timezone.now(), closing=words)
        Leftover.objects.filter(pk=row.pk).update(**fields)


def _ask_by_ourselves(leftover: Leftover) -> None:
    """The one removal that nobody has to ask for: a failed job's own volume."""
    leftover.removal_asked_at = timezone.now()
    leftover.removal_asked_by = SYSTEM.name
    leftover.removal_reason = "The console made this volume for a copy that failed."
    leftover.save()
    audit.record(
        SYSTEM,
        "remove leftover",
        leftover,
        audit.Outcome.ASKED,
        intent=f"Delete {leftover.location} on {leftover.host_name}.",
        reason=leftover.removal_reason,
    )


# --- What uses a leftover -------------------------------------------------------------


def uses_of(leftovers: Iterable[Leftover]) -> dict[int, list[str]]:
    """Return who uses each leftover, by its number, as far as the inventory knows.

    Only those in use are in the answer. A fixed number of queries.
    """
    rows = list(leftovers)
    found = _users({row.location for row in rows})
    return {row.pk: found[row.location] for row in rows if row.location in found}


def _users(locations: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for disk in using(locations).prefetch_related("chain"):
        for location, how in _parts(disk):
            words = say(
                "%(domain)s on %(host)s (%(disk)s: %(how)s)",
                domain=disk.domain.name,
                host=disk.domain.host,
                disk=disk.target,
                how=how,
            )
            if location in locations and words not in found.setdefault(location, []):
                found[location].append(words)
    for job in _jobs_that_need(locations):
        ends = ((job.source, say("source")), (job.destination, say("destination")))
        for location, how in ends:
            if location in locations:
                words = say(
                    "job %(job)s, which is active (its %(how)s)", job=job.pk, how=how
                )
                found.setdefault(location, []).append(words)
    return {location: users for location, users in found.items() if users}


def _parts(disk: Disk) -> Iterator[tuple[str, str]]:
    yield disk.source, say("source")
    yield disk.persistent_source or "", say("persistent definition")
    yield disk.mirror, say("destination of a copy")
    for link in disk.chain.all():
        if link.depth:
            yield link.location, say("backing file")


def _jobs_that_need(locations: set[str]) -> QuerySet[CopyJob]:
    return CopyJob.objects.active().filter(
        Q(source__in=locations) | Q(destination__in=locations)
    )


# --- Proof that nothing does ----------------------------------------------------------


def proof(leftover: Leftover) -> list[str]:
    """Return what speaks against removing it now; nothing if all hosts say it is free.

    For one whose removal was asked for: each enabled host must have told everything
    that it has since then.
    """
    return proofs([leftover])[leftover.pk]


def proofs(leftovers: Iterable[Leftover]) -> dict[int, list[str]]:
    """Return the same of each, by its number. A fixed number of queries."""
    rows = list(leftovers)
    if not rows:
        return {}
    prefetch_related_objects(rows, "job__domain")
    users = uses_of(rows)
    silent = list(hosts_to_tell(max(rows, key=asked_at)))
    unknown = [*map(_unread_text, _unread()), *map(_hiding_text, _hiding())]
    return {
        row.pk: [
            *(_used(row, user) for user in users.get(row.pk, [])),
            *(_silence(host) for host in silent if not _has_told(host, row)),
            *unknown,
            *_orphan(row),
        ]
        for row in rows
    }


def asked_at(leftover: Leftover) -> datetime:
    """Return when its removal was asked for; ValueError if it was not."""
    if leftover.removal_asked_at is None:
        raise ValueError(f"the removal of {leftover} was not asked for")
    return leftover.removal_asked_at


def _used(leftover: Leftover, user: str) -> str:
    place = leftover.location
    return say("%(location)s is used by %(user)s.", location=place, user=user)


def _unread_text(domain: Domain) -> str:
    return say(
        "%(domain)s on %(host)s did not say what it uses.",
        domain=domain.name,
        host=domain.host,
    )


def _hiding_text(disk: Disk) -> str:
    return say(
        "What lies below %(source)s of %(domain)s is not known.",
        source=disk.source,
        domain=disk.domain,
    )


def _orphan(leftover: Leftover) -> Iterator[str]:
    """A guest that libvirt may have lost is in no definition where it runs, and one
    that it may be wrong about is in the wrong one, until it is started anew."""
    if leftover.kind != Leftover.Kind.UNCERTAIN:
        return
    job, domain = leftover.job, leftover.job.domain
    if job.is_doubted_in(domain.libvirt_id):
        yield say(
            "libvirt may be wrong about which file %(domain)s runs from since job "
            "%(job)s, until the guest is started anew.",
            domain=domain.name,
            job=job.pk,
        )
    if domain.unaccounted:
        yield say(
            "libvirt may have lost %(domain)s while it runs, from either file. Make "
            "sure on the host that no QEMU process of it does, and start it.",
            domain=domain.name,
        )


def hosts_to_tell(leftover: Leftover) -> QuerySet[Host]:
    """Return the hosts that have not told what they use since the asking."""
    told = Q(inventory_began_at__gte=leftover.removal_asked_at)
    return Host.objects.filter(enabled=True).exclude(told).select_related("site")


def _has_told(host: Host, leftover: Leftover) -> bool:
    """Whether a host has told what it uses since this one's removal was asked for."""
    told = host.inventory_began_at
    return told is not None and told >= asked_at(leftover)


def _silence(host: Host) -> str:
    if host.error:
        return say(
            "%(host)s did not say what it uses: %(error)s", host=host, error=host.error
        )
    return say("%(host)s did not say what it uses.", host=host)


def _unread() -> QuerySet[Domain]:
    """Domains that exist but were stuck when their host's inventory was read."""
    return Domain.objects.filter(
        host__enabled=True, gone_at=None, seen_at__lt=F("host__synced_at")
    ).select_related("host")


def _hiding() -> QuerySet[Disk]:
    """Disks of domains that are off whose backing chain no storage pool can tell."""
    return Disk.objects.filter(
        chain_known=False,
        gone_at=None,
        domain__gone_at=None,
        domain__host__enabled=True,
    ).select_related("domain__host")
