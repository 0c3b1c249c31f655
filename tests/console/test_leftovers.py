"""The ledger of leftovers: who sees what, filters, and asking for a removal."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs.console.ledger import show_leftovers
from jobs.lifecycle import State
from jobs.models import AuditEntry, Disk, Host, Leftover
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain
from tests.console.rows import add_leftover, job_in, queries_of, text_of

PAGE = "/leftovers/"


@pytest.fixture
def leftover(disk: Disk) -> Leftover:
    return add_leftover(disk, location="/srv/images/web-old.qcow2")


def act(leftover: Leftover, name: str = "remove") -> str:
    return reverse("leftover-act", args=[leftover.pk, name])


def page(client: Client, **wanted: str) -> str:
    response = client.get(PAGE, wanted)
    assert response.status_code == 200
    return text_of(response)


# --- The list ------------------------------------------------------------------------


def test_ladder(otto: User, victor: User, leftover: Leftover) -> None:
    assert signed_in(otto).get(PAGE).status_code == 403
    assert signed_in(victor).post(PAGE).status_code == 405
    assert leftover.location in page(signed_in(victor))
    assert Client().get(PAGE).status_code == 302


def test_is_in_the_navigation(victor: User, db: None) -> None:
    assert '<a href="/leftovers/" aria-current="page">Leftovers</a>' in page(
        signed_in(victor)
    )


def test_says_what_is_known_of_each(victor: User, leftover: Leftover) -> None:
    text = page(signed_in(victor))
    for words in ("old source", "3 GiB", f"Job {leftover.job_id}", "nothing known"):
        assert words in text
    assert reverse("job", args=[leftover.job_id]) in text
    assert reverse("host", args=[leftover.host_id]) in text


def test_the_sum_is_of_all_pages(
    victor: User, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.paging.PER_PAGE", 2)
    job = job_in(State.PIVOTED, disk)
    for number in range(3):
        add_leftover(disk, job=job, location=f"/old-{number}")
    add_leftover(disk, job=job, location="/unmeasured", bytes=None)
    text = page(signed_in(victor))
    assert "<h2>9 GiB</h2>" in text
    assert "in 4 leftovers, 1 of them not measured" in text
    assert "/old-0" not in text
    assert "/old-0" in page(signed_in(victor), page="2")


def test_a_size_says_when_it_was_measured(victor: User, leftover: Leftover) -> None:
    before = timezone.now() - timedelta(minutes=7)
    Leftover.objects.update(measured_at=before)
    assert re.search(
        "3 GiB</span> <span[^>]*><time[^>]*>7 min ago", page(signed_in(victor))
    )


def test_says_who_uses_one(ada: User, disk: Disk, leftover: Leftover) -> None:
    add_disk(add_domain(disk.domain.host, "mail"), source=leftover.location)
    text = page(signed_in(ada))
    assert "mail on alder (vda: source)" in text
    assert "In use." in text
    assert act(leftover) not in text


def test_what_is_removed_is_a_page_of_its_own(ada: User, leftover: Leftover) -> None:
    Leftover.objects.update(removed_at=timezone.now(), closing="Removed.")
    assert leftover.location not in page(signed_in(ada))
    text = page(signed_in(ada), state="removed")
    assert leftover.location in text
    assert "Removed." in text
    assert act(leftover) not in text
    # It takes no room any more, and is not added up: that would grow for ever.
    assert "<h2>3 GiB</h2>" not in text
    assert "1 leftover" in text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {"a", "b", "c"}),
        ({"kind": "copy"}, {"b"}),
        ({"host": "birch"}, {"c"}),
        ({"q": "/srv/b"}, {"b"}),
        ({"q": "WEB"}, {"a", "b"}),
        ({"q": "nowhere"}, set()),
        ({"kind": "copy", "host": "birch"}, set()),
        ({"state": "removing"}, {"a"}),
        ({"kind": "everything"}, set()),
        ({"host": "4711"}, set()),
    ],
)
def test_filters(
    wanted: dict[str, str], found: set[str], victor: User, disk: Disk, host: Host
) -> None:
    birch = Host.objects.create(name="birch", site=host.site, transport="local")
    add_leftover(disk, location="/srv/a", removal_asked_at=timezone.now())
    add_leftover(disk, location="/srv/b", kind=Leftover.Kind.COPY)
    add_leftover(add_disk(add_domain(birch, "mail")), location="/srv/c")
    if wanted.get("host") == "birch":
        wanted = {**wanted, "host": str(birch.pk)}
    response = signed_in(victor).get(PAGE, wanted)
    rows = response.context["rows"]
    assert {row.leftover.location[-1] for row in rows} == found


def test_a_wrong_filter_is_told(victor: User, leftover: Leftover) -> None:
    assert 'role="alert"' in page(signed_in(victor), kind="everything")


def test_nothing_is_left(victor: User, db: None) -> None:
    assert "Nothing is left behind." in page(signed_in(victor))


def test_needs_no_more_queries_for_more_rows(victor: User, disk: Disk) -> None:
    client = signed_in(victor)
    add_leftover(disk)
    one = queries_of(client, PAGE)
    for _ in range(5):
        add_leftover(add_disk(add_domain(disk.domain.host)))
    assert queries_of(client, PAGE) == one <= 14


def test_needs_no_more_queries_for_more_removals(victor: User, disk: Disk) -> None:
    client, now = signed_in(victor), timezone.now()
    asked = {"removal_asked_at": now, "removal_asked_by": "ada"}
    both = (Leftover.Kind.SOURCE, Leftover.Kind.UNCERTAIN)
    for kind in both:
        add_leftover(disk, kind=kind, **asked)
    few = queries_of(client, PAGE)
    for kind in both * 3:
        other = add_disk(add_domain(disk.domain.host))
        add_leftover(other, kind=kind, **asked)
    assert queries_of(client, PAGE) == few


def test_a_removal_waits_for_those_who_told_nothing_since_its_own_asking(
    ada: User, disk: Disk
) -> None:
    now = timezone.now()
    early, late = (
        add_leftover(disk, removal_asked_at=now - timedelta(minutes=minutes))
        for minutes in (9, 1)
    )
    told = now - timedelta(minutes=5)
    Host.objects.update(inventory_began_at=told, synced_at=None)
    rows = {row.leftover: row for row in show_leftovers([early, late])}
    assert rows[early].awaited == []
    assert rows[late].awaited == ["alder did not say what it uses."]


def test_refreshes_only_the_list(victor: User, leftover: Leftover) -> None:
    headers = {"HX-Request": "true", "HX-Target": "live"}
    text = text_of(signed_in(victor).get(PAGE, headers=headers))
    assert leftover.location in text
    assert "<html" not in text


# --- Removing ------------------------------------------------------------------------


class TestRemoving:
    def test_ladder(
        self, otto: User, olga: User, ada: User, leftover: Leftover
    ) -> None:
        assert signed_in(otto).get(act(leftover)).status_code == 403
        for method in ("get", "post"):
            response = getattr(signed_in(olga), method)(act(leftover))
            assert response.status_code == 403
            assert "Your role does not allow you to remove a leftover." in text_of(
                response
            )
        client = signed_in(ada)
        assert client.get("/leftovers/4711/remove/").status_code == 404
        assert client.get(act(leftover, "burn")).status_code == 404
        assert not Leftover.objects.to_remove().exists()

    def test_only_administrators_get_a_button(
        self, olga: User, ada: User, leftover: Leftover
    ) -> None:
        assert act(leftover) not in page(signed_in(olga))
        assert "Administrators remove leftovers." in page(signed_in(olga))
        assert f'hx-get="{act(leftover)}"' in page(signed_in(ada))

    def test_asks_with_the_real_names(self, ada: User, leftover: Leftover) -> None:
        text = text_of(signed_in(ada).get(act(leftover)))
        for words in (
            leftover.location,
            "is deleted on alder for good",
            "the disk as it was before the pivot",
            "nothing, as last told by alder",
        ):
            assert words in text
        assert not Leftover.objects.to_remove().exists()

    def test_is_asked_for_once(self, ada: User, leftover: Leftover) -> None:
        client = signed_in(ada)
        response = client.post(act(leftover), {"reason": "no room"}, follow=True)
        assert "was asked for." in text_of(response)
        row = Leftover.objects.get()
        assert (row.removal_asked_by, row.removal_reason) == ("ada", "no room")
        entry = AuditEntry.objects.get(action="remove leftover")
        assert (entry.actor, entry.outcome, entry.reason) == ("ada", "asked", "no room")
        again = client.post(act(leftover))
        assert again.status_code == 409
        assert "was asked for by ada already" in text_of(again)

    def test_in_production_the_domain_s_name_is_typed(
        self, ada: User, leftover: Leftover
    ) -> None:
        Host.objects.update(production=True)
        client = signed_in(ada)
        assert '<bdi class="to-type">web</bdi>' in text_of(client.get(act(leftover)))
        refused = client.post(act(leftover), {"typed": "wbe", "reason": "no room"})
        assert refused.status_code == 422
        assert "type “web” to confirm." in text_of(refused)
        for kept in ("wbe", "no room"):
            assert f'value="{kept}"' in text_of(refused)
        assert not Leftover.objects.to_remove().exists()
        client.post(act(leftover), {"typed": "web"})
        assert Leftover.objects.to_remove().exists()
        assert 'name="typed"' not in text_of(client.get(act(leftover, "withdraw")))
        client.post(act(leftover, "withdraw"))
        assert not Leftover.objects.to_remove().exists()

    def test_closes_the_dialog(self, ada: User, leftover: Leftover) -> None:
        headers = {"HX-Request": "true"}
        response = signed_in(ada).post(act(leftover), headers=headers)
        assert response.status_code == 204
        assert leftover.location in response["HX-Trigger"]

    def test_a_refusal_comes_into_the_dialog(
        self, ada: User, disk: Disk, leftover: Leftover
    ) -> None:
        Leftover.objects.update(location=disk.source)
        headers = {"HX-Request": "true"}
        for method in ("get", "post"):
            response = getattr(signed_in(ada), method)(act(leftover), headers=headers)
            assert response.status_code == 409
            assert response["X-Fragment"] == "true"
            assert "It is used by web on alder" in text_of(response)
            assert "<html" not in text_of(response)

    def test_a_silent_host_is_a_refusal(
        self, ada: User, host: Host, leftover: Leftover
    ) -> None:
        Host.objects.create(
            name="birch", site=host.site, transport="local", error="No route."
        )
        response = signed_in(ada).get(act(leftover))
        assert response.status_code == 409
        assert "birch does not answer" in text_of(response)

    def test_is_shown_while_it_waits(self, ada: User, leftover: Leftover) -> None:
        signed_in(ada).post(act(leftover))
        text = page(signed_in(ada))
        assert "being removed" in text
        assert "Waits: alder did not say what it uses" in text
        assert act(leftover) not in text
        assert act(leftover, "withdraw") in text

    def test_can_be_withdrawn(self, ada: User, olga: User, leftover: Leftover) -> None:
        signed_in(ada).post(act(leftover))
        assert signed_in(olga).post(act(leftover, "withdraw")).status_code == 403
        signed_in(ada).post(act(leftover, "withdraw"))
        assert not Leftover.objects.to_remove().exists()
        Leftover.objects.update(
            removal_asked_at=timezone.now(), removing_at=timezone.now()
        )
        assert act(leftover, "withdraw") not in page(signed_in(ada))
        assert signed_in(ada).post(act(leftover, "withdraw")).status_code == 409

    def test_says_why_it_was_refused(self, ada: User, leftover: Leftover) -> None:
        Leftover.objects.update(refusal="mail on birch uses it.")
        assert "Not removed: mail on birch uses it." in page(signed_in(ada))
        assert "mail on birch uses it." in text_of(signed_in(ada).get(act(leftover)))


# --- On the job's page ---------------------------------------------------------------


def test_a_job_shows_what_it_left(ada: User, disk: Disk, leftover: Leftover) -> None:
    add_leftover(add_disk(add_domain(disk.domain.host, "mail")), location="/not/mine")
    address = reverse("job", args=[leftover.job_id])
    text = text_of(signed_in(ada).get(address))
    assert leftover.location in text
    assert act(leftover) in text
    assert "/not/mine" not in text


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_are_text(name: str, ada: User, disk: Disk) -> None:
    asked = timezone.now() - timedelta(seconds=5)
    row = add_leftover(disk, location=f"/{name}", refusal=name, host_name=name[:63])
    shown = [
        signed_in(ada).get(PAGE),
        signed_in(ada).get(act(row)),
        signed_in(ada).get(PAGE, {"q": name}),
    ]
    Leftover.objects.update(removal_asked_at=asked, removal_asked_by=name[:150])
    shown.append(signed_in(ada).get(PAGE))
    for response in shown:
        html = response.content.decode()
        assert escape(name) in html
        assert "<img" not in html
