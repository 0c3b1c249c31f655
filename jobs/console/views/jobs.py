"""The list of copy jobs and the page of one."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs.actions import BULK_ACTS, REMOVE_PERMISSION
from jobs.actor import from_request
from jobs.console import tab
from jobs.console.again import again_of
from jobs.console.chart import chart_of
from jobs.console.filters import JobFilter, groups, states
from jobs.console.job_xml import xml_of
from jobs.console.ledger import leftovers_of
from jobs.console.log import FORMS, Log, lines
from jobs.console.page import Request, needs, show
from jobs.console.saved import tabs
from jobs.console.shown import show_job, show_jobs
from jobs.models import AuditEntry, CopyJob
from jobs.paging import Pages

# The newest lines that a job's page shows of the audit log.
MOST_ENTRIES = 50


@require_safe
@needs("jobs.view_copyjob")
def jobs(request: Request) -> HttpResponse:
    """List the jobs; the filters, the order and `page` are in the address."""
    wanted = JobFilter(request.GET)
    counts = wanted.counts()
    listed = counts.of(*wanted.states) if wanted.states else counts.all
    page = Pages(wanted.jobs(), listed).get_page(request.GET.get("page"))
    context = {
        "tab": tab.of_page(_("Jobs"), counts.waiting),
        "wanted": wanted,
        "groups": groups(wanted, counts),
        "states": states(wanted, counts),
        "saved": tabs(request.user, wanted),
        "sorts": wanted.sorts,
        "page": page,
        "rows": show_jobs(page.object_list, from_request(request)),
        "bulk_acts": [
            act for act in BULK_ACTS.values() if request.user.has_perm(act.permission)
        ],
    }
    return show(request, "console/jobs.html", context)


@require_safe
@needs("jobs.view_copyjob")
def job(request: Request, pk: int) -> HttpResponse:
    """Show one job."""
    return show(request, "console/job.html", page_of(request, pk))


def page_of(request: Request, pk: int) -> dict[str, Any]:
    """Return what a job's page shows; Http404 if there is no such job."""
    found = get_object_or_404(CopyJob.objects.select_related("host", "domain"), pk=pk)
    shown = show_job(found, from_request(request))
    context: dict[str, Any] = {
        "tab": tab.of_job(shown),
        "shown": shown,
        "job": found,
        "topics": f"job-{pk} host-{found.host_id}",
        "speed_typed": None,
        "again": again_of(found),
        "leftovers": leftovers_of(found),
        "may_remove": request.user.has_perm(REMOVE_PERMISSION),
        "xml": xml_of(found),
        "log": Log(found, request.GET.get("level", "")),
        "chart": chart_of(found),
        "entries": [],
    }
    if request.user.has_perm("jobs.view_auditentry"):
        about = AuditEntry.objects.filter(
            object_type=CopyJob._meta.verbose_name_raw, object_id=str(pk)
        )
        context["entries"] = list(about[:MOST_ENTRIES])
    return context


@require_safe
@needs("jobs.view_copyjob")
def events(request: Request, pk: int, form: str) -> HttpResponse:
    """Answer with a job's events as a file: `form` is "txt" or "jsonl"."""
    found = get_object_or_404(CopyJob, pk=pk)
    if form not in FORMS:
        raise Http404
    log = Log(found, request.GET.get("level", ""))
    return HttpResponse(
        lines(log.all, form),
        content_type=f"{FORMS[form][1]}; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="job-{pk}-events.{form}"'
        },
    )
