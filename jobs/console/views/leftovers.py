"""The ledger of what jobs left on the hosts' storage, and its removal.

Removing is confirmed by GET and asked for by POST; without JavaScript both are pages,
asked for by htmx they are what stands in the dialog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import trigger_client_event

from jobs import actions
from jobs.actor import Actor, from_request
from jobs.console.ledger import LeftoverFilter, show_leftovers
from jobs.console.page import Request, needs, show, wants_fragment
from jobs.console.views.verbs import MOST_REASON
from jobs.models import Host, Leftover
from jobs.paging import MOST_LISTED, AtLeast, Pages
from jobs.said import localized, say


@require_safe
@needs("jobs.view_leftover")
def leftovers(request: Request) -> HttpResponse:
    """List them; `state`, `host`, `kind`, `q` and `page` in the address narrow it."""
    form = LeftoverFilter(request.GET)
    total = form.total
    counted = total.count if total else None
    if counted and counted > MOST_LISTED:
        counted = AtLeast(counted)
    pages = Pages(form.leftovers(), counted)
    page = pages.get_page(request.GET.get("page"))
    context = {
        "form": form,
        "kinds": Leftover.Kind.choices,
        "page": page,
        "rows": show_leftovers(page.object_list),
        "total": total,
        "may_remove": request.user.has_perm(actions.REMOVE_PERMISSION),
    }
    return show(request, "console/leftovers.html", context)


@dataclass(frozen=True)
class Act:
    """What can be done with a leftover: a verb of the ledger's own."""

    name: str
    label: str
    why_not: Callable[[Leftover, Actor], str]
    consequence: Callable[[Leftover], str]
    carry_out: Callable[[Leftover, Actor, str], None]
    said: Callable[[str], str]
    to_type: Callable[[list[Leftover]], str] = lambda _: ""


def _stays(leftover: Leftover) -> str:
    return say(
        "%(location)s stays on %(host)s as it is.",
        location=leftover.location,
        host=leftover.host_name,
    )


ACTS = {
    act.name: act
    for act in (
        Act(
            name="remove",
            label=say("Remove"),
            why_not=actions.removal_why_not,
            consequence=actions.removal_consequence,
            carry_out=actions.remove_leftover,
            said=lambda where: say(
                "The removal of %(location)s was asked for.", location=where
            ),
            to_type=actions.to_type_for_removals,
        ),
        Act(
            name="withdraw",
            label=say("Withdraw the removal"),
            why_not=actions.withdrawal_why_not,
            consequence=_stays,
            carry_out=actions.withdraw_removal,
            said=lambda where: say(
                "The removal of %(location)s was withdrawn.", location=where
            ),
        ),
    )
}


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_leftover")
def act(request: Request, pk: int, act: str) -> HttpResponse:
    """Ask for confirmation of an act on a leftover, or carry it out."""
    chosen = ACTS.get(act)
    if chosen is None:
        raise Http404(f"There is no act {act}.")
    rows = Leftover.objects.select_related("host__site", "job__host")
    leftover = get_object_or_404(rows, pk=pk)
    if request.method == "POST":
        return _carry_out(request, leftover, chosen)
    return _confirm(request, leftover, chosen)


def _confirm(request: Request, leftover: Leftover, chosen: Act) -> HttpResponse:
    actor = from_request(request)
    if why_not := chosen.why_not(leftover, actor):
        allowed = actor.may(actions.REMOVE_PERMISSION)
        return _refused(request, leftover, chosen, why_not, 409 if allowed else 403)
    return _question(request, leftover, chosen)


def _question(
    request: Request, leftover: Leftover, chosen: Act, wrong: str = ""
) -> HttpResponse:
    context: dict[str, object] = {
        "consequence": chosen.consequence(leftover),
        "hosts": Host.objects.filter(enabled=True),
        "to_type": chosen.to_type([leftover]),
        "typed": request.POST,
        "typed_error": wrong,
    }
    return _answer(request, leftover, chosen, context, 422 if wrong else 200)


def _carry_out(request: Request, leftover: Leftover, chosen: Act) -> HttpResponse:
    reason = request.POST.get("reason", "").strip()[:MOST_REASON]
    actor = from_request(request)
    # Whoever can't do it anyway is told why, whatever they typed.
    wrong = actions.typing_error(
        chosen.to_type([leftover]), request.POST.get("typed", "")
    )
    if wrong and not chosen.why_not(leftover, actor):
        return _question(request, leftover, chosen, wrong)
    try:
        chosen.carry_out(leftover, actor, reason)
    except actions.Denied as error:
        return _refused(request, leftover, chosen, error.text, 403)
    except actions.NotPossible as error:
        return _refused(request, leftover, chosen, error.text, 409)
    text = localized(chosen.said(leftover.location))
    if wants_fragment(request):
        detail = {"text": text, "url": ""}
        return trigger_client_event(HttpResponse(status=204), "done", detail)
    messages.success(request, text)
    return redirect(reverse("leftovers"))


def _refused(
    request: Request, leftover: Leftover, chosen: Act, why_not: str, status: int
) -> HttpResponse:
    return _answer(request, leftover, chosen, {"why_not": why_not}, status)


def _answer(
    request: Request,
    leftover: Leftover,
    chosen: Act,
    context: dict[str, object],
    status: int = 200,
) -> HttpResponse:
    name = leftover.location.rpartition("/")[2]
    filled = {"leftover": leftover, "name": name, "act": chosen, **context}
    fragment = wants_fragment(request)
    template = "console/leftover_act.html" + ("#dialog" if fragment else "")
    response = render(request, template, filled, status=status)
    if fragment:
        response["X-Fragment"] = "true"
    return response
