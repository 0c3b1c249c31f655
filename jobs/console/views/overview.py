"""The overview: what needs a person, what runs, how the fleet is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from jobs.actor import Actor, from_request
from jobs.console.ledger import total_of
from jobs.console.page import Request, needs, show
from jobs.console.shown import ShownJob, show_jobs
from jobs.console.strangers import show_strangers
from jobs.lifecycle import ACTIVE, State, WhenReady
from jobs.models import CopyJob, Domain, Host, Leftover
from jobs.models.job import CopyJobQuerySet
from jobs.strangers import foreign_copies

# The most rows of each kind; the jobs page has the rest.
MOST_JOBS = 20
MOST_ENDED = 8
MOST_FAILED = 8
MOST_STRANGERS = 8
MOST_HOSTS = 8

# How long a failure is news.
FAILURE_IS_NEWS = timedelta(days=1)

FAILURES = (State.FAILED, State.LOST)
WAITING = Q(state=State.MIRRORING, when_ready=WhenReady.WAIT)


@require_safe
@needs("jobs.view_copyjob")
def overview(request: Request) -> HttpResponse:
    """Show what needs a person, what runs, what ended, and the hosts in brief."""
    actor = from_request(request)
    context: dict[str, Any] = {
        "waiting": shown(CopyJob.objects.waiting().order_by("ready_at"), actor),
        **needs_a_look(actor),
        "running": shown(in_flight(), actor),
        "ended": shown(
            CopyJob.objects.recently_ended().exclude(news()), actor, MOST_ENDED
        ),
        "counts": job_counts(),
        "hosts": hosts_in_brief(),
        "host_counts": host_counts(),
    }
    if not CopyJob.objects.exists():
        context["steps"] = first_steps(context["host_counts"])
    return show(request, "console/overview.html", context)


def needs_a_look(actor: Actor) -> dict[str, Any]:
    """Return what somebody should look at besides the decisions; three queries."""
    strangers = list(foreign_copies()[: MOST_STRANGERS + 1])
    failed = list(CopyJob.objects.recently_ended().filter(news())[: MOST_FAILED + 1])
    return {
        "strangers": show_strangers(strangers[:MOST_STRANGERS], actor),
        "more_strangers": len(strangers) > MOST_STRANGERS,
        "failed": failed[:MOST_FAILED],
        "more_failed": len(failed) > MOST_FAILED,
        "left": total_of(Leftover.objects.filter(removed_at=None)),
    }


def news() -> Q:
    """Return what makes a job one whose failure is news."""
    since = timezone.now() - FAILURE_IS_NEWS
    return Q(state__in=FAILURES, ended_at__gte=since)


def in_flight() -> CopyJobQuerySet:
    """Return the active jobs that need nobody, oldest first."""
    return CopyJob.objects.active().exclude(WAITING).order_by("id")


def shown(jobs: CopyJobQuerySet, actor: Actor, most: int = MOST_JOBS) -> list[ShownJob]:
    """Return the first of `jobs` with their progress."""
    return show_jobs(jobs.select_related("host")[:most], actor)


def job_counts() -> dict[str, int]:
    """Return how many active jobs wait and how many run; one query."""
    return CopyJob.objects.active().aggregate(
        waiting=Count("pk", filter=WAITING), running=Count("pk", filter=~WAITING)
    )


def hosts_in_brief() -> QuerySet[Any]:
    """Return some hosts with `active_jobs`, those that do not answer first."""
    return (
        Host.objects.filter(enabled=True)
        .annotate(
            active_jobs=Count("jobs", filter=Q(jobs__state__in=sorted(ACTIVE))),
        )
        .order_by(F("error_at").asc(nulls_last=True), "name")[:MOST_HOSTS]
    )


def host_counts() -> dict[str, int]:
    """Return how many hosts there are, answer, and do not; one query."""
    asked = Q(enabled=True)
    return Host.objects.aggregate(
        hosts=Count("pk"),
        asked=Count("pk", filter=asked),
        silent=Count("pk", filter=asked & ~Q(error="")),
        answering=Count("pk", filter=asked & Q(error="", last_seen_at__isnull=False)),
        synced=Count("pk", filter=Q(synced_at__isnull=False)),
    )


def first_steps(hosts: dict[str, int]) -> list[tuple[str, str, bool]]:
    """Return the first-run checklist: words, page, and whether it is done."""
    running = Domain.objects.filter(gone_at=None, libvirt_id__isnull=False).exists()
    return [
        ("Add a libvirt host", "hosts", hosts["hosts"] > 0),
        ("See it answer", "hosts", hosts["answering"] > 0),
        ("Find its running domains", "domains", running),
        ("Start the first copy", "copy-new", False),
    ]
