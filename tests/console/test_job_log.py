"""A job's events: by level on its page, and as files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.commandline.records import event_records
from jobs.console.log import MOST_EVENTS
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, JobEvent
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES
from tests.console.rows import job_in, text_of


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    """A job with five events: three plain ones, a warning, an error."""
    job = job_in(State.COPYING, disk)
    for number, level in enumerate(("info", "warning", "info", "error", "info")):
        JobEvent.objects.create(
            job=job, level=level, actor="olga", message=f"#{number}"
        )
    return job


def shown(user: User, job: CopyJob, query: str = "") -> list[str]:
    response = signed_in(user).get(reverse("job", args=[job.pk]) + query)
    return [event.message for event in response.context["log"].newest]


def file(user: User, job: CopyJob, form: str, query: str = "") -> Any:
    address = reverse("job-events", args=[job.pk, form])
    return signed_in(user).get(address + query)


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        ("", ["#4", "#3", "#2", "#1", "#0"]),
        ("?level=warning", ["#3", "#1"]),
        ("?level=error", ["#3"]),
        ("?level=zzz", ["#4", "#3", "#2", "#1", "#0"]),
    ],
)
def test_levels(victor: User, job: CopyJob, query: str, messages: list[str]) -> None:
    assert shown(victor, job, query) == messages
    address = reverse("job", args=[job.pk])
    text = text_of(signed_in(victor).get(address + query))
    chosen = query if "zzz" not in query else ""
    assert f'hx-get="{address}{chosen}" hx-trigger="live"' in text, "it stays chosen"
    assert f'events.txt{chosen}"' in text
    assert "Warnings and errors <strong>2</strong>" in text


def test_more_than_the_page_shows(victor: User, job: CopyJob) -> None:
    for number in range(MOST_EVENTS):
        JobEvent.objects.create(job=job, message=f"line {number}")
    text = text_of(signed_in(victor).get(reverse("job", args=[job.pk])))
    assert "The newest 100 of 105 are shown; a download has all." in text
    assert len(file(victor, job, "txt").content.splitlines()) == 105


def test_as_text(victor: User, job: CopyJob) -> None:
    response = file(victor, job, "txt", "?level=warning")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    name = f'attachment; filename="job-{job.pk}-events.txt"'
    assert response["Content-Disposition"] == name
    first, second = response.content.decode().splitlines()
    assert first.endswith("Z warning olga: #1")
    assert second.endswith("Z error olga: #3")


def test_as_json_lines(victor: User, job: CopyJob) -> None:
    response = file(victor, job, "jsonl")
    found = [json.loads(line) for line in response.content.decode().splitlines()]
    assert found == event_records(job), "as on the command line"


@pytest.mark.parametrize("form", ["txt", "jsonl"])
def test_an_event_is_one_line_whatever_is_in_it(
    victor: User, job: CopyJob, form: str
) -> None:
    for name in (*HOSTILE_NAMES, "two\nlines\r\nor\u2028three"):
        JobEvent.objects.create(job=job, message=name)
    text = file(victor, job, form).content.decode()
    assert len(text.split("\n")) == 5 + len(HOSTILE_NAMES) + 1 + 1
    if form == "txt":
        assert "\u202e" not in text
        assert "two lines or three" in text


def test_the_ladder(victor: User, otto: User, job: CopyJob) -> None:
    address = reverse("job-events", args=[job.pk, "txt"])
    assert Client().get(address).status_code == 302
    assert signed_in(otto).get(address).status_code == 403
    assert signed_in(victor).get(address).status_code == 200
    assert signed_in(victor).post(address).status_code == 405
    assert file(victor, job, "csv").status_code == 404
    missing = reverse("job-events", args=[10**6, "txt"])
    assert signed_in(victor).get(missing).status_code == 404
