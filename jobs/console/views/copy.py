"""A new copy: choose a disk, say where to, read what will happen, start."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from jobs import actions
from jobs.actor import from_request
from jobs.console import fleet
from jobs.console.forms import CopyForm
from jobs.console.page import Request, needs, wants
from jobs.console.preview import preview_of
from jobs.console.storage import places, pool_of, pools_of, suggested_destination
from jobs.lifecycle import WhenReady
from jobs.models import CopyJob, Disk, StoragePool
from jobs.preflight import problems

MAY_START = "jobs.start_copyjob"
DENIED = "Your role does not allow you to start a copy."
# Domains shown to choose from; typing narrows them.
CHOICES = 30


@require_safe
@needs("jobs.view_disk")
def copy_new(request: Request) -> HttpResponse:
    """Choose a disk by a part of its domain's name (`q`)."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:255]
    found = list(fleet.matching_domains(text, "on", "")[: CHOICES + 1])
    part = "#choices" if wants(request, "choices") else ""
    return render(
        request,
        f"console/copy_new.html{part}",
        {
            "text": text,
            "domains": fleet.choices(found[:CHOICES]),
            "more": len(found) > CHOICES,
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_disk")
def disk_copy(request: Request, pk: int) -> HttpResponse:
    """GET: the form and what it would do, filled from the address. POST: start it.

    A GET starts nothing, so the page asks for its own preview while one types. Nor
    does a POST with `check` (the Enter key, and pages without JavaScript) or with
    `place` (another destination); both keep everything that was typed.
    """
    disk = get_object_or_404(Disk.objects.select_related("domain__host__site"), pk=pk)
    pools = list(pools_of(disk.domain.host))
    if request.method == "POST" and not {"check", "place"} & request.POST.keys():
        form = CopyForm(request.POST, disk)
        job = _started(request, form)
        if job is not None:
            messages.success(request, f"Job {job.pk} was requested.")
            return redirect("job", job.pk)
        return _page(request, form, pools, status=422)
    form = CopyForm(_typed(request, disk, pools), disk)
    form.oppose(problems(form.wanted))
    return _page(request, form, pools)


def _typed(request: Request, disk: Disk, pools: list[StoragePool]) -> dict[str, Any]:
    if request.method != "POST":
        return {**_defaults(disk, pools), **request.GET.dict()}
    typed: dict[str, Any] = request.POST.dict()
    return {**typed, "destination": typed.get("place") or typed.get("destination")}


def _defaults(disk: Disk, pools: list[StoragePool]) -> dict[str, Any]:
    known = disk.format in ("raw", "qcow2")
    file_format = disk.format if known else "qcow2"
    today = timezone.localdate()
    return {
        "destination": suggested_destination(disk, pools, file_format, today),
        "destination_kind": "file",
        "format": file_format,
        "when_ready": WhenReady.WAIT,
    }


def _started(request: Request, form: CopyForm) -> CopyJob | None:
    """Start what the form asks for; None with the reasons beside its fields."""
    if not form.is_valid():
        form.oppose(problems(form.wanted))
        return None
    try:
        return actions.request_copy(form.wanted, from_request(request))
    except actions.Denied as error:
        raise PermissionDenied(str(error)) from error
    except actions.Invalid as error:
        form.oppose(error.problems)
        return None


def _page(
    request: Request, form: CopyForm, pools: list[StoragePool], *, status: int = 200
) -> HttpResponse:
    disk = form.disk
    fragment = wants(request, "preview")
    part = "#preview" if fragment else ""
    return render(
        request,
        f"console/copy.html{part}",
        {
            "form": form,
            "disk": disk,
            "domain": disk.domain,
            "host": disk.domain.host,
            "pools": pools,
            "places": places(form.wanted.destination.path, pools),
            "pool": pool_of(disk.source, pools),
            "chain": disk.chain.all(),
            "preview": preview_of(form.wanted, pools),
            "live_errors": fragment,
            "denied": "" if request.user.has_perm(MAY_START) else DENIED,
        },
        status=status,
    )
