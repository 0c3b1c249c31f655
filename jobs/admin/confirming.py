"""Acts on chosen rows of a list: asked first, with what each will do, then told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from jobs.actions import ActionError, typing_error
from jobs.actor import Actor
from jobs.admin.base import ReadOnlyAdmin, actor_of
from jobs.said import localized

AT_ONCE = 200
REASON_MAX = 1000


@dataclass(frozen=True)
class Act:
    """One act on one row. `why_not` is "" where it is possible; `perform` raises
    ActionError; `asked_for` tells what was asked for."""

    name: str
    label: str
    why_not: Callable[[Any, Actor], str]
    consequence: Callable[[Any], str]
    perform: Callable[[Any, Actor, str], object]
    asked_for: str
    needs_reason: bool = False
    # What is to be typed before it is done to these rows; "" for nothing.
    to_type: Callable[[list[Any]], str] = lambda _: ""


class ConfirmingAdmin(ReadOnlyAdmin):
    """Rows to be read, with acts that are confirmed first."""

    def confirm(
        self, request: HttpRequest, act: Act, rows: QuerySet[Any]
    ) -> HttpResponse | None:
        """Ask for the confirmation; once it was given, act on each row."""
        if "confirmed" in request.POST:
            return self._perform(request, act)
        chosen = list(rows[: AT_ONCE + 1])
        if len(chosen) > AT_ONCE:
            too_many = _("Choose at most %(count)d rows at once; nothing was done.")
            self.message_user(request, too_many % {"count": AT_ONCE}, messages.ERROR)
            return None
        return self._ask(request, act, chosen)

    def _ask(
        self, request: HttpRequest, act: Act, rows: list[Model], wrong: str = ""
    ) -> TemplateResponse:
        actor = actor_of(request)
        refused = {row: why for row in rows if (why := act.why_not(row, actor))}
        possible = [row for row in rows if row not in refused]
        context = {
            **self.admin_site.each_context(request),
            "title": _("%(act)s: are you sure?") % {"act": localized(act.label)},
            "opts": self.opts,
            "media": self.media,
            "act": act,
            "possible": {row: act.consequence(row) for row in possible},
            "refused": refused,
            "checkbox": ACTION_CHECKBOX_NAME,
            "reason_max": REASON_MAX,
            "to_type": act.to_type(possible),
            "typed": request.POST,
            "wrong": wrong,
        }
        template = "admin/jobs/confirm_act.html"
        status = 422 if wrong else 200
        return TemplateResponse(request, template, context, status=status)

    def _perform(self, request: HttpRequest, act: Act) -> HttpResponse | None:
        """Act on the confirmed rows, by number: the list's filters may no longer let
        a row through that has changed since."""
        confirmed = request.POST.getlist(ACTION_CHECKBOX_NAME)[:AT_ONCE]
        reason = request.POST.get("reason", "").strip()[:REASON_MAX]
        if act.needs_reason and not reason:
            told = _("Say why; it goes into the audit log. Nothing was done.")
            self.message_user(request, told, messages.ERROR)
            return None
        found = self.model._default_manager.select_related("host__site")
        rows = list(found.filter(pk__in=confirmed).order_by("pk"))
        wrong = typing_error(act.to_type(rows), request.POST.get("typed", ""))
        if wrong:
            return self._ask(request, act, rows, wrong)
        for row in rows:
            try:
                act.perform(row, actor_of(request), reason)
            except ActionError as error:
                words = {"row": row, "why": localized(error.text)}
                told = _("%(row)s: not done. %(why)s") % words
                self.message_user(request, told, messages.ERROR)
            else:
                told = f"{row}: {localized(act.asked_for)}"
                self.message_user(request, told, messages.SUCCESS)
        return None
