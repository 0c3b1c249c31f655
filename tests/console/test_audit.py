"""The audit page: what it shows, its filters, its pages and who may see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs import audit
from jobs.actor import SYSTEM, Actor
from jobs.models import AuditEntry, AuditVerification, Disk, Host
from jobs.paging import PER_PAGE
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_job
from tests.console.rows import queries_of, text_of

Outcome = AuditEntry.Outcome
OLGA = Actor(name="olga", channel="cli", address="192.0.2.7", request_id="abc-123")


def shown(user: User, **query: str) -> list[AuditEntry]:
    """Return the entries of the page, as they follow each other."""
    response = signed_in(user).get(reverse("audit"), query)
    assert response.status_code == 200
    return [entry for entry, _link in response.context["rows"]]


def append(count: int) -> list[AuditEntry]:
    return [
        audit.record(SYSTEM, "sync", None, Outcome.DONE, detail=f"no. {number}")
        for number in range(count)
    ]


def test_ladder(otto: User, victor: User) -> None:
    address = reverse("audit")
    assert signed_in(otto).get(address).status_code == 403
    assert signed_in(victor).get(address).status_code == 200
    assert signed_in(victor).post(address).status_code == 405


def test_an_entry_tells_everything(victor: User, host: Host) -> None:
    audit.record(
        OLGA,
        "sync",
        host,
        Outcome.FAILED,
        intent="read all",
        reason="new disks",
        detail="no answer",
    )
    text = text_of(signed_in(victor).get(reverse("audit")))
    told = ["olga", "cli", "192.0.2.7", "abc-123", "sync", "alder", "read all"]
    for word in [*told, "new disks", "failed", "no answer"]:
        assert word in text
    assert reverse("host", args=[host.pk]) in text


def test_objects_are_linked_only_while_they_exist(victor: User, disk: Disk) -> None:
    job = add_job(disk)
    audit.record(OLGA, "pivot", job, Outcome.ASKED)
    link = reverse("job", args=[job.pk])
    assert link in text_of(signed_in(victor).get(reverse("audit")))
    job.delete()
    text = text_of(signed_in(victor).get(reverse("audit")))
    assert link not in text
    assert "vda of web on alder" in text


def test_newest_first(victor: User) -> None:
    append(3)
    pks = [entry.pk for entry in shown(victor)]
    assert pks == sorted(pks, reverse=True)


@pytest.mark.parametrize(
    "query",
    [
        {"actor": "olga"},
        {"action": "pivot"},
        {"outcome": "refused"},
        {"object_type": "host", "object_id": "{pk}"},
        {"q": "worn"},
        {"q": "ALDER"},
        {"q": "stays"},
        {"q": "not yet"},
        {"q": "abc-123"},
        {"q": "olg", "outcome": "refused"},
    ],
)
def test_filters(query: dict[str, str], victor: User, host: Host) -> None:
    append(2)
    wanted = audit.record(
        OLGA,
        "pivot",
        host,
        Outcome.REFUSED,
        intent="the file stays",
        reason="the disk is worn",
        detail="not yet",
    )
    query = {name: value.format(pk=host.pk) for name, value in query.items()}
    assert shown(victor, **query) == [wanted]


def test_without_sign_ins_what_was_refused_stays(victor: User, host: Host) -> None:
    client = signed_in(victor)  # which is an entry itself
    client.logout()
    for name in ("sign in", "sign out"):
        assert AuditEntry.objects.filter(action=name, outcome="done").exists()
    refused = audit.record(OLGA, "sign in", None, Outcome.REFUSED)
    sync = audit.record(OLGA, "sync", host, Outcome.DONE)
    assert shown(victor, without="sign-ins") == [sync, refused]
    assert shown(victor, without="sign-ins", q="alder", actor="olga") == [sync]
    today = f"{timezone.localdate():%F}"
    assert shown(victor, without="sign-ins", since=today) == [sync, refused]
    for everything in (shown(victor), shown(victor, without="")):
        assert {"sign in", "sign out"} < {entry.action for entry in everything}


def test_one_click_leaves_sign_ins_out_and_the_page_says_so(victor: User) -> None:
    entries, client = append(PER_PAGE + 1), signed_in(victor)
    hidden = "Sign-ins and sign-outs that succeeded are hidden."
    text = text_of(client.get(reverse("audit"), {"actor": "system", "after": "1"}))
    assert hidden not in text
    link = f"{reverse('audit')}?actor=system&amp;without=sign-ins"
    assert f'<a class="chip" href="{link}" >Without sign-ins</a>' in text

    answer = client.get(reverse("audit"), {"actor": "system", "without": "sign-ins"})
    text = text_of(answer)
    assert hidden in text
    assert f'<a class="chip" href="{link}" aria-current="true">' in text
    assert f'<a class="chip" href="{reverse("audit")}?actor=system" >All</a>' in text
    # Page, search and refresh stay without them.
    assert f"without=sign-ins&amp;before={entries[1].pk}" in text
    assert '<input type="hidden" name="without" value="sign-ins">' in text
    assert f'hx-get="{link}"' in text


@pytest.mark.parametrize(
    "query",
    [
        {"outcome": "nonsense"},
        {"q": "\0"},
        {"before": "x"},
        {"before": "9" * 40},
        {"after": "-1"},
        {"object_id": "' or 1=1"},
    ],
)
def test_nonsense_in_the_address_is_no_error(
    query: dict[str, str], victor: User
) -> None:
    assert signed_in(victor).get(reverse("audit"), query).status_code == 200


@pytest.mark.parametrize("by_time", [False, True], ids=["by id", "by time"])
def test_pages_through_everything_and_back(
    by_time: bool, victor: User, time_machine: Any
) -> None:
    today, entries = timezone.localtime().replace(hour=12), []
    for number in range(2 * PER_PAGE + 20):
        # The clock is set back once, and stands still now and then.
        seconds = number // 3 - 20 * (number > 70)
        time_machine.move_to(today + timedelta(seconds=seconds), tick=False)
        entries += append(1)
    entries.reverse()
    time_machine.move_to(today, tick=True)
    client = signed_in(victor)
    query: dict[str, Any] = {"action": "sync"}
    if by_time:
        ids = [entry.pk for entry in entries]
        entries.sort(key=lambda entry: (entry.time, entry.pk), reverse=True)
        assert ids != [entry.pk for entry in entries]
        query["since"] = f"{today:%F}"
    first = client.get(reverse("audit"), query).context
    assert first["newer"] is None
    second = client.get(reverse("audit"), {**query, "before": first["older"]}).context
    third = client.get(reverse("audit"), {**query, "before": second["older"]}).context
    assert third["older"] is None
    pages = [[entry for entry, _ in page["rows"]] for page in (first, second, third)]
    assert [len(page) for page in pages] == [PER_PAGE, PER_PAGE, 20]
    assert [entry for page in pages for entry in page] == entries
    back = client.get(reverse("audit"), {**query, "after": third["newer"]}).context
    assert [entry for entry, _ in back["rows"]] == pages[1]
    top = client.get(reverse("audit"), {**query, "after": back["newer"]}).context
    assert [entry for entry, _ in top["rows"]] == pages[0]
    assert top["newer"] is None


def test_links_of_the_pager_keep_the_filters(victor: User) -> None:
    append(PER_PAGE + 1)
    text = text_of(signed_in(victor).get(reverse("audit"), {"action": "sync"}))
    assert "action=sync&amp;before=" in text


def test_asks_as_many_queries_for_many_entries(victor: User, disk: Disk) -> None:
    client, address = signed_in(victor), reverse("audit")
    job = add_job(disk)
    for about in (job, disk.domain.host):
        audit.record(OLGA, "look", about, Outcome.DONE)
    one = queries_of(client, address)
    for _ in range(20):
        for about in (job, disk.domain.host):
            audit.record(OLGA, "look", about, Outcome.DONE)
    assert queries_of(client, address) == one <= 10


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_are_text(name: str, victor: User, disk: Disk) -> None:
    job = add_job(disk, domain_name=name)
    actor = Actor(name=name[:150], channel="console", request_id=name[:64])
    audit.record(
        actor, name[:64], job, Outcome.DONE, intent=name, reason=name, detail=name
    )
    query = {"q": name, "actor": name[:150]}
    html = signed_in(victor).get(reverse("audit"), query).content.decode()
    assert escape(name) in html
    assert "<img" not in html


# --- The badge -----------------------------------------------------------------------


def verified(**fields: Any) -> None:
    AuditVerification.objects.create(
        **{
            "seconds": 0.1,
            "intact": True,
            "entries": 3,
            "newest": 3,
            "checked_to": 0,
            "text": "Whole: 3 entries, 1 to 3.",
            **fields,
        }
    )


def test_the_badge_says_when_the_chain_was_last_verified(victor: User) -> None:
    client = signed_in(victor)
    assert "never verified" in text_of(client.get(reverse("audit")))
    verified(time=timezone.now() - timedelta(minutes=5))
    page = text_of(client.get(reverse("audit")))
    assert "whole, verified <time" in page
    assert "5 min ago" in page
    assert "Whole: 3 entries, 1 to 3." in page
    verified(intact=False, first_bad=2, text="Entry 2 is the first bad one (edited).")
    page = text_of(client.get(reverse("audit")))
    assert "not whole, verified <time" in page
    assert "Entry 2 is the first bad one (edited)." in page
