"""What the fleet's pages ask of the database, with a fixed number of queries each."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import (
    BooleanField,
    Count,
    ExpressionWrapper,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.console.storage import pool_address, pool_of
from jobs.console.strangers import Stranger, show_strangers
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host, StoragePool
from jobs.models.search import mentioning
from jobs.preflight import doubt, why_not_copied
from jobs.said import say
from jobs.strangers import foreign_copies

# How many ended jobs a host's or a domain's page shows.
RECENT_JOBS = 20
# An answer that is due longer than this will not come: the request has expired.
ANSWER_EXPECTED = timedelta(seconds=60)
ANSWER_IS_NEWS = timedelta(minutes=5)
REMOVABLE = frozenset({"cdrom", "floppy"})


# --- Hosts -------------------------------------------------------------------------


def hosts_with_counts() -> QuerySet[Host]:
    """Return hosts with `domain_count`, `running_count`, `active_count`.

    Also with `overlooked`: no error is known, but nobody has looked for far longer
    than the settings promise, so that what was seen last says little.
    """
    patience = timedelta(seconds=3 * settings.BLOCKCOPY_INVENTORY_SECONDS)
    present = Domain.objects.filter(host=OuterRef("pk"), gone_at=None)
    return Host.objects.select_related("site").annotate(
        domain_count=_count(present, "host"),
        running_count=_count(present.exclude(libvirt_id=None), "host"),
        active_count=active_jobs(),
        overlooked=ExpressionWrapper(
            Q(enabled=True, error="", last_seen_at__lt=timezone.now() - patience),
            output_field=BooleanField(),
        ),
    )


def active_jobs() -> Coalesce:
    """Return how many active jobs each of a query's hosts has."""
    return _count(CopyJob.objects.active().filter(host=OuterRef("pk")), "host")


def _count(rows: QuerySet[Any], key: str) -> Coalesce:
    counted = rows.order_by().values(key).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), 0)


@dataclass(frozen=True)
class Asked:
    """The last request to a host (a test, a sync) and what came of it so far."""

    entry: AuditEntry
    answer: AuditEntry | None = None
    host_seen_since: bool = False

    @property
    def pending(self) -> bool:
        return self.answer is None and not self._expired

    @property
    def fresh(self) -> bool:
        """Whether the answer is news and not yet history."""
        if self.answer is None:
            return False
        return timezone.now() - self.answer.time < ANSWER_IS_NEWS

    @property
    def failed(self) -> bool:
        return self.answer is not None and self.answer.outcome == Outcome.FAILED

    @property
    def overdue(self) -> bool:
        """Whether no worker has taken the request up in time, or looked since."""
        return self.answer is None and self._expired and not self.host_seen_since

    @property
    def _expired(self) -> bool:
        return timezone.now() - self.entry.time > ANSWER_EXPECTED


def last_test(host: Host) -> Asked | None:
    """Return the last connection test of `host`; None if there was none."""
    entries = AuditEntry.objects.filter(
        object_type=Host._meta.verbose_name_raw,
        object_id=str(host.pk),
        action="test connection",
    ).exclude(outcome=Outcome.REFUSED)[:2]
    found = list(entries)
    if not found:
        return None
    if found[0].outcome == Outcome.ASKED:
        seen = host.last_seen_at is not None and host.last_seen_at > found[0].time
        return Asked(found[0], host_seen_since=seen)
    return Asked(found[-1], answer=found[0])


# --- Domains -----------------------------------------------------------------------


def present_disks() -> QuerySet[Disk]:
    """Return the disks that their domains still have."""
    return Disk.objects.filter(gone_at=None).order_by("target")


def domain_rows() -> QuerySet[Domain]:
    """Return domains with host, present disks and `active_jobs`, in four queries."""
    active = CopyJob.objects.active().only("domain", "disk", "state")
    return (
        Domain.objects.select_related("host__site")
        .prefetch_related(
            Prefetch("disks", present_disks(), to_attr="present_disks"),
            Prefetch("jobs", active, to_attr="active_jobs"),
        )
        .order_by("name", "host__name", "pk")
    )


def present_domains(host: Host) -> QuerySet[Domain]:
    """Return `domain_rows` of what `host` still has."""
    return domain_rows().filter(host=host, gone_at=None)


def running_domains(text: str) -> QuerySet[Domain]:
    """Return `domain_rows` that are on and `named` so."""
    found = domain_rows().filter(gone_at=None, libvirt_id__isnull=False)
    return named(found, text)


def named(domains: QuerySet[Domain], text: str) -> QuerySet[Domain]:
    """Keep the domains in whose name `text` stands, or whose UUID begins with it."""
    wanted = Q(name__icontains=text) | Q(uuid__istartswith=text)
    # The index for searches finds those that have it anywhere.
    return mentioning(domains, text).filter(wanted)


# --- Disks -------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """An image of a backing chain, and the pool that it lies in."""

    location: str
    format: str
    kind: str
    capacity: int | None
    pool: StoragePool | None

    @property
    def name(self) -> str:
        """Return the image's own name; all of its place where that is no path."""
        if not self.location.startswith("/"):
            return self.location
        return posixpath.basename(self.location) or self.location

    @property
    def folder(self) -> str:
        """Return where the image lies on its host; "" for what has no path."""
        on_host = self.location.startswith("/")
        return posixpath.dirname(self.location) if on_host else ""

    @property
    def pool_address(self) -> str:
        """Return where the pool is shown with all that is going on in it."""
        return pool_address(self.pool) if self.pool else ""


@dataclass(frozen=True)
class DiskCard:
    """A disk as its domain's page shows it."""

    disk: Disk
    chain: list[Link]
    pool: StoragePool | None
    active: CopyJob | None
    ended: list[CopyJob] = field(default_factory=list)
    stranger: Stranger | None = None
    doubted: CopyJob | None = None
    why_not: str = ""

    @property
    def doubt(self) -> str:
        """What there is to be feared of where the guest runs; mostly ""."""
        return doubt(self.disk.domain.name, self.doubted) if self.doubted else ""

    @property
    def now(self) -> list[CopyJob]:
        """The active job as a list of at most one, for the partial of job lines."""
        return [self.active] if self.active else []


def disk_cards(domain: Domain, actor: Actor) -> list[DiskCard]:
    """Return the present disks of `domain` with chains, pools, jobs and strangers."""
    disks = present_disks().filter(domain=domain).prefetch_related("chain")
    pools = list(domain.host.pools.filter(gone_at=None).select_related("host"))
    jobs = CopyJob.objects.filter(domain=domain).for_a_list()
    active, ended = list(jobs.active()), list(jobs.recently_ended()[:RECENT_JOBS])
    lost = jobs.filter(doubted=True)
    doubted = [job for job in lost if job.is_doubted_in(domain.libvirt_id)]
    found = foreign_copies(Q(domain=domain))
    strangers = {each.disk.pk: each for each in show_strangers(found, actor)}
    cards = [
        _card(domain, disk, pools, active, ended, doubted, strangers.get(disk.pk))
        for disk in disks
    ]
    return sorted(cards, key=lambda card: card.disk.device in REMOVABLE)


def _card(
    domain: Domain,
    disk: Disk,
    pools: list[StoragePool],
    active: list[CopyJob],
    ended: list[CopyJob],
    doubted: list[CopyJob],
    stranger: Stranger | None,
) -> DiskCard:
    disk.domain = domain
    mine = next((job for job in active if job.disk == disk.target), None)
    unsure = next((job for job in doubted if job.disk == disk.target), None)
    not_yet = say("No copy before the guest was started anew.") if unsure else ""
    return DiskCard(
        disk=disk,
        chain=[
            Link(
                link.location,
                link.format,
                link.kind,
                link.capacity,
                pool_of(link.location, pools),
            )
            for link in disk.chain.all()
        ],
        pool=pool_of(disk.source, pools),
        active=mine,
        ended=[job for job in ended if job.disk == disk.target],
        stranger=stranger,
        doubted=unsure,
        why_not=copy_why_not(disk, mine) or not_yet,
    )


def copy_why_not(disk: Disk, active: CopyJob | None) -> str:
    """Return why `disk` can't be copied now, or ""; asks the database nothing.

    `active` is the disk's active job. Roles are the page's business.
    """
    obstacle = why_not_copied(disk)
    if obstacle is not None:
        return str(obstacle)
    if active is not None:
        return say(
            "Job %(job)s is %(state)s on this disk.",
            job=active.pk,
            state=State(active.state).label,
        )
    if disk.mirror:
        return say(
            "The host shows a copy to %(mirror)s on this disk.", mirror=disk.mirror
        )
    return ""


@dataclass(frozen=True)
class Choice:
    """A disk that may be chosen for a copy, or why not."""

    disk: Disk
    active: CopyJob | None
    why_not: str


def choices(rows: Iterable[Any]) -> list[tuple[Domain, list[Choice]]]:
    """Return for each of `domain_rows` its disks, and which of them can be copied.

    Removable drives are no disks that anybody would look for here.
    """
    return [
        (
            domain,
            [
                _choice(domain, disk)
                for disk in domain.present_disks
                if disk.device not in REMOVABLE
            ],
        )
        for domain in rows
    ]


def _choice(domain: Any, disk: Disk) -> Choice:
    disk.domain = domain
    jobs = domain.active_jobs
    active = next((job for job in jobs if job.disk == disk.target), None)
    return Choice(disk, active, copy_why_not(disk, active))
