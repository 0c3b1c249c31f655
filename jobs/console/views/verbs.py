"""Acts on one job: the confirmation by GET, the act by POST.

Without JavaScript these are pages; asked for by htmx they are what stands in the
dialog.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from jobs import actions
from jobs.actor import from_request
from jobs.console.fields import read_bytes
from jobs.console.page import Request, needs, wants_fragment
from jobs.console.shown import ShownJob
from jobs.console.views.jobs import page_of
from jobs.models import CopyJob
from jobs.names import alone
from jobs.said import localized, say
from jobs.units import bandwidth_text

MOST_REASON = 500  # characters


def _job(pk: int) -> CopyJob:
    return get_object_or_404(CopyJob.objects.select_related("host__site"), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_copyjob")
def verb(request: Request, pk: int, verb: str) -> HttpResponse:
    """Ask for confirmation of a verb, or carry it out."""
    job = _job(pk)
    chosen = actions.VERBS.get(verb)
    if chosen is None:
        raise Http404(f"There is no verb {verb}.")
    if request.method == "POST":
        return _perform(request, job, chosen)
    return _confirm(request, job, chosen)


def _confirm(request: Request, job: CopyJob, verb: actions.Verb) -> HttpResponse:
    actor = from_request(request)
    if why_not := verb.why_not(job, actor):
        status = 409 if actor.may(verb.permission) else 403
        return _refused(request, job, verb, why_not, status)
    return _question(request, job, verb)


def _question(
    request: Request, job: CopyJob, verb: actions.Verb, wrong: str = ""
) -> HttpResponse:
    actor = from_request(request)
    context: dict[str, object] = {
        "job": job,
        "verb": verb,
        "consequence": verb.consequence(job),
        "consequences": _by_consistency(job) if verb is actions.FINISH else {},
        "silent": ShownJob(job, None, actor).host_silent,
        "to_type": actions.to_type_for_verb(job),
        "host": job.host,
        "consistent": _consistent(request) if wrong else job.consistent,
        "typed": request.POST,
        "typed_error": wrong,
    }
    status = 422 if wrong else 200
    return _answer(request, "console/confirm.html", context, status)


def _by_consistency(job: CopyJob) -> dict[str, str]:
    """Return what a finish does, for either choice in its dialog."""
    return {
        "guest": actions.finish_consequence(job, consistent=True),
        "crash": actions.finish_consequence(job, consistent=False),
    }


def _perform(request: Request, job: CopyJob, verb: actions.Verb) -> HttpResponse:
    reason = request.POST.get("reason", "").strip()[:MOST_REASON]
    actor = from_request(request)
    # Whoever can't do it anyway is told why, whatever they typed.
    wrong = actions.typing_error(
        actions.to_type_for_verb(job), request.POST.get("typed", "")
    )
    if wrong and not verb.why_not(job, actor):
        return _question(request, job, verb, wrong)
    try:
        actions.perform(verb, job, actor, reason, consistent=_consistent(request))
    except actions.Denied as error:
        return _refused(request, job, verb, error.text, 403)
    except actions.NotPossible as error:
        return _refused(request, job, verb, error.text, 409)
    text = say("%(verb)s of %(disk)s was asked for.", verb=verb.label, disk=_name(job))
    return _done(request, job, text)


def _consistent(request: Request) -> bool | None:
    """Return what the dialog of a finish says of consistency; None if it was not
    asked."""
    asked = "asks_consistent" in request.POST
    return "consistent" in request.POST if asked else None


def _refused(
    request: Request, job: CopyJob, verb: actions.Verb, why_not: str, status: int
) -> HttpResponse:
    """Say why, with the state in which the job is now."""
    job.refresh_from_db()
    context = {"job": job, "verb": verb, "why_not": why_not}
    return _answer(request, "console/refused.html", context, status)


def _answer(
    request: Request, template: str, context: dict[str, object], status: int = 200
) -> HttpResponse:
    if not wants_fragment(request):
        return render(request, template, context, status=status)
    response = render(request, f"{template}#dialog", context, status=status)
    response["X-Fragment"] = "true"
    return response


def _done(request: Request, job: CopyJob, said: str) -> HttpResponse:
    text = localized(said)
    address = reverse("job", args=[job.pk])
    if wants_fragment(request):
        detail = {"text": text, "url": address}
        return trigger_client_event(HttpResponse(status=204), "done", detail)
    messages.success(request, text)
    return redirect(address)


def _name(job: CopyJob) -> str:
    return say("%(disk)s of %(domain)s", disk=job.disk, domain=alone(job.domain_name))


# --- Bandwidth -----------------------------------------------------------------------


@require_POST
@needs("jobs.view_copyjob")
def speed(request: Request, pk: int) -> HttpResponse:
    """Change the bandwidth of a running copy; `bandwidth` as people write it."""
    job = _job(pk)
    typed = request.POST.get("bandwidth", "").strip()
    try:
        bytes_per_second = typed_bandwidth(typed)
        reason = request.POST.get("reason", "").strip()[:MOST_REASON]
        actions.set_speed(job, bytes_per_second, from_request(request), reason)
    except ValueError as error:
        return _speed_refused(request, pk, typed, error.args[0], 422)
    except actions.Denied as error:
        return _speed_refused(request, pk, typed, error.text, 403)
    except actions.NotPossible as error:
        return _speed_refused(request, pk, typed, error.text, 409)
    except actions.Invalid as error:
        return _speed_refused(request, pk, typed, error.text, 422)
    bandwidth = bandwidth_text(bytes_per_second)
    text = say("Bandwidth %(bandwidth)s was asked for.", bandwidth=bandwidth)
    return _done(request, job, text)


def typed_bandwidth(typed: str) -> int:
    """Return bytes/s; ValueError with what to write instead."""
    if typed.lower() in ("unlimited", "none", localized(bandwidth_text(0))):
        return 0
    if not typed:
        raise ValueError(
            say("Write a bandwidth, for example 50 MiB/s, or 0 for no limit.")
        )
    return read_bytes(typed)


def _speed_refused(
    request: Request, pk: int, typed: str, error: str, status: int
) -> HttpResponse:
    if wants_fragment(request):
        context = {"error": error}
        template = "console/partials/field_error.html"
        response = render(request, template, context, status=status)
        response["X-Fragment"] = "true"
        return response
    context = {**page_of(request, pk), "speed_error": error, "speed_typed": typed}
    context["speed_reason"] = request.POST.get("reason", "")
    return render(request, "console/job.html", context, status=status)
