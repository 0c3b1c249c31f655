"""The audit log as a file from the page: what matches, and it verifies."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.audit import exports
from tests.conftest import signed_in
from tests.console.rows import text_of

# Entries get their place in the chain at the commit.
pytestmark = pytest.mark.django_db(transaction=True)


def address(form: str) -> str:
    return reverse("audit-export", args=[form])


def append(action: str, detail: str) -> None:
    audit.record(SYSTEM, action, None, audit.Outcome.DONE, detail=detail)


def test_ladder(otto: User, victor: User) -> None:
    assert Client().get(address("csv")).status_code == 302
    assert signed_in(otto).get(address("csv")).status_code == 403
    client = signed_in(victor)
    assert client.post(address("csv")).status_code == 405
    assert client.get(address("xml")).status_code == 404


def test_what_matches_is_exported_and_verifies(victor: User, tmp_path: Path) -> None:
    append("sync", "first")
    append("pivot", "=HYPERLINK(1)")
    append("pivot", "third")
    client = signed_in(victor)
    page = text_of(client.get(reverse("audit") + "?action=pivot"))
    assert f'href="{address("csv")}?action=pivot"' in page

    answer = client.get(address("jsonl"), {"action": "pivot"})
    assert "attachment" in answer["Content-Disposition"]
    lines = [json.loads(line) for line in answer.content.decode().splitlines()]
    assert [line["detail"] for line in lines[:-1]] == ["=HYPERLINK(1)", "third"]
    assert lines[-1]["end"]["filters"] == {"action": "pivot"}
    file = tmp_path / "export.jsonl"
    file.write_bytes(answer.content)
    assert exports.verify_file(file).intact

    day = {"action": "pivot", "until": "2999-12-30"}
    end = client.get(address("jsonl"), day).content.decode().splitlines()[-1]
    told = json.loads(end)["end"]["filters"]["until"]
    assert told == "2999-12-31T00:00:00.000000Z"  # exclusive, as the command line's

    table = client.get(address("csv"), {"action": "pivot"}).content.decode()
    details = [row["detail"] for row in csv.DictReader(table.splitlines())]
    assert details == ["'=HYPERLINK(1)", "third"]


def test_what_is_left_out_is_told(victor: User, tmp_path: Path) -> None:
    client = signed_in(victor)
    append("sync", "first")
    client.logout()
    append("pivot", "second")
    client = signed_in(victor)
    page = text_of(client.get(reverse("audit"), {"without": "sign-ins"}))
    assert f'href="{address("jsonl")}?without=sign-ins"' in page

    answer = client.get(address("jsonl"), {"without": "sign-ins"})
    lines = [json.loads(line) for line in answer.content.decode().splitlines()]
    assert [line["action"] for line in lines[:-1]] == ["sync", "pivot"]
    assert lines[-1]["end"]["filters"] == {"without": "sign-ins"}
    file = tmp_path / "export.jsonl"
    file.write_bytes(answer.content)
    found = exports.verify_file(file)
    assert found.intact
    assert any("(without sign-ins)" in note for note in found.notes)


def test_days(victor: User) -> None:
    append("sync", "today")
    client, today = signed_in(victor), timezone.localdate()
    for name, day, there in (
        ("since", today, True),
        ("since", today + timedelta(days=1), False),
        ("until", today, True),
        ("until", today - timedelta(days=1), False),
    ):
        query = {name: str(day), "action": "sync"}
        assert ("today" in text_of(client.get(reverse("audit"), query))) is there
        assert ("today" in client.get(address("csv"), query).content.decode()) is there


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=yesterday", "“yesterday” is no date."),
        ("until=2026-02-31", "“2026-02-31” is no date."),
        ("until=9999-12-31", "“9999-12-31” is no date."),
        ("since=0001-01-01", "“0001-01-01” is no date."),
        ("outcome=zz", "There is no outcome “zz”."),
        ("without=pivots", "There is no way to leave out “pivots”."),
    ],
)
def test_a_filter_that_makes_no_sense_is_said(
    victor: User, query: str, words: str
) -> None:
    client = signed_in(victor)
    listed = client.get(f"{reverse('audit')}?{query}")
    assert words in text_of(listed)
    assert listed.context["rows"] == []
    answer = client.get(f"{address('csv')}?{query}")
    assert answer.status_code == 422
    assert words in text_of(answer)


def test_too_many(victor: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.console.views.audit.MOST_EXPORTED", 1)
    append("sync", "first")
    append("sync", "second")
    client = signed_in(victor)
    answer = client.get(address("csv"))
    assert answer.status_code == 422
    assert "Narrow the filter down" in text_of(answer)
