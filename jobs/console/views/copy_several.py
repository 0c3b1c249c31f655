"""Several disks of a domain copied together: one form, one job for each disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from jobs import actions
from jobs.actor import from_request
from jobs.console.bulk import numbers
from jobs.console.fleet import present_disks
from jobs.console.page import Request, needs, wants, wants_fragment
from jobs.console.pools import show_pools
from jobs.console.several import OneCopy, SeveralForm, copies_of, together
from jobs.console.start_time import StartTime
from jobs.console.storage import pools_of
from jobs.console.views.copy import ANSWER_SECONDS, DENIED, MAY_START
from jobs.models import CopyJob, Disk, Domain

MOST_DISKS = 64


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_disk")
def domain_copy(request: Request, pk: int) -> HttpResponse:
    """GET: the form for the disks `disk`. POST: start all of them, or none.

    With `check` nothing is started, and the host is asked.
    """
    domain = get_object_or_404(Domain.objects.select_related("host__site"), pk=pk)
    told = request.POST if request.method == "POST" else request.GET
    disks = _disks(domain, told)
    if not disks:
        messages.error(request, _("No disk was selected."))
        return redirect("domain", domain.pk)
    pools = show_pools(pools_of(domain.host), leftovers=False)
    form = SeveralForm(told.copy(), pools, disks)
    if request.method != "POST":
        return _page(request, domain, disks, form)
    if "check" in request.POST:
        patience = 0 if wants_fragment(request) else ANSWER_SECONDS
        return _page(request, domain, disks, form, asks=True, patience=patience)
    return _start(request, domain, disks, form)


def _disks(domain: Domain, told: QueryDict) -> list[Disk]:
    try:
        chosen = numbers(",".join(told.getlist("disk")), MOST_DISKS)
    except ValueError:
        return []
    disks = list(present_disks().filter(domain=domain, pk__in=chosen))
    for disk in disks:
        disk.domain = domain
    return disks


# --- The form ----------------------------------------------------------------------


def _page(
    request: Request,
    domain: Domain,
    disks: list[Disk],
    form: SeveralForm,
    *,
    asks: bool = False,
    patience: float = 0.0,
    copies: list[OneCopy] | None = None,
    status: int = 200,
) -> HttpResponse:
    may = request.user.has_perm(MAY_START)
    if copies is None:
        copies = _copies(request, form, disks, asks=may and asks, patience=patience)
    part = "#preview" if wants(request, "preview") else ""
    return render(
        request,
        f"console/copy_several.html{part}",
        {
            "domain": domain,
            "host": domain.host,
            "disks": disks,
            "form": form,
            "copies": copies,
            "together": together(form, disks),
            "denied": "" if may else DENIED,
            "live_errors": bool(part),
            "blocked": [one for one in copies if one.why_not],
            "greyed": not copies or any(one.why_not for one in copies),
            "when": StartTime(request.POST if request.POST else request.GET),
        },
        status=status,
    )


def _copies(
    request: Request,
    form: SeveralForm,
    disks: list[Disk],
    *,
    asks: bool,
    patience: float,
) -> list[OneCopy]:
    today, actor = timezone.localdate(), from_request(request)
    return copies_of(form, disks, actor, today, asks=asks, patience=patience)


# --- The start ---------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came of one disk's request: its job, or why it was refused."""

    disk: Disk
    destination: str
    job: CopyJob | None
    refused: str = ""


def _start(
    request: Request, domain: Domain, disks: list[Disk], form: SeveralForm
) -> HttpResponse:
    """Start all; none while anything speaks against one of them."""
    if not request.user.has_perm(MAY_START):
        raise PermissionDenied(DENIED)
    copies = _copies(request, form, disks, asks=True, patience=ANSWER_SECONDS)
    when = StartTime(request.POST)
    later = request.POST.get("start") == "later"
    mistimed = later and not when.is_valid()
    if mistimed or not copies or any(one.why_not for one in copies):
        return _page(request, domain, disks, form, copies=copies, status=422)
    start_at = when.start_at if later else None
    answers = [_requested(request, one, start_at) for one in copies]
    context = {
        "domain": domain,
        "host": domain.host,
        "answers": answers,
        "started": sum(answer.job is not None for answer in answers),
    }
    status = 200 if context["started"] else 409
    return render(request, "console/copy_several_done.html", context, status=status)


def _requested(request: Request, one: OneCopy, start_at: datetime | None) -> Answer:
    wanted = one.form.wanted
    where = wanted.destination.location
    try:
        job = actions.request_copy(wanted, from_request(request), start_at=start_at)
    except actions.ActionError as error:
        return Answer(one.disk, where, None, error.text)
    return Answer(one.disk, where, job)
