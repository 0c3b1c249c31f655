"""Lists that are longer than anybody reads are counted and leafed through in part."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template import Context, Template
from django.utils.timezone import now

from jobs import paging
from jobs.lifecycle import State
from jobs.models import AuditEntry, Host
from jobs.paging import AtLeast, BoundedPaginator, LatePages, Pages
from tests.conftest import signed_in
from tests.console.rows import many_jobs, text_of


@pytest.fixture(autouse=True)
def _five_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_LISTED", 5)
    monkeypatch.setattr("jobs.console.filters.MOST_LISTED", 5)


def test_more_than_are_counted_is_shown_as_that() -> None:
    assert AtLeast(5) == 5
    assert str(AtLeast(5)) == "5+"
    assert Template("{{ n }}").render(Context({"n": AtLeast(5)})) == "5+"


def test_pages_end_where_counting_ends(host: Host) -> None:
    many_jobs(host, State.FAILED, 5)
    exact = BoundedPaginator(host.jobs.all(), 2)
    assert (str(exact.count), exact.num_pages) == ("5", 3)
    many_jobs(host, State.COPIED, 1)
    bounded = BoundedPaginator(host.jobs.all(), 2)
    assert (str(bounded.count), bounded.num_pages) == ("5+", 3)


def test_what_was_counted_before_is_not_counted_again(host: Host) -> None:
    assert Pages(host.jobs.all(), 3).count == 3
    many_jobs(host, State.FAILED, 6)
    assert str(Pages(host.jobs.all(), AtLeast(3)).count) == "5+"


def test_a_page_of_a_dear_list_is_read_alone_and_in_order(
    host: Host, django_assert_num_queries: Any
) -> None:
    many_jobs(host, State.FAILED, 5)
    jobs = list(host.jobs.order_by("-pk"))
    pages = LatePages(host.jobs.order_by("-pk"), 5, 2)
    with django_assert_num_queries(2):
        page = list(pages.get_page(2))
    assert page == jobs[2:4]
    assert list(pages.get_page(3)) == jobs[4:]


@pytest.mark.parametrize("order", [("destination", "-pk"), ("-ready_at", "pk")])
def test_a_page_is_the_same_found_from_either_end(
    host: Host, order: tuple[str, ...]
) -> None:
    many_jobs(host, State.FAILED, 11)
    host.jobs.update(destination="/the/same", ready_at=None)
    host.jobs.filter(pk__in=host.jobs.values("pk")[:4]).update(ready_at=now())
    rows = host.jobs.order_by(*order)
    pages = LatePages(rows, 11, 3)
    found = [list(pages.page(number)) for number in pages.page_range]
    assert [len(page) for page in found] == [3, 3, 3, 2]
    assert [job for page in found for job in page] == list(rows)


def test_active_jobs_are_all_counted_and_the_newest_that_ended(
    olga: User, host: Host
) -> None:
    many_jobs(host, State.COPYING, 7)
    many_jobs(host, State.PIVOTED, 4)
    client = signed_in(olga)
    text = text_of(client.get("/jobs/"))
    assert "All <strong>11</strong>" in text
    many_jobs(host, State.FAILED, 4)
    text = text_of(client.get("/jobs/"))
    assert "All <strong>12+</strong>" in text
    assert "Active <strong>7</strong>" in text
    assert "Failed or lost <strong>4+</strong>" in text
    # Which of them are listed does not depend on how far was counted.
    assert len(client.get("/jobs/?state=pivoted").context["rows"]) == 4


def test_the_admin_counts_as_far_too(ada: User, host: Host) -> None:
    many_jobs(host, State.COPYING, 6)
    text = text_of(signed_in(ada).get("/admin/jobs/copyjob/"))
    assert "5+ copy jobs" in text
    assert AuditEntry.objects.count() < 6
    text = text_of(signed_in(ada).get("/admin/jobs/auditentry/"))
    assert "+ audit entries" not in text
