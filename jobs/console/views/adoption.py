"""Adopting a copy that was begun elsewhere: the confirmation by GET, the act by POST.

Without JavaScript both are pages; asked for by htmx the first is what stands in the
dialog. Afterwards the reader is on the new job's page.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from jobs import actions
from jobs.actor import from_request
from jobs.console.page import Request, needs, wants_fragment
from jobs.console.strangers import Stranger
from jobs.console.views.verbs import MOST_REASON
from jobs.models import CopyJob, Disk
from jobs.said import say


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_domain")
def adopt(request: Request, pk: int) -> HttpResponse:
    """Ask for confirmation of an adoption, or carry it out."""
    rows = Disk.objects.select_related("domain__host__site")
    disk = get_object_or_404(rows, pk=pk)
    if request.method == "POST":
        return _carry_out(request, disk)
    return _confirm(request, disk)


def _confirm(request: Request, disk: Disk) -> HttpResponse:
    actor = from_request(request)
    if why_not := actions.adoption_why_not(disk, actor):
        allowed = actor.may(actions.ADOPT_PERMISSION)
        return _refused(request, disk, why_not, 409 if allowed else 403)
    context: dict[str, object] = {"consequence": actions.adoption_consequence(disk)}
    return _answer(request, disk, context)


def _carry_out(request: Request, disk: Disk) -> HttpResponse:
    actor = from_request(request)
    if actor.may(actions.ADOPT_PERMISSION) and _is_another(request, disk):
        why_not = say(
            "The host shows another copy by now. Look again before adopting it."
        )
        return _refused(request, disk, why_not, 409)
    reason = request.POST.get("reason", "").strip()[:MOST_REASON]
    try:
        job = actions.adopt(disk, actor, reason)
    except actions.Denied as error:
        return _refused(request, disk, error.text, 403)
    except actions.NotPossible as error:
        return _refused(request, disk, error.text, 409)
    return _done(request, job)


def _is_another(request: Request, disk: Disk) -> bool:
    """Whether the disk shows another copy than the one that the reader confirmed."""
    seen = request.POST.get("sight", "")
    return bool(disk.mirror) and seen != Stranger(disk).sight


def _done(request: Request, job: CopyJob) -> HttpResponse:
    messages.success(
        request, _("The copy was adopted as job %(job)s.") % {"job": job.pk}
    )
    address = reverse("job", args=[job.pk])
    if wants_fragment(request):
        return HttpResponseClientRedirect(address)
    return redirect(address)


def _refused(request: Request, disk: Disk, why_not: str, status: int) -> HttpResponse:
    return _answer(request, disk, {"why_not": why_not}, status)


def _answer(
    request: Request, disk: Disk, context: dict[str, object], status: int = 200
) -> HttpResponse:
    filled = {"disk": disk, "stranger": Stranger(disk), **context}
    fragment = wants_fragment(request)
    template = "console/adopt.html" + ("#dialog" if fragment else "")
    response = render(request, template, filled, status=status)
    if fragment:
        response["X-Fragment"] = "true"
    return response
