"""The audit log. Nothing here, and nobody, changes it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from jobs.actor import CHANNELS
from jobs.admin.base import ReadOnlyAdmin, one_of
from jobs.audit.log import ACTIONS
from jobs.models import AuditEntry
from jobs.models.search import SEARCHED


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who asked for what, when, from where, and what came of it."""

    is_logged = False
    list_display = [
        *("time", "actor", "channel", "action", "outcome", "object_text"),
        *("reason", "address"),
    ]
    list_filter = [
        "outcome",
        one_of("channel", _("channel"), CHANNELS),
        one_of("action", _("action"), ACTIONS),
        "time",
    ]
    search_fields = SEARCHED["AuditEntry"]
    actions = None
    fields = [
        *("time", "actor", "channel", "address", "request_id", "action", "outcome"),
        *("object_type", "object_id", "object_text", "intent", "reason", "detail"),
    ]
