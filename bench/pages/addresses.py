"""The pages that are measured: every list with what narrows it, and every detail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host, Leftover, StoragePool


@dataclass(frozen=True)
class Address:
    """A page to ask for. `part`: htmx asks for its live region only."""

    name: str
    path: str
    part: bool = False


def addresses() -> list[Address]:
    """Return all of them; the fleet must be a made-up one."""
    return [
        Address("overview", reverse("overview")),
        Address("overview, live part", reverse("overview"), part=True),
        *_jobs(),
        *_each_job(),
        *_hosts(),
        *_domains(),
        *_copies(),
        *_storage(),
        *_leftovers(),
        *_audit(),
        Address("account", reverse("account")),
        *_admin(),
    ]


def _list(page: str, queries: dict[str, dict[str, Any]]) -> Iterator[Address]:
    """Yield a list's address for each query, called by the query's key."""
    yield Address(page, reverse(page))
    for words, query in queries.items():
        yield Address(f"{page}: {words}", f"{reverse(page)}?{urlencode(query)}")


def _day(ago: int) -> str:
    """Return the day before so many days, as an address has it."""
    return f"{timezone.now() - timedelta(days=ago):%Y-%m-%d}"


def _first(rows: Any) -> Any:
    """Return the first of `rows`; without any the bench would mean nothing."""
    found = rows.first()
    if found is None:
        raise RuntimeError(f"There is no {rows.model._meta.verbose_name} to look at.")
    return found


# --- The console ---------------------------------------------------------------------


def _jobs() -> Iterator[Address]:
    host = _first(Host.objects.all())
    site = host.site.name
    half_a_year, a_month = _day(180), _day(30)
    yield from _list(
        "jobs",
        {
            "active": {"state": "active"},
            "waiting": {"state": "waiting"},
            "ended": {"state": "ended"},
            "failed": {"state": "failed-or-lost"},
            "failed today": {"state": "failed-or-lost", "within": "24h"},
            "failed, by domain": {"state": "failed-or-lost", "sort": "domain"},
            "a site": {"site": site},
            "a site, active": {"site": site, "state": "active"},
            "a host": {"host": host.pk},
            "text, in many": {"q": "orders-db"},
            "text, in few": {"q": "orders-db-1234"},
            "text, in none": {"q": "no such text"},
            "text, a letter": {"q": "e"},
            "domain": {"domain": "kafka"},
            "destination": {"destination": "/srv/fast/"},
            "person": {"actor": "mei"},
            "half a year": {"asked_after": half_a_year, "asked_before": a_month},
            "by domain": {"sort": "domain"},
            "by time, backwards": {"sort": "-asked"},
            "by time": {"sort": "asked"},
            "ended, by host": {"sort": "host", "state": "ended"},
            "by destination": {"sort": "destination"},
            "by state": {"sort": "state"},
            "by state, backwards": {"sort": "-state"},
            "by person, page 100": {"sort": "actor", "page": 100},
            "page 100": {"page": 100},
            "last page": {"page": 1_000_000},
            "by state, last page": {"sort": "state", "page": 1_000_000},
        },
    )
    yield Address("jobs, live part", reverse("jobs"), part=True)
    some = CopyJob.objects.filter(state=State.MIRRORING).values_list("pk", flat=True)
    chosen = [("act", "pivot"), *(("job", pk) for pk in some[:50])]
    yield Address("jobs, pivot 50", f"{reverse('jobs-bulk')}?{urlencode(chosen)}")
    yield Address("jobs, saved views", reverse("views"))


def _each_job() -> Iterator[Address]:
    for state in State:
        job = _first(CopyJob.objects.filter(state=state))
        yield Address(f"job, {state}", reverse("job", args=[job.pk]))
    charted = _first(CopyJob.objects.filter(definitions__when="after"))
    yield Address("job, with chart and XML", reverse("job", args=[charted.pk]))
    job = _first(CopyJob.objects.filter(state=State.COPYING))
    yield Address("job, live part", reverse("job", args=[job.pk]), part=True)
    job = _first(CopyJob.objects.waiting())
    yield Address("job, pivot?", reverse("job-verb", args=[job.pk, "pivot"]))


def _hosts() -> Iterator[Address]:
    yield from _list(
        "hosts",
        {
            "silent": {"reach": "silent"},
            "text": {"q": "oak"},
            "by domains": {"sort": "-domains"},
            "by copies, last page": {"sort": "copies", "page": 1_000_000},
            "a site": {"site": _first(Host.objects.all()).site.name},
        },
    )
    host = _first(Host.objects.exclude(error=""))
    yield Address("host, silent", reverse("host", args=[host.pk]))
    host = _first(Host.objects.annotate(n=Count("jobs")).order_by("-n"))
    yield Address("host", reverse("host", args=[host.pk]))
    yield Address("host, edit", reverse("host-edit", args=[host.pk]))


def _domains() -> Iterator[Address]:
    host = _first(Host.objects.all())
    yield from _list(
        "domains",
        {
            "running": {"state": "running"},
            "gone": {"state": "gone"},
            "text, in many": {"q": "vault"},
            "text, in few": {"q": "vault-12"},
            "text, in none": {"q": "no such text"},
            "a host": {"host": host.name},
            "a site, by host": {"site": host.site.name, "sort": "host"},
            "by state, backwards": {"sort": "-state"},
            "last page": {"page": 1_000_000},
        },
    )
    found = Domain.objects.annotate(n=Count("disks")).filter(gone_at=None)
    domain = _first(found.order_by("-n", "pk"))
    yield Address("domain", reverse("domain", args=[domain.pk]))


def _copies() -> Iterator[Address]:
    texts = {"text": {"q": "erp"}, "text, a letter": {"q": "e"}}
    yield from _list("copy-new", texts)
    usable = Domain.objects.filter(gone_at=None, libvirt_id__isnull=False)
    domain = _first(usable.annotate(n=Count("disks")).order_by("-n", "pk"))
    disks = [("disk", pk) for pk in domain.disks.values_list("pk", flat=True)]
    disk = _first(Disk.objects.filter(domain=domain, mirror=""))
    yield Address("copy form", reverse("disk-copy", args=[disk.pk]))
    several = f"{reverse('domain-copy', args=[domain.pk])}?{urlencode(disks)}"
    yield Address("copy form, several disks", several)


def _storage() -> Iterator[Address]:
    yield from _list(
        "storage",
        {
            "nearly full": {"state": "full"},
            "on the network": {"state": "shared"},
            "text": {"q": "fast"},
            "by how full": {"sort": "-full"},
            "a host": {"host": _first(Host.objects.all()).name},
            "last page": {"page": 1_000_000},
        },
    )


def _leftovers() -> Iterator[Address]:
    yield from _list(
        "leftovers",
        {
            "removed": {"state": "removed"},
            "removed, last page": {"state": "removed", "page": 1_000_000},
            "text": {"q": "vdb"},
            "text, in none": {"q": "no such text", "state": "removed"},
            "a host": {"host": _first(Host.objects.all()).pk},
            "a kind": {"kind": "source"},
        },
    )


def _audit() -> Iterator[Address]:
    half = AuditEntry.objects.count() // 2
    person = _first(AuditEntry.objects.filter(action="pivot", channel="console")).actor
    year, night = _day(300), _day(200)
    yield from _list(
        "audit",
        {
            "a person": {"actor": person},
            "an action": {"action": "pivot"},
            "an action, never done": {"action": "add host"},
            "failed": {"outcome": "failed"},
            "sign-ins refused": {"outcome": "refused", "action": "sign in"},
            "without sign-ins": {"without": "sign-ins"},
            "a job": {"object_type": "copy job", "object_id": "77"},
            "text, in few": {"q": "orders-db-1234"},
            "text, in many": {"q": "kafka"},
            "text, in none": {"q": "no such text"},
            "text, a letter": {"q": "e"},
            "a night": {"since": night, "until": night},
            "a long time, long ago": {"since": _day(700), "until": year},
            "a person's pivots since": {
                "since": year,
                "actor": person,
                "action": "pivot",
            },
            "halfway, older": {"before": half},
            "halfway, newer": {"after": half},
            "halfway, failed": {"before": half, "outcome": "failed"},
            "the oldest of a person": {"after": 10, "actor": person},
        },
    )


# --- The admin -----------------------------------------------------------------------


def _admin() -> Iterator[Address]:
    for model in (CopyJob, Host, Domain, Disk, StoragePool, Leftover, AuditEntry):
        kind = model._meta.model_name
        name = f"admin, {model._meta.verbose_name_plural}"
        page = reverse(f"admin:jobs_{kind}_changelist")
        yield Address(name, page)
        yield Address(f"{name}: text", f"{page}?q=erp")
        if model in (CopyJob, AuditEntry):
            yield Address(f"{name}: page 2", f"{page}?p=2")
        pk = _first(model._default_manager.order_by("pk")).pk
        one = reverse(f"admin:jobs_{kind}_change", args=[pk])
        yield Address(f"admin, one of {model._meta.verbose_name_plural}", one)
    yield Address("admin, users", reverse("admin:auth_user_changelist"))
