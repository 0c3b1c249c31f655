"""The list of copy jobs and the page of one."""

from __future__ import annotations

from django.http import HttpResponse

from jobs.console.page import Request, needs, show


@needs("jobs.view_copyjob")
def jobs(request: Request) -> HttpResponse:
    """Show the jobs."""
    return show(request, "console/overview.html", {})


@needs("jobs.view_copyjob")
def job(request: Request, pk: int) -> HttpResponse:
    """Show one job."""
    return show(request, "console/overview.html", {})
