"""The console's addresses, and the least that a page could be."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from blockcopy_web.urls import urlpatterns as console
from jobs.models import Host


def bare(request: HttpRequest) -> HttpResponse:
    """Answer with next to nothing, after one query by a key."""
    name = Host.objects.values_list("name", flat=True).get(pk=1)
    return HttpResponse(f"<!doctype html><title>{name}</title>")


urlpatterns = [path("bare/", bare), *console]
