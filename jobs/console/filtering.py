"""Filters of lists. All of a filter lives in the address of its list, and each of its
parts is taken away by a click."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django.db.models import Count, Q, QuerySet
from django.forms import BoundField, Select
from django.http import QueryDict
from django.utils.translation import gettext as _
from django_filters import DateFromToRangeFilter, Filter, FilterSet, RangeFilter
from django_filters.fields import DateRangeField, RangeField

from jobs.console.fields import DayField
from jobs.console.markup import address_of

MOST = 200  # characters of a text
# What else may stand in a list's address.
OF_THE_PAGE = frozenset({"page"})


@dataclass(frozen=True)
class Chip:
    """A link to the same list with one filter more, less or another."""

    label: str
    address: str
    current: bool = False
    count: int | None = None


@dataclass(frozen=True)
class Sort:
    """A column's heading: sorting by it, and how it is sorted now ("ascending")."""

    address: str
    now: str = "none"


class _Filters(dict[str, Filter]):
    """The filters of a class; each of its objects gets its own.

    django-filter copies them to their very depths, querysets and choices among it,
    which takes as long as a short list; no object changes those.
    """

    def __deepcopy__(self, _: Any) -> dict[str, Filter]:
        return {name: _own(each) for name, each in self.items()}


def _own(each: Filter) -> Filter:
    made = copy(each)
    if each.method is not None:
        made.method = each.method  # which is bound to its filter
    return made


class DayRangeField(DateRangeField):
    """From one day to another, both of the reader's zone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        RangeField.__init__(self, (DayField(), DayField()), *args, **options)


class DayRangeFilter(DateFromToRangeFilter):
    """Keeps what was on a day of the range."""

    field_class = DayRangeField


class ListFilter(FilterSet):
    """The filter of one list, as its address says it.

    What the address says and no filter is called is an error like a value that makes
    no sense: nothing matches then, and `complaints` say why.
    """

    # The name of the list's address; what may be sorted by: the name in the address,
    # and the field; and the words of each filter in force.
    page: ClassVar[str]
    sortable: ClassVar[dict[str, str]]
    words: ClassVar[dict[str, Any]]
    # Filters that the page shows at any time; the others may be folded away.
    in_sight: ClassVar[frozenset[str]] = frozenset({"q", "state"})

    def __init__(self, data: QueryDict) -> None:
        known = self.parameters()
        self.strange = [name for name in data if name not in known | OF_THE_PAGE]
        kept = QueryDict(mutable=True)
        for name, values in data.lists():
            given = [value for value in values if value.strip()]
            if name in known and given:
                kept.setlist(name, given)
        filters: Any = _Filters(self.base_filters)
        self.base_filters = filters
        super().__init__(kept, self.everything())
        self.given = kept
        for field in self.form.fields.values():
            select = isinstance(field.widget, Select)
            look = "form-select" if select else "form-control"
            field.widget.attrs["class"] = f"{look} filter-choice"

    @classmethod
    def parameters(cls) -> frozenset[str]:
        """Return the names that may stand in the address."""
        names: set[str] = set()
        for name, each in cls.base_filters.items():
            ends = isinstance(each, RangeFilter)
            names |= {f"{name}_after", f"{name}_before"} if ends else {name}
        return frozenset(names)

    def everything(self) -> QuerySet[Any]:
        """Return what is filtered."""
        raise NotImplementedError

    # --- What matches ---------------------------------------------------------------

    @cached_property
    def complaints(self) -> list[str]:
        """Return what is wrong with the filter, a sentence each."""
        strange = [
            _("There is no filter “%(name)s”.") % {"name": name[:MOST]}
            for name in self.strange
        ]
        wrong = [str(text) for texts in self.errors.values() for text in texts]
        return strange + wrong

    @property
    def found(self) -> QuerySet[Any]:
        """Return what matches; nothing for a filter that is wrong."""
        matching: QuerySet[Any] = self.qs
        return matching.none() if self.complaints else matching

    # --- The address ----------------------------------------------------------------

    @property
    def query(self) -> str:
        """Return the filter in force as a query string; empty for none."""
        return str(self.given.urlencode())

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the filter in force as names and values, for a form."""
        lists: Any = self.given.lists()
        return [(name, value) for name, values in lists for value in values]

    @property
    def unfiltered(self) -> str:
        """Return the address of the whole list."""
        return address_of(self.page)

    @property
    def address(self) -> str:
        """Return the address of the list that this filter makes."""
        return self._address_of(self.given)

    def _address_of(self, data: QueryDict) -> str:
        query = data.urlencode()
        return f"{self.unfiltered}?{query}" if query else self.unfiltered

    @property
    def narrows(self) -> bool:
        """Whether anything is filtered, and not only sorted."""
        return bool(set(self.given) - {"sort"})

    @property
    def folded_used(self) -> bool:
        """Whether a filter is in force that the page folds away."""
        return bool(set(self.given) - self.in_sight)

    def without(self, *names: str) -> QueryDict:
        """Return the filter's parameters but for `names`."""
        rest = self.given.copy()
        for name in names:
            rest.pop(name, None)
        return rest

    def with_(self, name: str, *values: str) -> str:
        """Return the address of the same list, with `name` as `values` (or without)."""
        data = self.without(name)
        if values:
            data.setlist(name, values)
        return self._address_of(data)

    # --- What is shown of it --------------------------------------------------------

    def said(self, name: str, value: Any) -> str:
        """Say what the filter `name` asks for; "" for one that is shown elsewhere."""
        return str(self.words[name]).format(value) if name in self.words else ""

    @property
    def in_force(self) -> list[Chip]:
        """Return the filters in force, each as a link that takes it away."""
        cleaned = {} if self.complaints else self.form.cleaned_data
        shown = []
        for name in self.given:
            value = cleaned.get(name) or self.given[name]
            if words := self.said(name, value):
                shown.append(Chip(words, self.with_(name)))
        return shown

    @property
    def sorts(self) -> dict[str, Sort]:
        """Return the headings that sort; a second click turns the order around."""
        chosen = self.given.get("sort", "")
        found = {}
        for name in self.sortable:
            now = {name: "ascending", f"-{name}": "descending"}.get(chosen, "none")
            other = f"-{name}" if now == "ascending" else name
            found[name] = Sort(self.with_("sort", other), now)
        return found


class GroupedFilter(ListFilter):
    """A list whose rows are in groups, of which one is shown at a time.

    `groups`: for each value of the filter called `group` its words and what belongs to
    it; "" is for none chosen.
    """

    group: ClassVar[str] = "state"
    groups: ClassVar[dict[str, tuple[Any, Q]]]
    usual_order: ClassVar[tuple[str, ...]]

    @property
    def chosen(self) -> str:
        """Return the group that was asked for."""
        return str(self.given.get(self.group, ""))

    def listed(self) -> QuerySet[Any]:
        """Return what matches and is in the group that was chosen, in order.

        No two rows ever change places.
        """
        inside = self.groups.get(self.chosen, self.groups[""])[1]
        rows = self.found.filter(inside)
        return rows.order_by(*(rows.query.order_by or self.usual_order), "pk")

    @cached_property
    def chips(self) -> list[Chip]:
        """Return the groups, each with how many match of it; one query."""
        rest = type(self)(self.without(self.group, "sort"))
        counted = rest.found.order_by().aggregate(
            **{
                f"n{number}": Count("pk", filter=inside)
                for number, (_words, inside) in enumerate(self.groups.values())
            }
        )
        return [
            Chip(
                str(words),
                self.with_(self.group, *filter(None, [name])),
                name == self.chosen,
                counted[f"n{number}"],
            )
            for number, (name, (words, _inside)) in enumerate(self.groups.items())
        ]

    @property
    def count(self) -> int:
        """Return how many are listed, as the chips say."""
        if self.complaints:
            return 0
        return sum(chip.count or 0 for chip in self.chips if chip.current)

    @property
    def choices(self) -> list[BoundField]:
        """Return the fields that stand beside the search."""
        hidden = {"q", "sort", self.group}
        return [field for field in self.form if field.name not in hidden]

    @property
    def kept(self) -> list[tuple[str, str]]:
        """Return what the form around the search keeps as it is."""
        return [
            (name, value) for name, value in self.pairs if name in ("sort", self.group)
        ]
