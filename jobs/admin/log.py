"""The audit log. Nothing here, and nobody, changes it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from jobs.admin.base import ReadOnlyAdmin, to_the_second
from jobs.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who asked for what, when, from where, and what came of it."""

    list_display = [
        *("at", "actor", "channel", "action", "outcome", "object_text"),
        *("reason", "address"),
    ]
    list_filter = ["outcome", "channel", "action"]
    search_fields = [
        *("actor", "action", "object_text", "=object_id", "reason", "detail"),
        *("intent", "=request_id"),
    ]
    date_hierarchy = "time"
    actions = None
    fields = [
        *("at", "actor", "channel", "address", "request_id", "action", "outcome"),
        *("object_type", "object_id", "object_text", "intent", "reason", "detail"),
    ]
    readonly_fields = ["at"]

    @admin.display(description=_("time (UTC)"), ordering="time")
    def at(self, entry: AuditEntry) -> str:
        return to_the_second(entry.time)
