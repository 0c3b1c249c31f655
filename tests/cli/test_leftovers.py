"""`blockcopy leftover list|show|remove|withdraw`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import AuditEntry, Disk, Host, Leftover
from tests.cli.conftest import Run, Script
from tests.cli.copies import TO

pytestmark = pytest.mark.usefixtures("redis")


def becomes(**fields: Any) -> Any:
    """Return a step in which the leftover gets these fields."""
    return lambda: Leftover.objects.update(**fields)


def test_list_shows_what_is_there(
    blockcopy: Run, leftover: Leftover, host: Host
) -> None:
    gone = Leftover.objects.get(pk=leftover.pk)
    gone.pk, gone.location, gone.removed_at = None, "/srv/old", timezone.now()
    gone.save()

    def listed(*words: str) -> list[int]:
        records = blockcopy("leftover", "list", *words, "--json").json
        return [record["leftover"] for record in records]

    assert listed() == listed("--host", "alder") == [leftover.pk]
    assert listed("--all") == [gone.pk, leftover.pk]
    text = blockcopy("leftover", "list").out
    assert TO in text
    assert "3 GiB" in text
    assert "/srv/old" not in text
    assert "… and 1 older ones" in blockcopy("leftover", "list", *ONE).out
    assert blockcopy("leftover", "list", "--host", "elm").status == 1


ONE = ("--all", "--limit", "1")


def test_show_tells_what_uses_it(
    blockcopy: Run, leftover: Leftover, disk: Disk
) -> None:
    Leftover.objects.update(location=disk.source)

    shown = blockcopy("leftover", "show", leftover.pk).out
    record = blockcopy("leftover", "show", leftover.pk, "--json").json

    assert "web on alder (vda: source)" in shown
    assert record["used_by"][0] in shown
    assert (record["state"], record["kind"]) == ("there", "partial")
    assert blockcopy("leftover", "show", 4711).status == 1


def test_a_removal_is_asked_for_with_its_reason(
    blockcopy: Run, leftover: Leftover, ada: User
) -> None:
    words = ("--reason", "cleaning up", "--as", "ada")

    done = blockcopy("leftover", "remove", leftover.pk, *words)

    assert done.status == 0
    assert f"{TO}, 3 GiB, is deleted on alder for good" in done.out
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is not None
    assert leftover.removal_asked_by == "ada"
    entry = AuditEntry.objects.get(action="remove leftover")
    assert (entry.actor, entry.channel, entry.reason) == ("ada", "cli", "cleaning up")


def test_with_wait_it_follows_to_the_removal(
    blockcopy: Run, leftover: Leftover, meanwhile: Script
) -> None:
    meanwhile(becomes(removing_at=timezone.now()), becomes(removed_at=timezone.now()))

    done = blockcopy("leftover", "remove", leftover.pk, *WHY, "--wait", "--json")

    assert (done.status, done.json["state"]) == (0, "removed")


WHY = ("--reason", "cleaning up")


def test_a_refused_removal_is_a_failure_with_the_reason(
    blockcopy: Run, leftover: Leftover, meanwhile: Script
) -> None:
    meanwhile(becomes(removal_asked_at=None, refusal="beech did not answer."))

    done = blockcopy("leftover", "remove", leftover.pk, *WHY, "--wait", "--json")

    assert done.status == 1
    assert "was not removed. beech did not answer." in done.json["error"]
    assert done.json["state"] == "there"


def test_waiting_ends_and_the_removal_does_not(
    blockcopy: Run, leftover: Leftover
) -> None:
    words = (*WHY, "--wait", "--timeout", "0.01")

    done = blockcopy("leftover", "remove", leftover.pk, *words)

    assert done.status == 3
    assert f"blockcopy leftover withdraw {leftover.pk}" in done.err


def test_what_is_in_use_is_not_asked_for(
    blockcopy: Run, leftover: Leftover, disk: Disk
) -> None:
    Leftover.objects.update(location=disk.source)

    done = blockcopy("leftover", "remove", leftover.pk, *WHY)

    assert done.status == 1
    assert "used by web on alder" in done.err
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


@pytest.mark.parametrize("words", [(), ("--reason", " ")])
def test_a_removal_needs_a_reason(
    blockcopy: Run, leftover: Leftover, words: tuple[str, ...]
) -> None:
    done = blockcopy("leftover", "remove", leftover.pk, *words)

    assert done.status == 2
    assert "--reason" in done.err
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("who", ["olga", "victor", "otto"])
@pytest.mark.parametrize("verb", ["remove", "withdraw"])
def test_removing_is_for_administrators(
    blockcopy: Run,
    leftover: Leftover,
    who: str,
    verb: str,
    olga: User,
    victor: User,
    otto: User,
) -> None:
    done = blockcopy("leftover", verb, leftover.pk, *WHY, "--as", who)

    assert done.status == 1
    assert "Your role does not allow you" in done.err
    leftover.refresh_from_db()
    assert leftover.removal_asked_at is None


def test_a_removal_can_be_withdrawn(blockcopy: Run, leftover: Leftover) -> None:
    blockcopy("leftover", "remove", leftover.pk, *WHY)

    done = blockcopy("leftover", "withdraw", leftover.pk, "--json")

    assert (done.status, done.json["state"]) == (0, "there")
    assert blockcopy("leftover", "withdraw", leftover.pk).status == 1


def test_an_outsider_sees_no_leftovers(
    blockcopy: Run, leftover: Leftover, otto: User
) -> None:
    for words in (("list",), ("show", leftover.pk)):
        done = blockcopy("leftover", *words, "--as", "otto")
        assert (done.status, done.out) == (1, "")


def test_hostile_places_do_not_reach_the_terminal(
    blockcopy: Run, leftover: Leftover
) -> None:
    Leftover.objects.update(location="/srv/\x1b[2J\nx  there  fine")

    out = blockcopy("leftover", "list").out

    assert "\x1b" not in out
    assert len(out.splitlines()) == 2
