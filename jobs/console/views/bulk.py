"""One act on many jobs: the confirmation by GET, the act by POST, no JavaScript.

The confirmation freezes the choice. What the POST acts on are the very jobs that the
confirmation said it would, as far as it still can; all others are left alone, and each
has its line in the answer.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from jobs import actions
from jobs.actions import (
    BULK_ACTS,
    MOST_AT_ONCE,
    SPEED,
    BulkAct,
    Told,
)
from jobs.actor import from_request
from jobs.console.bulk import Plan, numbers, plan_of
from jobs.console.filters import JobFilter, in_words
from jobs.console.page import Request, needs
from jobs.console.views.verbs import MOST_REASON, typed_bandwidth
from jobs.models import CopyJob
from jobs.said import localized, say

TOO_MANY = say(
    "At most %(most)d jobs at a time. Narrow the filter "
    "down, and come back for the rest.",
    most=MOST_AT_ONCE,
)
NOTHING = say("No job was selected.")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_copyjob")
def bulk(request: Request) -> HttpResponse:
    """GET: what `act` would do to the jobs `job` (or `all` that match). POST: do it."""
    told = request.POST if request.method == "POST" else request.GET
    act = BULK_ACTS.get(told.get("act", ""))
    if act is None:
        raise Http404("There is no such act on many jobs.")
    if request.method == "POST":
        return _perform(request, act)
    return _confirm(request, act)


# --- The confirmation --------------------------------------------------------------


def _confirm(request: Request, act: BulkAct) -> HttpResponse:
    wanted = _filter(request.GET)
    if "all" in request.GET:
        if wanted.complaints:
            return _nothing(request, act, wanted, " ".join(wanted.complaints))
        pks = list(wanted.jobs().values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
    else:
        try:
            pks = numbers(",".join(request.GET.getlist("job")), 2 * MOST_AT_ONCE)
        except ValueError:
            return _nothing(request, act, wanted, say("These are no job numbers."))
    if not pks or len(pks) > MOST_AT_ONCE:
        return _nothing(request, act, wanted, TOO_MANY if pks else NOTHING)
    plan = plan_of(act, _jobs(pks), from_request(request))
    listed = request.GET.get("all", "")
    changed = listed.isdigit() and listed != str(len(pks))
    more = {"wanted": wanted, "listed": listed if changed else "", "count": len(pks)}
    allowed = request.user.has_perm(act.permission)
    status = 403 if not allowed else 200 if plan.able else 409
    return _page(request, plan, {**more, "all": "all" in request.GET}, status)


def _filter(told: QueryDict) -> JobFilter:
    kept = QueryDict(mutable=True)
    for name in JobFilter.parameters() & told.keys():
        kept.setlist(name, told.getlist(name))
    return JobFilter(kept)


def _jobs(pks: list[int]) -> list[CopyJob]:
    """Return the jobs `pks` that there are, in that order."""
    found = CopyJob.objects.select_related("host").in_bulk(pks)
    return [found[pk] for pk in pks if pk in found]


def _nothing(
    request: Request, act: BulkAct, wanted: JobFilter, words: str
) -> HttpResponse:
    context = {"act": act, "wanted": wanted, "words": words}
    return render(request, "console/bulk_nothing.html", context, status=422)


def _page(
    request: Request, plan: Plan, more: dict[str, Any], status: int
) -> HttpResponse:
    wanted: JobFilter = more["wanted"]
    context = {
        "plan": plan,
        "act": plan.act,
        "jobs": _joined(plan.able),
        "left": _joined(one.job for one in plan.unable),
        "words": in_words(wanted),
        "asks_bandwidth": plan.act is SPEED,
        "to_type": plan.to_type,
        "host": plan.able[0].host if len(plan.able) == 1 else None,
        **more,
    }
    return render(request, "console/bulk_confirm.html", context, status=status)


def _joined(jobs: Any) -> str:
    return ",".join(str(job.pk) for job in jobs)


# --- The act -----------------------------------------------------------------------


def _perform(request: Request, act: BulkAct) -> HttpResponse:
    told, actor = request.POST, from_request(request)
    wanted = JobFilter(QueryDict(told.get("filter", "")))
    try:
        pks = numbers(told.get("jobs", ""), MOST_AT_ONCE)
        left = numbers(told.get("left", ""), MOST_AT_ONCE)
    except ValueError:
        return _nothing(request, act, wanted, TOO_MANY)
    if not pks:
        return _nothing(request, act, wanted, NOTHING)
    bandwidth, errors = _checked(request, act, _jobs(pks))
    if errors:
        plan = plan_of(act, _jobs(pks + left), actor)
        more = {"wanted": wanted, "all": "all" in told, "count": len(pks + left)}
        typed = {"typed": told, "errors": errors, "typed_error": errors.get("typed")}
        return _page(request, plan, {**more, **typed}, 422)
    reason = told.get("reason", "").strip()[:MOST_REASON]
    answers = actions.perform_each(act, pks, actor, reason, bandwidth=bandwidth)
    others = plan_of(act, _jobs([pk for pk in left if pk not in set(pks)]), actor)
    newly = _newly(wanted, {*pks, *left}) if "all" in told else 0
    context = {
        "act": act,
        "answers": answers,
        "asked": [one for one in answers if not one.refused],
        "refused": [one for one in answers if one.refused],
        "left": _left_alone(others),
        "newly": newly,
        "wanted": wanted,
        "bandwidth": bandwidth if act is SPEED else None,
    }
    allowed = request.user.has_perm(act.permission)
    status = 403 if not allowed else 200 if context["asked"] else 409
    return render(request, "console/bulk_done.html", context, status=status)


def _checked(
    request: Request, act: BulkAct, jobs: list[CopyJob]
) -> tuple[int, dict[str, str]]:
    """Return the bandwidth that was typed, and what is wrong, by its field."""
    errors, bandwidth = {}, 0
    wanted = actions.to_type_for_many(act, jobs)
    if wrong := actions.typing_error(wanted, request.POST.get("typed", "")):
        errors["typed"] = wrong
    if act is SPEED:
        try:
            bandwidth = typed_bandwidth(request.POST.get("bandwidth", "").strip())
        except ValueError as error:
            errors["bandwidth"] = localized(error.args[0])
    return bandwidth, errors


def _left_alone(others: Plan) -> list[Told]:
    """Return those that could not when it was confirmed, with what is so now."""
    now_able = say("It could not when this was confirmed, so it was left alone.")
    return [
        *(Told(one.job, one.why_not) for one in others.unable),
        *(Told(job, now_able) for job in others.able),
    ]


def _newly(wanted: JobFilter, frozen: set[int]) -> int:
    """Return how many jobs match by now that were not there at the confirmation.

    Those that the act itself moved out of the filter do not matter here.
    """
    return wanted.jobs().exclude(pk__in=frozen).count()
