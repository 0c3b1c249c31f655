"""The ledger of leftovers as its page shows it, and the filters of that page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django import forms
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from jobs.actions import withdrawal_why_not
from jobs.console.selects import NameSelect
from jobs.leftovers import proofs, uses_of
from jobs.models import CopyJob, Host, Leftover
from jobs.models.search import mentioning
from jobs.said import say

_THERE = Q(removed_at=None)
_REMOVING = _THERE & Q(removal_asked_at__isnull=False)
GROUPS: dict[str, tuple[str, Q]] = {
    "": (say("There"), _THERE),
    "removing": (say("Being removed"), _REMOVING),
    "removed": (say("Removed"), ~_THERE),
}


class LeftoverFilter(forms.Form):
    """`state` is a group, `host` a host's id, `kind` a kind, `q` a part of where."""

    state = forms.ChoiceField(
        required=False, choices=[(name, label) for name, (label, _) in GROUPS.items()]
    )
    host = forms.ModelChoiceField(
        required=False,
        queryset=Host.objects.all(),
        widget=NameSelect({"class": "form-select filter-choice", "id": "host"}),
        empty_label=_("Any host"),
    )
    kind = forms.ChoiceField(
        required=False, choices=[("", say("Any kind")), *Leftover.Kind.choices]
    )
    q = forms.CharField(required=False, max_length=200)

    def leftovers(self) -> QuerySet[Leftover]:
        """Return what matches, newest first; nothing for a filter that is wrong."""
        if not self.is_valid():
            return Leftover.objects.none()
        wanted = self.cleaned_data
        found: QuerySet[Leftover] = Leftover.objects.filter(GROUPS[wanted["state"]][1])
        if wanted["host"]:
            found = found.filter(host=wanted["host"])
        if wanted["kind"]:
            found = found.filter(kind=wanted["kind"])
        if wanted["q"]:
            found = mentioning(found, wanted["q"])
        return found.select_related("host", "job")

    @property
    def total(self) -> Total | None:
        """Return how much takes room of what matches; None where nothing is there any
        more: to add that up takes longer with each year."""
        if self.is_valid() and self.cleaned_data["state"] == "removed":
            return None
        return total_of(self.leftovers())

    @property
    def narrowed(self) -> bool:
        """Whether any filter is set."""
        return any(self.data.get(name) for name in self.fields)

    @property
    def chips(self) -> list[tuple[str, str, bool]]:
        """Return label, query and whether it is chosen, for each group."""
        kept = {
            name: str(self.data[name])
            for name in ("host", "kind", "q")
            if self.data.get(name)
        }
        chosen = str(self.data.get("state", ""))
        return [
            (
                label,
                urlencode({**({"state": name} if name else {}), **kept}),
                name == chosen,
            )
            for name, (label, _) in GROUPS.items()
        ]


@dataclass(frozen=True)
class Total:
    """How much all of the leftovers in a list take on the storage."""

    count: int
    bytes: int
    unmeasured: int

    @property
    def known(self) -> bool:
        return self.unmeasured < self.count


def total_of(found: QuerySet[Leftover]) -> Total:
    """Return the total of `found`; one query."""
    sums = found.order_by().aggregate(
        count=Count("pk"),
        taken=Sum("bytes"),
        unmeasured=Count("pk", filter=Q(bytes=None)),
    )
    return Total(sums["count"], sums["taken"] or 0, sums["unmeasured"])


@dataclass(frozen=True)
class ShownLeftover:
    """A leftover with what uses it, and what its removal still waits for."""

    leftover: Leftover
    users: list[str] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)

    @property
    def removing(self) -> bool:
        row = self.leftover
        return row.removal_asked_at is not None and row.removed_at is None

    @property
    def may_withdraw(self) -> bool:
        return not withdrawal_why_not(self.leftover)

    @property
    def why_not(self) -> str:
        """Say why it can't be removed, as far as a list needs to know; else ""."""
        if self.users:
            return say("In use.")
        if self.leftover.storage_kind == "network":
            return say("It lies on a server; remove it there.")
        if self.leftover.measured_at is None:
            return say("Not measured yet.")
        return ""


def show_leftovers(rows: Iterable[Leftover]) -> list[ShownLeftover]:
    """Return `rows` with what uses them; a fixed number of queries."""
    shown = list(rows)
    users = uses_of(row for row in shown if row.removed_at is None)
    awaited = proofs(row for row in shown if _waits(row))
    return [
        ShownLeftover(row, users.get(row.pk, []), awaited.get(row.pk, []))
        for row in shown
    ]


def _waits(row: Leftover) -> bool:
    """Whether a removal was asked for that has not begun."""
    asked = row.removal_asked_at is not None
    return asked and row.removed_at is None and row.removing_at is None


def leftovers_of(job: CopyJob) -> list[ShownLeftover]:
    """Return what `job` left behind."""
    return show_leftovers(job.leftovers.select_related("host", "job"))
