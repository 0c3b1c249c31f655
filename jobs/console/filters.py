"""The jobs page's filters. All of them live in the address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django import forms
from django.db.models import Count, Q
from django.urls import reverse

from jobs.lifecycle import ACTIVE, ENDED, State, WhenReady
from jobs.models import CopyJob, Host
from jobs.models.job import CopyJobQuerySet

_WAITING = Q(state=State.MIRRORING, when_ready=WhenReady.WAIT)
_ACTIVE = Q(state__in=sorted(ACTIVE))
GROUPS: dict[str, tuple[str, Q]] = {
    "": ("All", Q()),
    "waiting": ("Waiting for a decision", _WAITING),
    "active": ("Active", _ACTIVE),
    "ended": ("Ended", Q(state__in=sorted(ENDED))),
    "failed": ("Failed or lost", Q(state__in=[State.FAILED, State.LOST])),
}
_TEXT_FIELDS = (
    *("domain_name", "disk", "host_name", "source", "destination"),
    "requested_by_name",
)


class JobFilter(forms.Form):
    """`state` is a group or one of the states; `host` a host's id; `q` any text."""

    state = forms.ChoiceField(
        required=False,
        choices=[(name, label) for name, (label, _) in GROUPS.items()] + State.choices,
        error_messages={"invalid_choice": "There is no state “%(value)s”."},
    )
    host = forms.ModelChoiceField(
        required=False,
        queryset=Host.objects.all(),
        error_messages={"invalid_choice": "There is no such host."},
    )
    q = forms.CharField(required=False, max_length=200)

    def jobs(self) -> CopyJobQuerySet:
        """Return the jobs that match, newest first; none for a filter that is wrong."""
        if not self.is_valid():
            return CopyJob.objects.none()
        wanted = self.cleaned_data
        found = CopyJob.objects.filter(self._state(wanted["state"]))
        if wanted["host"]:
            found = found.filter(host=wanted["host"])
        if wanted["q"]:
            found = found.filter(_mentions(wanted["q"]))
        return found.select_related("host").order_by("-id")

    @staticmethod
    def _state(name: str) -> Q:
        return GROUPS[name][1] if name in GROUPS else Q(state=name)

    @property
    def query(self) -> str:
        """Return the filters in force as a query string; empty for none."""
        return urlencode({k: v for k, v in self.data.items() if v and k in self.fields})


def _mentions(text: str) -> Q:
    query = Q()
    for name in _TEXT_FIELDS:
        query |= Q(**{f"{name}__icontains": text})
    number = text.removeprefix("#")
    if number.isdecimal() and len(number) < 18:
        query |= Q(pk=int(number))
    return query


# --- Chips -------------------------------------------------------------------------


@dataclass(frozen=True)
class Chip:
    """A group of states as a link that keeps the other filters."""

    label: str
    address: str
    current: bool
    count: int | None = None


def chips(form: JobFilter) -> list[Chip]:
    """Return the chips; those of active jobs with their counts (one query)."""
    chosen = str(form.data.get("state", ""))
    kept = {name: form.data[name] for name in ("host", "q") if form.data.get(name)}
    counts = CopyJob.objects.active().aggregate(
        waiting=Count("pk", filter=_WAITING), active=Count("pk")
    )
    found = [
        Chip(label, _address(kept, name), chosen == name, counts.get(name))
        for name, (label, _) in GROUPS.items()
    ]
    if chosen in State.values:
        label = State(chosen).label.capitalize()
        found.append(Chip(label, _address(kept, chosen), current=True))
    return found


def _address(kept: dict[str, str], state: str) -> str:
    query = urlencode({**({"state": state} if state else {}), **kept})
    return f"{reverse('jobs')}?{query}" if query else reverse("jobs")
