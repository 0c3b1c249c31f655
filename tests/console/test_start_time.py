"""Starting at a time: the buttons, the reader's zone, and what pages then say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from jobs.console.start_time import StartTime
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Host, Preferences
from tests.conftest import signed_in
from tests.console.fleet_rows import add_disk
from tests.console.rows import job_in, text_of
from tests.console.test_copy import HTMX, TYPED, address_of, impatience

__all__ = ["impatience"]

BERLIN = "Europe/Berlin"
EVENING = datetime(2026, 11, 26, 22, 46, tzinfo=UTC)


@pytest.fixture
def evening() -> Any:
    """It is 22:46 in UTC and 23:46 in Berlin."""
    with patch("django.utils.timezone.now", return_value=EVENING):
        yield


def told(**typed: str) -> StartTime:
    return StartTime({"zone": "UTC", **typed})


# --- Which moment is meant ------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "moment", "words"),
    [
        ({}, "2026-11-27T02:00", "2026-11-27 02:00 UTC"),
        ({"start_time": "22:45"}, "2026-11-27T22:45", "2026-11-27 22:45 UTC"),
        ({"start_time": "22:47"}, "2026-11-26T22:47", "2026-11-26 22:47 UTC"),
        (
            {"zone": "Europe/Berlin"},
            "2026-11-27T01:00",
            "2026-11-27 02:00 Europe/Berlin",
        ),
        ({"zone": "../../etc/passwd"}, "2026-11-27T02:00", "2026-11-27 02:00 UTC"),
        ({"zone": "No/Where"}, "2026-11-27T02:00", "2026-11-27 02:00 UTC"),
        ({"start_date": "2026-12-24"}, "2026-12-24T02:00", "2026-12-24 02:00 UTC"),
    ],
)
def test_the_moment(
    evening: None, typed: dict[str, str], moment: str, words: str
) -> None:
    when = told(**typed)
    assert when.is_valid()
    assert when.start_at is not None
    assert when.start_at.isoformat()[:16] == moment
    assert when.moment_text == words


def test_how_far_away(evening: None) -> None:
    assert told(start_time="01:00").ahead_text == "in 2 h 14 min"
    assert told(start_time="01:00", zone="Europe/Berlin").ahead_text == "in 1 h 14 min"


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"start_time": ""}, "start_time", "Say at which time."),
        ({"start_time": "25:00"}, "start_time", "Write a time of the day"),
        ({"start_date": "24.12."}, "start_date", "Write a day"),
        ({"start_date": "2026-11-26"}, "start_date", "2026-11-26 02:00 UTC has passed"),
        ({"start_date": "2029-01-01"}, "start_date", "more than a year away"),
        ({"start_date": "9999-12-31"}, "start_date", "9998-12-31"),
        ({"start_date": "0001-01-01"}, "start_date", "1970-01-01"),
    ],
)
def test_what_makes_no_sense(
    evening: None, typed: dict[str, str], field: str, words: str
) -> None:
    when = told(**typed)
    assert list(when.errors) == [field]
    assert words in str(when.errors[field])
    assert when.ahead_text == ""


def test_the_zone_that_the_reader_has_chosen(olga: User, disk: Disk) -> None:
    page = signed_in(olga).get(address_of(disk))
    assert 'name="zone" value="UTC"' in text_of(page)
    Preferences.objects.create(user=olga, time_zone="Europe/Berlin")
    page = signed_in(olga).get(address_of(disk))
    assert 'name="zone" value="Europe/Berlin"' in text_of(page)
    assert "02:00 Europe/Berlin, in " in text_of(page)


# --- The buttons ----------------------------------------------------------------------


def test_start_at_a_time(olga: User, disk: Disk) -> None:
    typed = {**TYPED, "start": "later", "start_time": "02:00", "zone": "Europe/Berlin"}
    page = signed_in(olga).post(address_of(disk), typed, follow=True)
    job = CopyJob.objects.get()
    assert job.state == State.REQUESTED
    assert job.start_at is not None
    assert job.start_at.hour in (0, 1)
    assert f"Job {job.pk} starts at" in text_of(page)
    assert "02:00 Europe/Berlin, in " in text_of(page)


@pytest.mark.parametrize("button", ["now", "pivot", ""])
def test_the_other_buttons_start_at_once(button: str, olga: User, disk: Disk) -> None:
    typed = {**TYPED, "start": button, "start_time": "nonsense"}
    signed_in(olga).post(address_of(disk), typed)
    job = CopyJob.objects.get()
    assert (job.state, job.start_at) == (State.QUEUED, None)
    assert job.when_ready == ("pivot" if button == "pivot" else "wait")


@pytest.mark.parametrize("wrong", [{"start_time": ""}, {"start_date": "2020-02-02"}])
def test_a_time_that_makes_no_sense_starts_nothing(
    wrong: dict[str, str], olga: User, disk: Disk
) -> None:
    typed = {**TYPED, "start": "later", "start_time": "02:00", **wrong}
    page = signed_in(olga).post(address_of(disk), typed)
    assert page.status_code == 422
    assert not CopyJob.objects.exists()
    error = "Say at which time." if "start_time" in wrong else "has passed."
    assert error in text_of(page)
    assert TYPED["reason"] in text_of(page)


@pytest.mark.parametrize(
    ("when_ready", "labels"),
    [
        ("wait", ["Start", "Start and pivot when ready"]),
        ("pivot", ["Start and pivot when ready"]),
        ("finish", ["Start and finish when ready"]),
    ],
)
def test_the_buttons_say_what_they_do(
    when_ready: str, labels: list[str], olga: User, disk: Disk
) -> None:
    typed = {**TYPED, "check": "1", "when_ready": when_ready, "start_time": "03:30"}
    text = text_of(signed_in(olga).post(address_of(disk), typed, headers=HTMX))
    shown = [label for label in text.split("</button>") if 'name="start"' in label]
    assert [label.rpartition(">")[2] for label in shown] == [*labels, "Start at 03:30"]


def test_a_wrong_time_greys_one_button_only(olga: User, disk: Disk) -> None:
    typed = {**TYPED, "check": "1", "start_time": ""}
    text = text_of(signed_in(olga).post(address_of(disk), typed, headers=HTMX))
    greyed = [part for part in text.split("<button") if "aria-disabled" in part]
    assert ["Start later" in part for part in greyed] == [True]


# --- What the pages say of it ---------------------------------------------------------


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    start_at = timezone.now() + timedelta(hours=2, minutes=14, seconds=30)
    return job_in(State.REQUESTED, disk, start_at=start_at)


def pages(user: User, job: CopyJob) -> dict[str, str]:
    client = signed_in(user)
    addresses = {
        "job": reverse("job", args=[job.pk]),
        "jobs": f"{reverse('jobs')}?state=scheduled",
        "overview": reverse("overview"),
    }
    return {name: text_of(client.get(address)) for name, address in addresses.items()}


def test_every_page_says_when(olga: User, job: CopyJob) -> None:
    moment = f"{job.start_at:%Y-%m-%d %H:%M:%S}"
    for name, text in pages(olga, job).items():
        assert moment in text, name
        assert ">in 2 h 14 min</time>" in text, name


def test_the_job_can_be_started_now_or_cancelled(olga: User, job: CopyJob) -> None:
    text = pages(olga, job)["job"]
    for verb in ("start", "cancel"):
        assert f'href="{reverse("job-verb", args=[job.pk, verb])}"' in text
    assert "Possible once source and destination are in sync" in text
    CopyJob.objects.update(state=State.COPYING)
    assert "Start now" not in pages(olga, job)["job"]


def test_it_has_a_place_of_its_own(olga: User, job: CopyJob) -> None:
    running = job_in(State.COPYING, add_disk(job.domain, "vdb"))
    overview = signed_in(olga).get(reverse("overview"))
    assert [shown.job for shown in overview.context["scheduled"]] == [job]
    assert [shown.job for shown in overview.context["running"]] == [running]
    assert overview.context["counts"] == {"waiting": 0, "running": 1, "scheduled": 1}
    listed = signed_in(olga).get(f"{reverse('jobs')}?state=scheduled")
    assert [shown.job for shown in listed.context["rows"]] == [job]
    assert ">Scheduled <strong>1</strong></a>" in text_of(listed)


def test_the_next_one_comes_first(olga: User, job: CopyJob) -> None:
    sooner = job_in(
        State.REQUESTED,
        add_disk(job.domain, "vdb"),
        start_at=timezone.now() + timedelta(minutes=5),
    )
    overview = signed_in(olga).get(reverse("overview"))
    assert [shown.job for shown in overview.context["scheduled"]] == [sooner, job]


def test_one_that_nobody_took_up_is_late(olga: User, job: CopyJob) -> None:
    CopyJob.objects.update(start_at=timezone.now() - timedelta(minutes=5))
    for name, text in pages(olga, job).items():
        assert "was to start" in text.lower(), name
    shown = pages(olga, job)
    assert "no worker has taken it up" in shown["job"]
    assert 'id="stuck"' in shown["overview"]
    Host.objects.update(enabled=False)
    assert "alder is disabled" in pages(olga, job)["job"]
