"""The audit log: who did what, when, from where, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from jobs.console.page import Request, needs, show
from jobs.models import AuditEntry, CopyJob, Domain, Host

PER_PAGE = 50
FILTERS = ("actor", "action", "outcome", "object_type", "object_id", "q")
# Offered in the filter; any other text may be asked for too.
ACTIONS = (
    *("request", "start", "speed", "pivot", "finish", "cancel", "copy", "repair"),
    *("sync", "test connection", "add host", "change host"),
    *("sign in", "sign out", "add user", "change role", "change password"),
)
# The page that shows an object, by what the audit log calls its type.
PAGES: dict[str, tuple[type[Model], str]] = {
    str(model._meta.verbose_name): (model, page)
    for model, page in ((CopyJob, "job"), (Host, "host"), (Domain, "domain"))
}


@require_safe
@needs("jobs.view_auditentry")
def audit(request: Request) -> HttpResponse:
    """List the entries, newest first; the filters and the place are in the address."""
    wanted = {name: _text(request, name) for name in FILTERS}
    entries, older, newer = _around(_matching(wanted), request)
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
            "filtered": any(wanted.values()),
            "actions": ACTIONS,
            "outcomes": AuditEntry.Outcome.choices,
        },
    )


def _text(request: Request, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:255]


def _matching(wanted: dict[str, str]) -> QuerySet[AuditEntry]:
    exactly = {name: text for name, text in wanted.items() if text and name != "q"}
    found = AuditEntry.objects.filter(**exactly)
    if text := wanted["q"]:
        anywhere = Q(request_id=text)
        for name in ("object_text", "intent", "reason", "detail", "actor"):
            anywhere |= Q(**{f"{name}__icontains": text})
        found = found.filter(anywhere)
    return found


def _around(
    found: QuerySet[AuditEntry], request: Request
) -> tuple[list[AuditEntry], int | None, int | None]:
    """Return a page of entries and where the older and the newer ones begin.

    By id, so that the page after a million entries is as quick as the first, and
    entries that arrive meanwhile move nothing.
    """
    after, before = _number(request, "after"), _number(request, "before")
    if after is not None:
        page = list(found.filter(id__gt=after).order_by("id")[: PER_PAGE + 1])
        more_newer, more_older = len(page) > PER_PAGE, True
        page = page[:PER_PAGE][::-1]
    else:
        earlier = found.filter(id__lt=before) if before is not None else found
        page = list(earlier.order_by("-id")[: PER_PAGE + 1])
        more_newer, more_older = before is not None, len(page) > PER_PAGE
        page = page[:PER_PAGE]
    older = page[-1].pk if page and more_older else None
    newer = page[0].pk if page and more_newer else None
    return page, older, newer


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
