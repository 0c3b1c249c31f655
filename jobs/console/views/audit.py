"""The audit log: who did what, when, from where, and what came of it."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from jobs.audit import exports, last_verification, log
from jobs.audit.chain import time_text
from jobs.audit.log import ACTIONS, LEFT_OUT
from jobs.console.fields import FIRST_DAY, LAST_DAY
from jobs.console.filtering import Chip
from jobs.console.page import Request, needs, show
from jobs.models import AuditEntry, CopyJob, Domain, Host
from jobs.models.search import mentioning
from jobs.paging import PER_PAGE
from jobs.said import joined, say

EXACT = ("actor", "action", "outcome", "object_type", "object_id")
DATES = ("since", "until")
FILTERS = (*EXACT, "q", "without", *DATES)
# What is left out, and how the chip is called that asks for it.
GROUPS = {"": _("All"), "sign-ins": _("Without sign-ins")}
# The most entries that a page exports; the command line has no such limit.
MOST_EXPORTED = 50_000
# The page that shows an object, by what the audit log calls its type.
PAGES: dict[str, tuple[type[Model], str]] = {
    model._meta.verbose_name_raw: (model, page)
    for model, page in ((CopyJob, "job"), (Host, "host"), (Domain, "domain"))
}


@require_safe
@needs("jobs.view_auditentry")
def audit(request: Request) -> HttpResponse:
    """List the entries, newest first; the filters and the place are in the address."""
    wanted, complaints = _wanted(request)
    found = AuditEntry.objects.none() if complaints else _matching(wanted)
    entries, older, newer = _around(found, request, any(wanted[name] for name in DATES))
    links = _links(entries)
    return show(
        request,
        "console/audit.html",
        {
            "rows": [(e, links.get((e.object_type, e.object_id), "")) for e in entries],
            "older": older,
            "newer": newer,
            "newest": newer is None and "before" not in request.GET,
            "wanted": wanted,
            "complaints": complaints,
            "checked": last_verification(),
            "filtered": any(wanted.values()),
            "exported": urlencode(_given(wanted)),
            "chips": _chips(wanted),
            "actions": ACTIONS,
            "outcomes": AuditEntry.Outcome.choices,
        },
    )


@require_safe
@needs("jobs.view_auditentry")
def export(request: Request, form: str) -> HttpResponse:
    """Send the entries that match as "jsonl" or "csv", the oldest first.

    As `blockcopy audit export` writes them, so that they verify like its files.
    """
    if form not in exports.FORMATS:
        raise Http404(f"There is no format {form}.")
    wanted, complaints = _wanted(request)
    if complaints:
        return _no_export(request, joined(*complaints))
    found = _matching(wanted)
    if found[MOST_EXPORTED : MOST_EXPORTED + 1].exists():
        words = say(
            "More than %(most)s entries match. Narrow the filter down.",
            most=intcomma(MOST_EXPORTED),
        )
        return _no_export(request, words)
    text = io.StringIO(newline="")
    exports.write(log.entries(found), text, form, _told(wanted))
    kind = "text/csv" if form == "csv" else "application/jsonl"
    response = HttpResponse(text.getvalue(), content_type=f"{kind}; charset=utf-8")
    name = f"audit-{timezone.now():%Y%m%d-%H%M%S}.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _no_export(request: Request, words: str) -> HttpResponse:
    context = {"words": words, "query": request.GET.urlencode()}
    return render(request, "console/audit_no_export.html", context, status=422)


def _wanted(request: Request) -> tuple[dict[str, str], list[str]]:
    """Return the filter by name, and what is wrong with it, a sentence each."""
    wanted = {name: _text(request, name) for name in FILTERS}
    days = [wanted[name] for name in DATES if wanted[name]]
    complaints: list[str] = [
        say("“%(day)s” is no date.", day=day) for day in days if _day(day) is None
    ]
    outcome = wanted["outcome"]
    if outcome and outcome not in AuditEntry.Outcome.values:
        complaints.append(say("There is no outcome “%(outcome)s”.", outcome=outcome))
    without = wanted["without"]
    if without and without not in LEFT_OUT:
        words = say("There is no way to leave out “%(without)s”.", without=without)
        complaints.append(words)
    return wanted, complaints


def _given(wanted: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in wanted.items() if text}


def _chips(wanted: dict[str, str]) -> list[Chip]:
    """Return what else the same list may leave out; its newest entries."""
    chips = []
    for without, words in GROUPS.items():
        query = urlencode(_given({**wanted, "without": without}))
        address = f"{reverse('audit')}?{query}" if query else reverse("audit")
        chips.append(Chip(str(words), address, without == wanted["without"]))
    return chips


def _told(wanted: dict[str, str]) -> dict[str, str]:
    """Return the filter as an export tells it: with moments, the last one exclusive."""
    told = _given(wanted)
    if since := _day(wanted["since"]):
        told["since"] = time_text(since)
    if until := _day(wanted["until"]):
        told["until"] = time_text(until + timedelta(days=1))
    return told


def _day(text: str) -> datetime | None:
    """Return the beginning of a day that is written as 2026-11-23, in the current
    zone; None for anything else."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    if day is None or not FIRST_DAY <= day <= LAST_DAY:
        return None
    return timezone.make_aware(datetime.combine(day, time.min))


def _text(request: Request, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:255]


def _matching(wanted: dict[str, str]) -> QuerySet[AuditEntry]:
    exactly = {name: wanted[name] for name in EXACT if wanted[name]}
    found = AuditEntry.objects.filter(**exactly)
    if without := wanted["without"]:
        found = found.exclude(LEFT_OUT[without])
    if since := _day(wanted["since"]):
        found = found.filter(time__gte=since)
    if until := _day(wanted["until"]):
        found = found.filter(time__lt=until + timedelta(days=1))
    return mentioning(found, wanted["q"]) if wanted["q"] else found


def _around(
    found: QuerySet[AuditEntry], request: Request, by_time: bool
) -> tuple[list[AuditEntry], int | None, int | None]:
    """Return a page of entries and where the older and the newer ones begin.

    By id, so that the page after a million entries is as quick as the first, and
    entries that arrive meanwhile move nothing. `by_time`: by time first, as the index
    has them by which a night of long ago is found; they differ where a clock was set
    back.
    """
    after, before = _number(request, "after"), _number(request, "before")
    order = ("time", "id") if by_time else ("id",)
    if after is not None:
        rows = _beyond(found, after, "gt", by_time).order_by(*order)
        page = list(rows[: PER_PAGE + 1])
        more_newer, more_older = len(page) > PER_PAGE, True
        page = page[:PER_PAGE][::-1]
    else:
        if before is not None:
            found = _beyond(found, before, "lt", by_time)
        page = list(found.order_by(*order).reverse()[: PER_PAGE + 1])
        more_newer, more_older = before is not None, len(page) > PER_PAGE
        page = page[:PER_PAGE]
    older = page[-1].pk if page and more_older else None
    newer = page[0].pk if page and more_newer else None
    return page, older, newer


def _beyond(
    found: QuerySet[AuditEntry], edge: int, side: str, by_time: bool
) -> QuerySet[AuditEntry]:
    """Keep the entries before ("lt") or after ("gt") the one with the id `edge`."""
    past = Q(**{f"id__{side}": edge})
    if not by_time:
        return found.filter(past)
    at = AuditEntry.objects.filter(pk=edge).values_list("time", flat=True).first()
    if at is not None:
        # What the index is asked for, and what is exact.
        past = Q(**{f"time__{side}e": at}) & (Q(**{f"time__{side}": at}) | past)
    return found.filter(past)


def _number(request: Request, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _links(entries: Iterable[AuditEntry]) -> dict[tuple[str, str], str]:
    """Return the addresses of those objects that still exist, a query per type."""
    ids: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.object_type in PAGES and entry.object_id.isdigit():
            ids[entry.object_type].add(entry.object_id)
    links: dict[tuple[str, str], str] = {}
    for kind, wanted in ids.items():
        model, page = PAGES[kind]
        rows: QuerySet[Any] = model._default_manager.filter(pk__in=wanted)
        for pk in rows.values_list("pk", flat=True):
            links[kind, str(pk)] = reverse(page, args=[pk])
    return links
