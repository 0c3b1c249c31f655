"""The ledger of what jobs left on the hosts' storage, and the asking for a removal."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.actions import (
    removal_consequence,
    removal_why_not,
    remove_leftover,
    to_type_for_removals,
    withdraw_removal,
    withdrawal_why_not,
)
from jobs.admin.base import one_of
from jobs.admin.confirming import Act, ConfirmingAdmin
from jobs.hypervisor.destination import KINDS
from jobs.leftovers import uses_of
from jobs.models import Leftover
from jobs.models.search import SEARCHED
from jobs.said import listed, say

REMOVE = Act(
    name="remove",
    label=say("Remove"),
    why_not=removal_why_not,
    consequence=removal_consequence,
    perform=remove_leftover,
    asked_for=say("its removal was asked for."),
    needs_reason=True,
    to_type=to_type_for_removals,
)
WITHDRAW = Act(
    name="withdraw",
    label=say("Withdraw the removal"),
    why_not=withdrawal_why_not,
    consequence=lambda leftover: say(
        "%(location)s stays where it is.", location=leftover.location
    ),
    perform=withdraw_removal,
    asked_for=say("its removal was withdrawn."),
)


class StateFilter(admin.SimpleListFilter):
    """Where a leftover stands in its removal."""

    title = _("state")
    parameter_name = "left"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("there", _("there")),
            ("asked", _("to be removed")),
            ("refused", _("removal refused")),
            ("removed", _("removed")),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        there = queryset.filter(removed_at=None)
        match self.value():
            case "there":
                return there
            case "asked":
                return there.exclude(removal_asked_at=None)
            case "refused":
                return there.exclude(refusal="")
            case "removed":
                return queryset.exclude(removed_at=None)
        return None


@admin.register(Leftover)
class LeftoverAdmin(ConfirmingAdmin):
    """Leftovers. A removal asks first; then hosts prove that nothing uses the place."""

    list_display = [
        *("id", "kind", "host_name", "location", "bytes", "of_job"),
        *("noted_at", "removal_asked_by", "refusal", "removed_at"),
    ]
    list_filter = [
        *(StateFilter, "kind", "ours", "host__site"),
        one_of("storage_kind", _("storage kind"), KINDS),
    ]
    list_select_related = ["host", "job"]
    search_fields = SEARCHED["Leftover"]
    actions = ["remove", "withdraw"]
    fieldsets = [
        (
            None,
            {"fields": ["kind", "host", "location", "storage_kind", "bytes", "users"]},
        ),
        (
            _("Noted"),
            {"fields": ["job", "ours", "noted_at", "measured_at"]},
        ),
        (
            _("Removal"),
            {
                "fields": [
                    *("removal_asked_at", "removal_asked_by", "removal_reason"),
                    *("refusal", "removing_at", "removed_at", "closing"),
                ]
            },
        ),
    ]

    @admin.display(description=_("used by"))
    def users(self, leftover: Leftover) -> str:
        used = uses_of([leftover]).get(leftover.pk, [])
        return listed(used) if used else say("nothing that is known")

    @admin.display(description=_("job"), ordering="job_id")
    def of_job(self, leftover: Leftover) -> str:
        return str(leftover.job_id)

    @admin.action(description=_("Remove from the storage…"), permissions=["remove"])
    def remove(self, request: HttpRequest, leftovers: QuerySet[Leftover]) -> Any:
        return self.confirm(request, REMOVE, leftovers)

    @admin.action(description=_("Withdraw the removal…"), permissions=["remove"])
    def withdraw(self, request: HttpRequest, leftovers: QuerySet[Leftover]) -> Any:
        return self.confirm(request, WITHDRAW, leftovers)

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.remove_leftover")
