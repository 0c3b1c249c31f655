"""The overview: what needs a person, what runs, how the fleet is."""

from __future__ import annotations

from django.http import HttpResponse

from jobs.console.page import Request, needs, show


@needs("jobs.view_copyjob")
def overview(request: Request) -> HttpResponse:
    """Show the overview."""
    return show(request, "console/overview.html", {})
