"""The overview: what needs a person, what runs, how the fleet is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs.actor import Actor, from_request
from jobs.console import tab
from jobs.console.first_steps import first_steps
from jobs.console.fleet import active_jobs
from jobs.console.ledger import total_of
from jobs.console.page import Request, needs, show
from jobs.console.shown import ShownJob, show_jobs
from jobs.console.strangers import show_strangers
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Host, Leftover
from jobs.models.job import CopyJobQuerySet
from jobs.processes import Kind, Process, at_work
from jobs.said import say
from jobs.strangers import foreign_copies

# The most rows of each kind; the jobs page has the rest.
MOST_JOBS = 10
MOST_SCHEDULED = 6
MOST_ENDED = 6
MOST_FAILED = 6
MOST_STUCK = 6
MOST_STRANGERS = 6
MOST_HOSTS = 6

# How long a failure is news.
FAILURE_IS_NEWS = timedelta(days=1)

FAILURES = (State.FAILED, State.LOST)
WAITING = Q(state=State.MIRRORING, when_ready=WhenReady.WAIT)
SCHEDULED = Q(state=State.REQUESTED)


# A verb, a start or a place in the queue that takes longer than this is stuck.
STUCK = timedelta(minutes=3)
SHORT = frozenset({State.PIVOTING, State.FINISHING, State.CANCELLING})


@require_safe
@needs("jobs.view_copyjob")
def overview(request: Request) -> HttpResponse:
    """Show what needs a person, what runs, what ended, and the fleet's health."""
    actor = from_request(request)
    processes = at_work()
    counts = job_counts()
    jobs = jobs_of_parts()
    context: dict[str, Any] = {
        "tab": tab.of_page(_("Overview"), counts["waiting"]),
        **show_parts(jobs, actor, asking=not redis_is_away(processes)),
        **needs_a_look(jobs),
        **strangers_of(actor),
        "left": total_of(Leftover.objects.filter(removed_at=None)),
        "counts": counts,
        "hosts": hosts_in_brief(),
        "host_counts": host_counts(),
        "processes": processes,
        "missing": [each for each in processes if each.missing],
    }
    if not (any(counts.values()) or context["ended"] or context["failed"]):
        context["steps"] = first_steps(context["host_counts"], actor)
    return show(request, "console/overview.html", context)


def redis_is_away(processes: list[Process]) -> bool:
    """Tell whether Redis kept us waiting already: it is not asked a second time."""
    return any(each.kind == Kind.REDIS and each.missing for each in processes)


def jobs_of_parts() -> dict[str, list[CopyJob]]:
    """Return the jobs of each part of the page, of the last two one more than it shows.

    They are found part by part and then read together, which is a query more and takes
    half the time.
    """
    ended = CopyJob.objects.recently_ended()
    parts = {
        "waiting": CopyJob.objects.waiting().order_by("ready_at")[:MOST_JOBS],
        "running": in_flight()[:MOST_JOBS],
        "scheduled": CopyJob.objects.scheduled()[:MOST_SCHEDULED],
        "ended": ended.exclude(news())[:MOST_ENDED],
        "failed": ended.filter(news())[: MOST_FAILED + 1],
        "stuck": stuck_jobs()[: MOST_STUCK + 1],
    }
    found = {
        name: list(part.values_list("pk", flat=True)) for name, part in parts.items()
    }
    wanted = {pk for part in found.values() for pk in part}
    read = CopyJob.objects.for_a_list("failure", "flagged", "said").in_bulk(wanted)
    return {
        name: [read[pk] for pk in part if pk in read] for name, part in found.items()
    }


def show_parts(
    jobs: dict[str, list[CopyJob]], actor: Actor, *, asking: bool
) -> dict[str, list[ShownJob]]:
    """Return the jobs that wait, run, are to start and ended; one request to Redis.

    With `asking` unset without any: their progress is not known then.
    """
    parts = {name: jobs[name] for name in ("waiting", "running", "scheduled", "ended")}
    rows = [row for part in parts.values() for row in part]
    unasked = (ShownJob(row, None, actor) for row in rows)
    shown = iter(show_jobs(rows, actor) if asking else unasked)
    return {name: list(islice(shown, len(part))) for name, part in parts.items()}


@dataclass(frozen=True)
class Stuck:
    """A job that does not get on, and why somebody should look at it."""

    job: CopyJob

    @property
    def why(self) -> str:
        """Say what is wrong, as far as it is known."""
        if self.job.flagged:
            return self.job.told("flagged")
        state = State(self.job.state)
        if state == State.REQUESTED:
            return _("Its start time has passed, and no worker has taken it up.")
        if state == State.QUEUED:
            return say("No worker has taken it up.")
        return say(
            "It has been %(state)s for longer than that takes.", state=state.label
        )

    @property
    def since(self) -> datetime:
        job = self.job
        waiting = job.queued_at or job.start_at or job.requested_at
        return job.ending_at or job.started_at or waiting


def stuck_jobs() -> CopyJobQuerySet:
    """Return the active jobs that reached a limit, or whose short states last long."""
    before = timezone.now() - STUCK
    flagged = Q(state=State.COPYING) & ~Q(flagged="")
    ending = Q(state__in=SHORT, ending_at__lt=before)
    starting = Q(state=State.STARTING, started_at__lt=before)
    asked = Q(queued_at__lt=before) | Q(queued_at=None, requested_at__lt=before)
    queued = Q(state=State.QUEUED) & asked
    overdue = Q(state=State.REQUESTED, start_at__lt=before)
    found = CopyJob.objects.active().filter(
        flagged | ending | starting | queued | overdue
    )
    return found.order_by("id")


def needs_a_look(jobs: dict[str, list[CopyJob]]) -> dict[str, Any]:
    """Return the jobs that somebody should look at besides the decisions."""
    failed, stuck = jobs["failed"], jobs["stuck"]
    return {
        "stuck": [Stuck(job) for job in stuck[:MOST_STUCK]],
        "more_stuck": len(stuck) > MOST_STUCK,
        "failed": failed[:MOST_FAILED],
        "more_failed": len(failed) > MOST_FAILED,
    }


def strangers_of(actor: Actor) -> dict[str, Any]:
    """Return the copies that were not started here; two queries."""
    strangers = list(foreign_copies()[: MOST_STRANGERS + 1])
    return {
        "strangers": show_strangers(strangers[:MOST_STRANGERS], actor),
        "more_strangers": len(strangers) > MOST_STRANGERS,
    }


def news() -> Q:
    """Return what makes a job one whose failure is news."""
    since = timezone.now() - FAILURE_IS_NEWS
    return Q(state__in=FAILURES, ended_at__gte=since)


def in_flight() -> CopyJobQuerySet:
    """Return the active jobs that need nobody and are to go on, oldest first."""
    return CopyJob.objects.active().exclude(WAITING | SCHEDULED).order_by("id")


def job_counts() -> dict[str, int]:
    """Return how many active jobs wait, run, and are to start later; one query."""
    return CopyJob.objects.active().aggregate(
        waiting=Count("pk", filter=WAITING),
        running=Count("pk", filter=~(WAITING | SCHEDULED)),
        scheduled=Count("pk", filter=SCHEDULED),
    )


def hosts_in_brief() -> QuerySet[Any]:
    """Return some hosts with `active_jobs`, those that do not answer first."""
    return (
        Host.objects.filter(enabled=True)
        .only("name", "enabled", "error", "error_at", "last_seen_at")
        .annotate(active_jobs=active_jobs())
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
