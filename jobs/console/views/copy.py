"""A new copy: choose a disk, say where to, read what will happen, start."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from jobs import actions
from jobs.actor import from_request
from jobs.console import fleet
from jobs.console.copy_fields import FORMATS
from jobs.console.copy_form import CopyForm
from jobs.console.page import Request, needs, wants, wants_fragment
from jobs.console.pools import show_pools
from jobs.console.preview import lacking, preview_of
from jobs.console.start_time import StartTime
from jobs.console.storage import places, pool_of, pools_of
from jobs.console.suggested import suggested
from jobs.console.verdict import Verdict, format_found, verdict_of
from jobs.lifecycle import WhenReady
from jobs.models import CopyJob, Disk, StoragePool
from jobs.models.job import AtLimit
from jobs.preflight import Level
from jobs.said import localized, say

MAY_START = "jobs.start_copyjob"
DENIED = say("Your role does not allow you to start a copy.")
# Domains shown to choose from; typing narrows them.
CHOICES = 30
# Buttons that fill a field.
FILLS = {"place": "destination", "named": "volume", "fit": "buf_size"}
# The buttons of the form that only change or check it.
NOT_A_START = frozenset({"check", *FILLS})
# So long (seconds) a page waits for the host's answer where nothing can come later.
ANSWER_SECONDS = 1.5


@require_safe
@needs("jobs.view_disk")
def copy_new(request: Request) -> HttpResponse:
    """Choose a disk by a part of its domain's name (`q`)."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:255]
    found = list(fleet.running_domains(text)[: CHOICES + 1])
    shown = fleet.choices(found[:CHOICES])
    part = "#choices" if wants(request, "choices") else ""
    return render(
        request,
        f"console/copy_new.html{part}",
        {
            "text": text,
            "domains": shown,
            "count": sum(len(cards) for _domain, cards in shown),
            "more": len(found) > CHOICES,
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_disk")
def disk_copy(request: Request, pk: int) -> HttpResponse:
    """GET: the form and what it would do, filled from the address. POST: start it.

    A GET starts nothing. Nor does a POST with `check` (while one types, the Enter
    key, and pages without JavaScript), with one of FILLS (another destination,
    another buf-size); they keep everything that was typed, and ask the host.
    """
    disk = get_object_or_404(Disk.objects.select_related("domain__host__site"), pk=pk)
    pools = list(pools_of(disk.domain.host))
    if request.method != "POST":
        return _page(request, CopyForm(_defaults(request, disk, pools), disk, pools))
    if NOT_A_START & request.POST.keys():
        form = _form(request, _typed(request), disk, pools)
        patience = 0 if wants_fragment(request) else ANSWER_SECONDS
        return _page(request, form, asks=True, patience=patience)
    return _start(request, disk, pools)


def _typed(request: Request) -> QueryDict:
    typed = request.POST.copy()
    for button, field in FILLS.items():
        if typed.get(button):
            typed.setlist(field, typed.getlist(button))
    return typed


def _defaults(request: Request, disk: Disk, pools: list[StoragePool]) -> QueryDict:
    """Return what the address says, over what suits most."""
    known = disk.format in FORMATS
    file_format = disk.format if known else "qcow2"
    today = timezone.localdate()
    shown = show_pools(pools, leftovers=False)
    free = suggested(disk, shown, file_format, today)
    filled = QueryDict(mutable=True)
    filled.update(
        {
            "destination": free.destination,
            "destination_kind": "file",
            "pool": free.pool,
            "volume": free.volume,
            "protocol": "nbd",
            "format": "same" if known else file_format,
            "when_ready": WhenReady.WAIT.value,
            "at_limit": AtLimit.FLAG.value,
        }
    )
    for name, values in request.GET.lists():
        filled.setlist(name, values)
    return filled


def _form(
    request: Request, typed: QueryDict, disk: Disk, pools: list[StoragePool]
) -> CopyForm:
    """Return the form; where the format is to be what is there, as last looked up."""
    form = CopyForm(typed, disk, pools)
    if not form.asks_what_is_there or not request.user.has_perm(MAY_START):
        return form
    found = format_found(form, from_request(request), ANSWER_SECONDS)
    return CopyForm(typed, disk, pools, found=found) if found else form


def _start(request: Request, disk: Disk, pools: list[StoragePool]) -> HttpResponse:
    """Start what the form asks for; or say why not, beside its fields.

    `start` is the button: "pivot" is for a pivot when ready, whatever else is chosen,
    "later" for the start time.
    """
    actor, button = from_request(request), request.POST.get("start", "")
    typed = request.POST.copy()
    if button == "pivot":
        typed["when_ready"] = WhenReady.PIVOT.value
    form, when = _form(request, typed, disk, pools), StartTime(request.POST)
    later = button == "later"
    may = request.user.has_perm(MAY_START)
    # What only the host knows is better said here than by a job that fails.
    verdict = verdict_of(form, actor, may, ANSWER_SECONDS)
    mistimed = later and not when.is_valid()
    if form.is_valid() and not mistimed and not (may and verdict.open_warnings):
        try:
            job = actions.request_copy(
                form.wanted,
                actor,
                repeats=_before(request.POST, "repeats", disk),
                start_at=when.start_at if later else None,
            )
        except actions.Denied as error:
            raise PermissionDenied(localized(error.text)) from error
        except actions.Invalid as error:
            form.oppose(each for each in error.problems if each.level == Level.STOP)
        else:
            messages.success(request, _requested(job, when))
            return redirect("job", job.pk)
    elif not may:
        raise PermissionDenied(DENIED)
    return _page(request, form, verdict=verdict, status=422)


def _requested(job: CopyJob, when: StartTime) -> str:
    if job.start_at is None:
        return _("Job %(job)d was requested.") % {"job": job.pk}
    words = _("Job %(job)d starts at %(time)s, %(ahead)s.")
    times = {"time": when.moment_text, "ahead": when.ahead_text}
    return words % {"job": job.pk, **times}


def _before(told: QueryDict, name: str, disk: Disk) -> CopyJob | None:
    """Return the job of the same disk that `name` tells of: repeated, or turned around.

    None if it tells of none.
    """
    number = told.get(name, "")
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        return None
    jobs = CopyJob.objects.filter(domain=disk.domain_id, disk=disk.target)
    return jobs.filter(pk=int(number)).first()


def _page(
    request: Request,
    form: CopyForm,
    *,
    asks: bool = False,
    patience: float = 0.0,
    verdict: Verdict | None = None,
    status: int = 200,
) -> HttpResponse:
    """Show the form with what is known of the copy; `asks`: ask the host, too."""
    may = request.user.has_perm(MAY_START)
    if verdict is None:
        actor = from_request(request)
        verdict = verdict_of(form, actor, may and asks, patience)
    form.oppose(shown.finding for shown in verdict.stops)
    fragment = wants(request, "preview")
    part = "#preview" if fragment else ""
    disk = form.disk
    host = disk.domain.host
    pools = list(pools_of(host))
    told = request.POST if request.method == "POST" else request.GET
    return render(
        request,
        f"console/copy.html{part}",
        {
            "form": form,
            "when": StartTime(told),
            "disk": disk,
            "domain": disk.domain,
            "host": host,
            "places": places(form.wanted.destination.path, pools),
            "pool": pool_of(disk.source, pools),
            "chain": disk.chain.all(),
            "verdict": verdict,
            "greyed": bool(verdict.why_not or form.errors),
            "preview": preview_of(form.wanted, pools),
            "lacking": lacking(host),
            "live_errors": fragment,
            "denied": "" if may else DENIED,
            "repeats": _before(told, "repeats", disk),
            "back": _before(told, "back", disk),
        },
        status=status,
    )
