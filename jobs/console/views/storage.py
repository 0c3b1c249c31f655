"""The storage pools of all hosts."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from jobs.console.fleet_filters import PoolFilter
from jobs.console.page import Request, needs, show
from jobs.console.pools import show_pools
from jobs.console.views.fleet import listed

# A pool takes three lines of a list: its name, its path, what it shares.
POOLS_PER_PAGE = 25


@require_safe
@needs("jobs.view_storagepool")
def storage(request: Request) -> HttpResponse:
    """List the pools; the filters, the order and `page` are in the address."""
    context = listed(request, PoolFilter(request.GET), POOLS_PER_PAGE)
    context["rows"] = show_pools(context["page"].object_list)
    return show(request, "console/storage.html", context)
