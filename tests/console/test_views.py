"""Saved views: each person's own filters, kept, shown, renamed and deleted."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.console.saved import MOST_VIEWS
from jobs.lifecycle import State
from jobs.models import Host, SavedView
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES
from tests.console.rows import many_jobs, text_of

VIEWS, JOBS = reverse("views"), reverse("jobs")


def keep(user: User, name: str = "mine", query: str = "state=failed") -> SavedView:
    return SavedView.objects.create(user=user, name=name, query=query)


def test_views_of_what_failed_keep_the_lost_jobs(olga: User) -> None:
    """The group had the name of the state, before it had one of its own."""
    queries = ("state=failed&within=24h", "state=lost&q=failed", "")
    for number, query in enumerate(queries):
        SavedView.objects.create(user=olga, name=str(number), query=query)
    import_module("jobs.migrations.0024_group_of_what_failed").rename(apps, None)
    found = SavedView.objects.order_by("name").values_list("query", flat=True)
    assert list(found) == ["state=failed-or-lost&within=24h", *queries[1:]]


def act(view: SavedView, what: str) -> str:
    return reverse("view-act", args=[view.pk, what])


def test_ladder(olga: User, otto: User) -> None:
    assert Client().get(VIEWS).status_code == 302
    assert signed_in(otto).get(VIEWS).status_code == 403
    assert "No view is saved." in text_of(signed_in(olga).get(VIEWS))
    view = keep(olga)
    assert signed_in(olga).get(act(view, "delete")).status_code == 405
    assert signed_in(olga).post(act(view, "explode")).status_code == 404


def test_a_filter_is_saved_and_is_a_tab(victor: User, host: Host) -> None:
    client, query = signed_in(victor), f"state=failed-or-lost&host={host.pk}"
    post = {"name": "  Alder's failures ", "query": f"{query}&page=3"}
    page = text_of(client.post(VIEWS, {**post, "query": query}, follow=True))
    assert "is saved." in page
    tab = "<bdi>Alder&#x27;s failures</bdi>"
    assert 'aria-current="true"><svg' in page
    assert tab in page
    assert SavedView.objects.get().name == "Alder's failures"
    elsewhere = text_of(client.get(JOBS + "?state=active"))
    assert tab in elsewhere
    assert 'aria-current="true"><svg' not in elsewhere
    assert "failed or lost, host alder" in text_of(client.get(VIEWS))
    turned = text_of(client.get(f"{JOBS}?host={host.pk}&state=failed-or-lost"))
    assert 'aria-current="true"><svg' in turned


def test_the_same_name_again_replaces_the_filter(olga: User) -> None:
    keep(olga)
    post = {"name": "mine", "query": "state=active"}
    page = text_of(signed_in(olga).post(VIEWS, post, follow=True))
    assert "shows this filter from now on" in page
    assert SavedView.objects.get().query == "state=active"


@pytest.mark.parametrize(
    ("name", "query", "words"),
    [
        ("", "state=failed", "This field is required."),
        ("x" * 61, "state=failed", "at most 60 characters"),
        ("a\tb", "state=failed", "can&#x27;t be shown"),
        ("mine", "state=zz", "There is no state “zz”."),
        ("mine", "colour=red", "There is no filter “colour”."),
    ],
)
def test_what_is_not_saved_says_why(
    olga: User, name: str, query: str, words: str
) -> None:
    answer = signed_in(olga).post(VIEWS, {"name": name, "query": query})
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not SavedView.objects.exists()


def test_not_more_than_one_can_oversee(olga: User) -> None:
    for number in range(MOST_VIEWS):
        keep(olga, f"view {number}")
    client = signed_in(olga)
    full = client.post(VIEWS, {"name": "one more", "query": "state=failed"})
    assert "delete one first" in text_of(full)
    assert client.post(VIEWS, {"name": "view 0", "query": ""}).status_code == 302


def test_rename_and_delete(olga: User) -> None:
    view = keep(olga)
    keep(olga, "other")
    client = signed_in(olga)
    assert "“mine” is called “ours” now." in text_of(
        client.post(act(view, "rename"), {"name": "ours"}, follow=True)
    )
    taken = client.post(act(view, "rename"), {"name": "other"})
    assert taken.status_code == 422
    assert "you have a view “other” already" in text_of(taken)
    assert client.post(act(view, "rename"), {"name": " "}).status_code == 422
    client.post(act(view, "delete"))
    assert [each.name for each in SavedView.objects.all()] == ["other"]


def test_a_view_is_nobody_else_s(olga: User, victor: User) -> None:
    view = keep(victor, "victor's")
    client = signed_in(olga)
    assert "victor" not in text_of(client.get(VIEWS)).replace("victor@", "")
    assert client.post(act(view, "delete")).status_code == 404
    assert client.post(act(view, "rename"), {"name": "x"}).status_code == 404
    assert SavedView.objects.get().name == "victor's"
    client.post(VIEWS, {"name": "victor's", "query": "state=failed"})
    assert SavedView.objects.filter(name="victor's").count() == 2


def test_a_view_whose_host_is_gone_says_so(olga: User) -> None:
    keep(olga, query="host=4711")
    client = signed_in(olga)
    assert client.get(JOBS).status_code == 200
    assert "There is no such host." in text_of(client.get(JOBS + "?host=4711"))


@pytest.mark.parametrize("name", [name[:60] for name in HOSTILE_NAMES])
def test_hostile_names_are_text(olga: User, host: Host, name: str) -> None:
    many_jobs(host, State.FAILED, 1)
    SavedView.objects.create(user=olga, name=name, query="state=failed")
    client = signed_in(olga)
    for address in (JOBS, VIEWS):
        assert "<img src=x" not in client.get(address).content.decode()
