"""Counting and paging of lists, some of which are longer than anybody reads."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator

PER_PAGE = 40
# So many rows are counted and can be leafed through; further ones by narrowing the
# filter down. Else each look at a list would take longer with each year of history.
MOST_LISTED = 500


class AtLeast(int):
    """How many rows were counted of which there may be more: shown as "500+"."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator[Any]):
    """Pages of the first MOST_LISTED rows of a query."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are, as far as they can be leafed through."""
        rows: Any = self.object_list
        # The newest of them: told no order, PostgreSQL begins wherever the last to read
        # the table has got to, and may find few of them there for long.
        found = int(rows.order_by("-pk")[: MOST_LISTED + 1].count())
        return AtLeast(MOST_LISTED) if found > MOST_LISTED else found


class Pages(BoundedPaginator):
    """Pages of `rows`; `counted` is how many there are, where that is known."""

    def __init__(
        self, rows: Any, counted: int | None = None, per_page: int | None = None
    ) -> None:
        super().__init__(rows, per_page or PER_PAGE)
        # A cached property is set like any attribute.
        if isinstance(counted, AtLeast):
            if counted >= MOST_LISTED:
                self.count = AtLeast(MOST_LISTED)
        elif counted is not None:
            self.count = counted


class LatePages(Pages):
    """Pages of `rows` that are dear to read: those of a page are found first by their
    order, and then they alone are read, instead of all that stand before them too.

    Those of the second half are found from the end, so that no page is far.
    """

    def page(self, number: int | str) -> Page[Any]:
        page = super().page(number)
        rows: Any = self.object_list
        order = self._order(rows.values_list("pk", flat=True), page)
        read = rows.order_by().in_bulk(order)
        page.object_list = [read[pk] for pk in order if pk in read]
        return page

    def _order(self, found: Any, page: Page[Any]) -> list[Any]:
        start, end = max(0, page.start_index() - 1), page.end_index()
        whole = not isinstance(self.count, AtLeast)
        if not whole or start <= self.count // 2:
            return list(found[start:end])
        backwards = found.reverse()[self.count - end : self.count - start]
        return list(backwards)[::-1]
