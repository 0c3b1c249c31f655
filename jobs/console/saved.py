"""Saved views: a filter of the jobs page under a name, each person's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.console.filters import JobFilter, in_words
from jobs.models import SavedView

MOST_VIEWS = 30


class NameForm(forms.Form):
    """A view's name."""

    name = forms.CharField(max_length=60)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise ValidationError(_("The name has characters that can't be shown."))
        return name

    @property
    def wrong(self) -> str:
        """Say what is wrong with the name; empty if nothing is."""
        return " ".join(str(text) for text in self.errors.get("name", []))


@dataclass(frozen=True)
class ShownView:
    """A view with its filter: as words, as an address, and whether it is shown now."""

    view: SavedView
    current: bool = False

    @cached_property
    def wanted(self) -> JobFilter:
        return JobFilter(QueryDict(self.view.query))

    @property
    def address(self) -> str:
        """Return the list that it shows; no filter has to be made for that."""
        query = self.view.query
        return (
            f"{reverse(JobFilter.page)}?{query}" if query else reverse(JobFilter.page)
        )

    @property
    def words(self) -> str:
        return in_words(self.wanted) or _("all jobs")


def tabs(user: Any, shown: JobFilter | None = None) -> list[ShownView]:
    """Return the views of `user` by name; `shown` is the filter of the page."""
    now = _sorted(shown.given) if shown is not None else None
    return [
        ShownView(view, _sorted(QueryDict(view.query)) == now)
        for view in SavedView.objects.filter(user=user)
    ]


def _sorted(query: QueryDict) -> list[tuple[str, list[str]]]:
    return sorted((name, sorted(values)) for name, values in query.lists())


def save(user: Any, name: str, wanted: JobFilter) -> bool:
    """Keep `wanted` as the view `name`; return whether it is a new one.

    ValidationError for a filter that makes no sense, or one view too many.
    """
    if wanted.complaints:
        raise ValidationError(" ".join(wanted.complaints))
    mine = SavedView.objects.filter(user=user)
    if not mine.filter(name=name).exists() and mine.count() >= MOST_VIEWS:
        raise ValidationError(
            _("You have %(count)d views already; delete one first.")
            % {"count": MOST_VIEWS}
        )
    _view, new = mine.update_or_create(
        user=user, name=name, defaults={"query": wanted.query}
    )
    return new
