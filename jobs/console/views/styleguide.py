"""The page of all parts, for those who make the console."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs.actor import from_request
from jobs.console.page import Request, needs
from jobs.console.specimens import specimens


@require_safe
@needs("jobs.view_copyjob")
def styleguide(request: Request) -> HttpResponse:
    """Show every part of the pages; Http404 but where BLOCKCOPY_DEBUG is set."""
    if not settings.DEBUG:
        raise Http404
    context = specimens(from_request(request))
    return render(request, "console/styleguide.html", context)
