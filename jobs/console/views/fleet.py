"""Hosts and domains: what is known of the fleet, and how hosts are added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from jobs import actions
from jobs.actor import Actor, from_request
from jobs.console import fleet
from jobs.console.filtering import GroupedFilter
from jobs.console.fleet_filters import DomainFilter, HostFilter
from jobs.console.forms import ADDRESS_FIELDS, HostForm
from jobs.console.page import Request, needs, show
from jobs.console.storage import pools_of
from jobs.console.strangers import show_strangers
from jobs.models import CopyJob, Domain, Host, Site
from jobs.paging import PER_PAGE, LatePages
from jobs.said import localized
from jobs.strangers import foreign_copies

# --- Hosts -------------------------------------------------------------------------


@require_safe
@needs("jobs.view_host")
def hosts(request: Request) -> HttpResponse:
    """List the hosts; the filters, the order and `page` are in the address."""
    wanted = HostFilter(request.GET)
    return show(request, "console/hosts.html", listed(request, wanted))


def listed(
    request: Request, wanted: GroupedFilter, per_page: int | None = None
) -> dict[str, Any]:
    """Return the filter and the page of its list, for a template."""
    pages = LatePages(wanted.listed(), wanted.count, per_page)
    return {"wanted": wanted, "page": pages.get_page(request.GET.get("page"))}


@require_safe
@needs("jobs.view_host")
def host(request: Request, pk: int) -> HttpResponse:
    """Show what a host said of itself, its pools, domains and jobs."""
    host = get_object_or_404(fleet.hosts_with_counts(), pk=pk)
    jobs = CopyJob.objects.filter(host=host).for_a_list()
    return show(
        request,
        "console/host.html",
        {
            "host": host,
            "pools": pools_of(host),
            "domains": fleet.present_domains(host)[: PER_PAGE + 1],
            "per_page": PER_PAGE,
            "active_jobs": jobs.active(),
            "ended_jobs": jobs.recently_ended()[: fleet.RECENT_JOBS],
            "strangers": show_strangers(
                foreign_copies(Q(domain__host=host)), from_request(request)
            ),
            "asked": fleet.last_test(host),
            "topics": f"host-{host.pk}",
        },
    )


@require_POST
@needs("jobs.view_host")
def host_sync(request: Request, pk: int) -> HttpResponse:
    """Ask for the host's inventory; the host's page shows it when it comes."""
    host = get_object_or_404(Host.objects.select_related("site"), pk=pk)
    return _ask(
        request,
        host,
        actions.sync_host,
        _("Asked %(host)s for its inventory.") % {"host": host},
    )


@require_POST
@needs("jobs.view_host")
def host_test(request: Request, pk: int) -> HttpResponse:
    """Ask a worker to try the connection; the host's page shows the answer."""
    host = get_object_or_404(Host.objects.select_related("site"), pk=pk)
    return _ask(request, host, actions.test_host)


def _ask(
    request: Request,
    host: Host,
    action: Callable[[Host, Actor], None],
    said: str = "",
) -> HttpResponse:
    """Ask, and say so with `said` where the host's page does not by itself."""
    try:
        action(host, from_request(request))
    except actions.Denied as error:
        raise PermissionDenied(localized(error.text)) from error
    except actions.ActionError as error:
        messages.error(request, localized(error.text))
    else:
        if said:
            messages.info(request, said)
    return redirect("host", host.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.add_host")
def host_add(request: Request) -> HttpResponse:
    """Add a host by the fields of its address."""
    blank = Host(transport=Host.Transport.SSH)
    sites = Site.objects.all()
    default = next((site for site in sites if site.name == "default"), sites.first())
    if default is not None:
        blank.site = default
    return _edit(request, blank, _("Add a host"))


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.change_host")
def host_edit(request: Request, pk: int) -> HttpResponse:
    """Change a host's name, site or address."""
    host = get_object_or_404(Host.objects.select_related("site"), pk=pk)
    return _edit(request, host, _("Edit %(host)s") % {"host": host})


def _edit(request: Request, host: Host, title: str) -> HttpResponse:
    form = HostForm(request.POST or None, instance=host)
    if request.method == "POST" and form.is_valid() and _saved(request, form):
        messages.success(
            request,
            _("%(instance)s is saved. Asked for its inventory.")
            % {"instance": form.instance},
        )
        return redirect("host", form.instance.pk)
    return show(
        request,
        "console/host_form.html",
        {"form": form, "title": title, "host": host, "address_fields": ADDRESS_FIELDS},
        status=422 if form.errors else 200,
    )


def _saved(request: Request, form: HostForm) -> bool:
    actor, reason = from_request(request), form.cleaned_data["reason"]
    try:
        actions.save_host(form.instance, actor, reason)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    return True


# --- Domains -----------------------------------------------------------------------


@require_safe
@needs("jobs.view_domain")
def domains(request: Request) -> HttpResponse:
    """List the domains; the filters, the order and `page` are in the address."""
    wanted = DomainFilter(request.GET)
    return show(request, "console/domains.html", listed(request, wanted))


@require_safe
@needs("jobs.view_domain")
def domain(request: Request, pk: int) -> HttpResponse:
    """Show a domain's disks, where they lie, and their copies now and before."""
    domain = get_object_or_404(Domain.objects.select_related("host__site"), pk=pk)
    cards = fleet.disk_cards(domain, from_request(request))
    may_copy = request.user.has_perm("jobs.start_copyjob")
    return show(
        request,
        "console/domain.html",
        {
            "domain": domain,
            "host": domain.host,
            "cards": cards,
            "several": may_copy and sum(not card.why_not for card in cards) > 1,
            "topics": f"domain-{domain.pk} host-{domain.host_id}",
            "gone": domain.disks.exclude(gone_at=None).order_by("target"),
        },
    )
