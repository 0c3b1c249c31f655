"""The jobs page's filters. All of them live in the address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_filters import (
    CharFilter,
    ChoiceFilter,
    ModelChoiceFilter,
    MultipleChoiceFilter,
    OrderingFilter,
)

from jobs.console.filtering import MOST, Chip, DayRangeFilter, ListFilter
from jobs.console.selects import NameSelect
from jobs.lifecycle import ACTIVE, ENDED, State, WhenReady
from jobs.models import CopyJob, Host, Site
from jobs.models.job import DESTINATION_BEGINS, WAITING, CopyJobQuerySet
from jobs.models.search import mentioning
from jobs.paging import MOST_LISTED, AtLeast
from jobs.said import localized
from jobs.units import parse_seconds

# Groups of jobs: their words, their states, and whether only those count that nobody
# but a person moves on.
GROUPS: dict[str, tuple[Any, frozenset[State], bool]] = {
    "waiting": (_("Waiting for a decision"), frozenset({State.MIRRORING}), True),
    "active": (_("Active"), ACTIVE, False),
    "scheduled": (_("Scheduled"), frozenset({State.REQUESTED}), False),
    "ended": (_("Ended"), ENDED, False),
    "failed-or-lost": (
        _("Failed or lost"),
        frozenset({State.FAILED, State.LOST}),
        False,
    ),
}
_WITHIN = {
    "1h": _("The last hour"),
    "24h": _("The last 24 hours"),
    "168h": _("The last 7 days"),
    "720h": _("The last 30 days"),
}
# What may be sorted by: the name in the address, and the field.
SORTS = {
    "state": "state",
    "domain": "domain_name",
    "host": "host_name",
    "destination": "destination_begins",
    "actor": "requested_by_name",
    "asked": "requested_at",
}
_SORT_WORDS: dict[str, Any] = {
    "state": _("State"),
    "domain_name": _("Domain"),
    "host_name": _("Host"),
    "destination_begins": _("Destination"),
    "requested_by_name": _("Asked by"),
    "requested_at": _("Asked for"),
}
_WORDS = {
    "q": "“{}”",
    "site": _("site {}"),
    "host": _("host {}"),
    "domain": _("domain “{}”"),
    "destination": _("destination “{}”"),
    "actor": _("asked for by “{}”"),
    "asked_after": _("from {}"),
    "asked_before": _("until {}"),
}


class JobFilter(ListFilter):
    """`state` is any number of groups and states; the rest narrows them down.

    `domain`, `destination` and `actor` are parts of a text, `q` a part of any of them
    or a job's number; times are of the request.
    """

    page = "jobs"
    sortable = SORTS
    words = _WORDS

    q = CharFilter(method="mentions", max_length=MOST)
    state = MultipleChoiceFilter(
        method="in_states",
        choices=[
            *((name, label) for name, (label, *_) in GROUPS.items()),
            *State.choices,
        ],
        error_messages={"invalid_choice": _("There is no state “%(value)s”.")},
    )
    site = ModelChoiceFilter(
        field_name="host__site",
        queryset=Site.objects.all(),
        to_field_name="name",
        widget=NameSelect,
        empty_label=_("Any site"),
        error_messages={"invalid_choice": _("There is no such site.")},
    )
    host = ModelChoiceFilter(
        queryset=Host.objects.all(),
        widget=NameSelect,
        empty_label=_("Any host"),
        error_messages={"invalid_choice": _("There is no such host.")},
    )
    domain = CharFilter(field_name="domain_name", method="holds", max_length=MOST)
    destination = CharFilter(method="holds", max_length=MOST)
    actor = CharFilter(field_name="requested_by_name", method="holds", max_length=MOST)
    within = ChoiceFilter(
        method="asked_within",
        choices=list(_WITHIN.items()),
        empty_label=_("Any time"),
        error_messages={"invalid_choice": _("There is no time “%(value)s”.")},
    )
    asked = DayRangeFilter(field_name="requested_at")
    sort = OrderingFilter(
        fields={field: name for name, field in SORTS.items()},
        field_labels=_SORT_WORDS
        | {
            f"-{name}": format_lazy(_("{field} (descending)"), field=_SORT_WORDS[field])
            for name, field in SORTS.items()
        },
        empty_label=_("Newest first"),
        error_messages={"invalid_choice": _("There is no order “%(value)s”.")},
    )

    class Meta:
        model = CopyJob
        fields: tuple[str, ...] = ()

    def everything(self) -> CopyJobQuerySet:
        return CopyJob.objects.alias(destination_begins=DESTINATION_BEGINS)

    # --- What matches ---------------------------------------------------------------

    def jobs(self) -> CopyJobQuerySet:
        """Return the jobs that match; none for a filter that is wrong.

        Newest first unless sorted otherwise; no two jobs ever change places.
        """
        found: Any = self.found
        ordered: CopyJobQuerySet = found.for_a_list().order_by(
            *found.query.order_by, "-id"
        )
        return ordered

    def counts(self) -> Counts:
        """Return how many jobs match, by state, if the filter said none; two queries.

        All active ones are counted, and the newest that ended: history grows for ever.
        """
        if self.complaints:
            return Counts({}, 0)
        rest: Any = JobFilter(self.without("state")).qs if self.states else self.qs
        now = rest.active().order_by().values_list("state")
        rows = list(now.annotate(n=Count("pk"), waits=Count("pk", filter=WAITING)))
        newest = rest.filter(state__in=ENDED).order_by("-id")[: MOST_LISTED + 1]
        ended = newest.values("state").aggregate(
            **{state: Count("pk", filter=Q(state=state)) for state in ENDED}
        )
        by_state = {state: n for state, n, _waits in rows} | ended
        more = sum(ended.values()) > MOST_LISTED
        return Counts(by_state, sum(waits for *_, waits in rows), more)

    def in_states(self, found: Any, _: str, names: list[str]) -> Any:
        """Keep the jobs of any of the groups and states `names`."""
        wanted = Q()
        for name in names:
            _label, states, waits = GROUPS.get(name, ("", frozenset({name}), False))
            one = Q(state__in=sorted(states))
            wanted |= one & Q(when_ready=WhenReady.WAIT) if waits else one
        return found.filter(wanted)

    def asked_within(self, found: Any, _: str, span: str) -> Any:
        """Keep the jobs that were asked for within `span` ("24h") of now."""
        since = timezone.now() - timedelta(seconds=parse_seconds(span))
        return found.filter(requested_at__gte=since)

    def mentions(self, found: Any, _: str, text: str) -> Any:
        """Keep the jobs that have `text` anywhere, or as their number."""
        number = text.removeprefix("#")
        if number.isascii() and number.isdigit() and len(number) < 18:
            return mentioning(found, text, Q(pk=int(number)))
        return mentioning(found, text)

    def holds(self, found: Any, field: str, text: str) -> Any:
        """Keep the jobs that have `text` in that field."""
        return found.filter(**{f"{field}__icontains": text})

    @property
    def states(self) -> list[str]:
        """Return the groups and states that were asked for."""
        return self.given.getlist("state")

    def said(self, name: str, value: Any) -> str:
        """Say what the filter `name` asks for; states have chips of their own."""
        if name == "within":
            return str(_WITHIN.get(value, value)).lower()
        return super().said(name, value)


@dataclass(frozen=True)
class Counts:
    """How many jobs there are of each state, and how many wait for a decision.

    `more`: there are more that ended, of which only the newest were counted.
    """

    by_state: dict[str, int]
    waiting: int
    more: bool = False

    @property
    def all(self) -> int:
        return self._counted(set(State.values))

    def of(self, *names: str) -> int:
        """Return how many are in any of the groups and states `names`."""
        whole = {name for name in names if name not in GROUPS}
        for name in names:
            _label, states, waits = GROUPS.get(name, ("", frozenset[State](), False))
            whole |= frozenset() if waits else states
        waiting = "waiting" in names and State.MIRRORING not in whole
        return self._counted(whole, self.waiting if waiting else 0)

    def _counted(self, states: set[str], others: int = 0) -> int:
        found = others + sum(self.by_state.get(state, 0) for state in states)
        if not self.more or not states & ENDED:
            return found
        # One more was read than is counted, to know that there are more.
        return AtLeast(found - (states >= ENDED))


# --- Chips -------------------------------------------------------------------------


def groups(wanted: JobFilter, counts: Counts) -> list[Chip]:
    """Return the groups of states, of which one is shown at a time."""
    chosen = wanted.states
    return [
        Chip(gettext("All"), wanted.with_("state"), not chosen, counts.all),
        *(
            Chip(label, wanted.with_("state", name), chosen == [name], counts.of(name))
            for name, (label, *_) in GROUPS.items()
        ),
    ]


def states(wanted: JobFilter, counts: Counts) -> list[Chip]:
    """Return the states that there are jobs of, each to be added or taken away."""
    chosen = [name for name in wanted.states if name in State.values]
    shown = []
    for state in State:
        count, on = counts.of(state), state in chosen
        if count or on:
            rest = [name for name in chosen if name != state]
            address = wanted.with_("state", *rest, *([] if on else [state]))
            shown.append(Chip(state.label, address, on, count))
    return shown


def in_words(wanted: JobFilter) -> str:
    """Say what the filter says, for a sentence: "mirroring or copying, host alder"."""
    labels = {state.value: localized(state.label) for state in State}
    labels |= {name: _inside(str(label)) for name, (label, *_) in GROUPS.items()}
    named = [labels.get(name, name) for name in wanted.states]
    parts = [gettext(" or ").join(named)] if named else []
    return ", ".join([*parts, *(chip.label for chip in wanted.in_force)])


def _inside(words: str) -> str:
    """Return words that begin a line as they stand in a sentence."""
    return words[:1].lower() + words[1:]
