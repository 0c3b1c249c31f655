"""What the admin classes share: reading only, and entries for what they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.forms import BaseForm, ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from jobs import audit
from jobs.actor import Actor, from_request
from jobs.admin.names import give_names
from jobs.admin.shown import ReadOnly
from jobs.models.search import SEARCHED, mentioning
from jobs.paging import PER_PAGE, BoundedPaginator

Outcome = audit.Outcome

give_names()


def actor_of(request: HttpRequest) -> Actor:
    """Return the actor behind a request to the admin."""
    return from_request(request, channel="admin")


def changes(form: BaseForm) -> str:
    """Say what a form changed, field by field; passwords and roles are not told.

    Roles have entries of their own.
    """
    before, after = form.initial, form.cleaned_data
    return ", ".join(
        f"{name}: {_text(before.get(name))} → {_text(after[name])}"
        for name in form.changed_data
        if name in after and name not in _APART and "password" not in name
    )


_APART = {"groups", "reason"}


def _text(value: Any) -> str:
    if isinstance(value, (QuerySet, list, tuple)):
        return f"[{', '.join(sorted(map(str, value)))}]"
    return "" if value is None else str(value)


def one_of(
    field: str, words: Any, values: Sequence[str]
) -> type[admin.SimpleListFilter]:
    """Return a filter by `field` that offers `values`. Django's own asks the table what
    there is, and reads all of it."""

    class KnownValues(admin.SimpleListFilter):
        title = words
        parameter_name = field

        def lookups(
            self, request: HttpRequest, model_admin: Any
        ) -> list[tuple[str, Any]]:
            return [(value, value) for value in values]

        def queryset(
            self, request: HttpRequest, queryset: QuerySet[Any]
        ) -> QuerySet[Any] | None:
            return queryset.filter(**{field: self.value()}) if self.value() else None

    return KnownValues


class LoggedAdmin(admin.ModelAdmin[Any]):
    """An object's page leads to what the audit log says of the object: all that was
    done, wherever, while Django's own history knows what was done in the admin."""

    # Whether the audit log ever speaks of one.
    is_logged = True

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None and self.is_logged:
            about = {"object_type": self.opts.verbose_name_raw, "object_id": obj.pk}
            context["audit_log"] = f"{reverse('audit')}?{urlencode(about)}"
        return super().render_change_form(request, context, *args, **kwargs)


class ReadOnlyAdmin(ReadOnly, LoggedAdmin):
    """Rows to be read."""

    show_full_result_count = False
    list_per_page = PER_PAGE
    paginator = BoundedPaginator

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search as the pages do, where there is an index for that; a number is that
        of a row, too."""
        text = search_term.strip()
        if not text or self.model.__name__ not in SEARCHED:
            return super().get_search_results(request, queryset, search_term)
        is_number = text.isascii() and text.isdigit() and len(text) < 18
        others = [Q(pk=int(text))] if is_number else []
        return mentioning(queryset, text, *others), False


class AuditedAdmin(LoggedAdmin):
    """Every change leaves an audit entry in the transaction of the change.

    Django calls these hooks inside it: a change whose entry can't be written is undone.
    """

    list_per_page = PER_PAGE

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        """Save, and tell what was changed; a form that changed nothing stays silent."""
        super().save_model(request, obj, form, change)
        what = changes(form)
        if what or not change:
            self.tell(request, "change" if change else "add", obj, what)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Tell first: afterwards the object has no number."""
        self.tell(request, "delete", obj)
        super().delete_model(request, obj)

    def tell(
        self, request: HttpRequest, verb: str, obj: Model, intent: str = ""
    ) -> None:
        """Append an entry: "add site", "change user"."""
        action = f"{verb} {obj._meta.verbose_name_raw}"
        audit.record(actor_of(request), action, obj, Outcome.DONE, intent=intent)
