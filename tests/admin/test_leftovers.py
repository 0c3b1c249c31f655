"""The ledger of leftovers in the admin: to be read, and to be removed with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.models import AuditEntry, Disk, Leftover
from tests.conftest import signed_in

LIST = "/admin/jobs/leftover/"


@pytest.fixture
def used(leftover: Leftover, disk: Disk) -> Leftover:
    """A second leftover, which a domain uses again."""
    other = Leftover.objects.get(pk=leftover.pk)
    other.pk, other.location = None, disk.source
    other.save()
    return other


def ask(client: Client, act: str, *leftovers: Leftover) -> str:
    chosen = [leftover.pk for leftover in leftovers]
    fields = {"action": act, "_selected_action": chosen, "index": 0}
    return client.post(LIST, fields).content.decode()


def confirm(client: Client, act: str, *leftovers: Leftover, reason: str) -> list[str]:
    fields: dict[str, Any] = {
        "action": act,
        "_selected_action": [leftover.pk for leftover in leftovers],
        "confirmed": "yes",
        "reason": reason,
    }
    response = client.post(LIST, fields, follow=True)
    return [str(message) for message in response.context["messages"]]


def test_a_removal_asks_first_and_says_what_is_lost(
    administration: Client, leftover: Leftover, used: Leftover
) -> None:
    page = ask(administration, "remove", leftover, used)

    assert "is deleted on alder for good" in page
    assert f'value="{leftover.pk}"' in page
    assert f'value="{used.pk}"' not in page
    assert "used by web on alder" in page
    assert 'maxlength="1000" value="" required' in page
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


def test_a_confirmed_removal_is_asked_for_with_its_reason(
    administration: Client, leftover: Leftover
) -> None:
    told = confirm(administration, "remove", leftover, reason=" cleaning up ")

    assert told == [f"{leftover}: its removal was asked for."]
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is not None
    assert leftover.removal_reason == "cleaning up"
    entry = AuditEntry.objects.get(action="remove leftover")
    assert (entry.actor, entry.channel, entry.outcome) == ("ada", "admin", "asked")


def test_without_a_reason_nothing_is_asked_for(
    administration: Client, leftover: Leftover
) -> None:
    told = confirm(administration, "remove", leftover, reason="  ")

    assert told == ["Say why; it goes into the audit log. Nothing was done."]
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None
    assert not AuditEntry.objects.filter(action="remove leftover").exists()


def test_what_came_into_use_meanwhile_is_told_and_stays(
    administration: Client, leftover: Leftover, disk: Disk
) -> None:
    Leftover.objects.update(location=disk.source)
    leftover.refresh_from_db()

    told = confirm(administration, "remove", leftover, reason="cleaning up")

    assert told[0].startswith(f"{leftover}: not done.")
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


def test_several_are_removed_by_typing_how_many(
    administration: Client, leftover: Leftover
) -> None:
    other = Leftover.objects.get(pk=leftover.pk)
    other.pk, other.location = None, "/srv/images/other.qcow2"
    other.save()
    words = "Type <bdi>remove 2 leftovers</bdi> to confirm"
    assert words in ask(administration, "remove", leftover, other)
    fields = {
        "action": "remove",
        "_selected_action": [leftover.pk, other.pk],
        "confirmed": "yes",
        "reason": "cleaning up",
        "typed": "remove 3 leftovers",
    }
    assert administration.post(LIST, fields).status_code == 422
    assert not Leftover.objects.to_remove().exists()

    administration.post(LIST, {**fields, "typed": "remove 2 leftovers"})

    assert Leftover.objects.to_remove().count() == 2


def test_a_removal_can_be_withdrawn(administration: Client, leftover: Leftover) -> None:
    confirm(administration, "remove", leftover, reason="cleaning up")

    assert "stays where it is" in ask(administration, "withdraw", leftover)
    told = confirm(administration, "withdraw", leftover, reason="")

    assert told == [f"{leftover}: its removal was withdrawn."]
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


def test_a_get_removes_nothing(administration: Client, leftover: Leftover) -> None:
    words = f"action=remove&_selected_action={leftover.pk}&confirmed=yes&reason=x"
    administration.get(f"{LIST}?{words}")

    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


@pytest.mark.parametrize("who", ["victor", "olga", "otto"])
def test_others_do_not_get_there(
    who: str, leftover: Leftover, victor: User, olga: User, otto: User
) -> None:
    client = signed_in(User.objects.get(username=who))
    fields = {"action": "remove", "_selected_action": [leftover.pk], "reason": "x"}

    response = client.post(LIST, {**fields, "confirmed": "yes"}, follow=True)

    assert response.status_code == 403
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("there", {}),
        ("asked", {"removal_asked_at": timezone.now()}),
        ("refused", {"refusal": "beech did not answer."}),
        ("removed", {"removed_at": timezone.now()}),
    ],
)
def test_the_list_finds_by_state_and_by_words(
    administration: Client, leftover: Leftover, state: str, fields: dict[str, Any]
) -> None:
    Leftover.objects.update(**fields)
    states = {"there", "asked", "refused", "removed"}

    def found(query: str) -> bool:
        page = administration.get(f"{LIST}?{query}")
        assert page.status_code == 200
        return bool(page.context["cl"].result_count)

    shown = {one for one in states if found(f"left={one}")}
    assert shown == {state} | ({"there"} if state != "removed" else set())
    assert found(f"q={leftover.location}")
    assert found("q=web")
    assert not found("q=nowhere")


def test_a_hostile_place_is_shown_as_text(
    administration: Client, leftover: Leftover
) -> None:
    Leftover.objects.update(location="/srv/<script>alert(1)</script>")
    leftover.refresh_from_db()
    row = reverse("admin:jobs_leftover_change", args=[leftover.pk])

    for page in (
        administration.get(LIST).content.decode(),
        administration.get(row).content.decode(),
        ask(administration, "remove", leftover),
    ):
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
