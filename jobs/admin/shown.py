"""Fields as people read them: choices and recorded sentences in the reader's language,
sizes in their units, and nothing as a dash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model

from jobs.lifecycle import State
from jobs.models.told import Told
from jobs.said import localized, recalled
from jobs.units import bytes_text

NOTHING = admin.site.empty_value_display

SIZES = {"capacity", "allocation", "physical", "available", "bytes"}
STATES = {"old_state", "new_state"}
# What the console's pages tell in the reader's language, too.
RECORDED = {
    *("failure", "remedy", "likely_cause", "flagged", "left_behind"),
    *("refusal", "closing", "error", "error_remedy"),
}


class Shown:
    """A column, or a line of a page, that is a field of its row as people read it."""

    do_not_call_in_templates = True

    def __init__(self, field: Field[Any, Any]) -> None:
        self.field = field
        self.__name__ = self.admin_order_field = field.name

    def __str__(self) -> str:
        return self.__name__

    @property
    def short_description(self) -> Any:
        return self.field.verbose_name

    def __call__(self, row: Model) -> str:
        name, value = self.field.name, getattr(row, self.field.name)
        if value is None or value == "":
            return NOTHING
        if name in SIZES:
            return localized(bytes_text(value))
        if name in RECORDED:
            return recalled(row.told(name) if isinstance(row, Told) else value)
        if name in STATES:
            return localized(State(value).label) if value in State else str(value)
        return localized(dict(self.field.flatchoices).get(value, value))


def shown(model: type[Model], names: Iterable[Any]) -> list[Any]:
    """Return the names with those of fields that want it as `Shown`."""
    return [_shown(model, name) for name in names]


def _shown(model: type[Model], name: Any) -> Any:
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    wants_it = name in SIZES | STATES | RECORDED or getattr(field, "choices", None)
    return Shown(field) if wants_it else name


class ReadOnly:
    """Of Django's admin classes: rows to be read. Nobody adds, changes or deletes,
    superusers neither."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        me: Any = self  # what Django's admin classes are beside
        if isinstance(self, admin.ModelAdmin):
            me.list_display = shown(me.model, me.list_display)
        if me.fieldsets:
            me.fieldsets = [
                (title, {**options, "fields": shown(me.model, options["fields"])})
                for title, options in me.fieldsets
            ]
            parts = [options["fields"] for _, options in me.fieldsets]
            me.readonly_fields = [name for part in parts for name in part]
        elif me.fields:
            me.fields = me.readonly_fields = shown(me.model, me.fields)

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False
