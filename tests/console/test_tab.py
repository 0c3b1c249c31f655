"""What a browser's tab says of its page: title and icon, from the server on."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs.console.look import LOOKS
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Disk, Host
from jobs.names import short
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain
from tests.console.rows import job_in, many_jobs, seen, text_of


def tab(user: User, address: str) -> tuple[str, str]:
    """Return a page's title and icon, which its live region says as well."""
    page = text_of(signed_in(user).get(address))
    title, said = (
        re.findall(pattern, page)
        for pattern in (
            "<title>(.*?) · Blockcopy Console</title>",
            'data-title="(.*?)"',
        )
    )
    icon, live = (
        re.findall(rf'{name}="/static/console/(?:tabs/)?(\w+)[.\w]*\.svg"', page)
        for name in ("href", "data-icon")
    )
    assert (title, icon) == (said, live)
    return title[0], icon[0]


def job_tab(user: User, job: CopyJob) -> tuple[str, str]:
    return tab(user, reverse("job", args=[job.pk]))


@pytest.mark.parametrize(
    ("state", "words", "icon"),
    [
        (State.QUEUED, "Queued", "neutral"),
        (State.COPYING, "Copying", "blue"),
        (State.MIRRORING, "In sync", "violet"),
        (State.PIVOTED, "Pivoted", "green"),
        (State.COPIED, "Copied", "teal"),
        (State.FAILED, "Failed", "red"),
        (State.LOST, "Lost", "orange"),
    ],
)
def test_a_job_s_tab_says_its_state(
    olga: User, disk: Disk, state: State, words: str, icon: str
) -> None:
    job = job_in(state, disk)
    expected = f"{words}: {job.disk} of {job.domain_name}"
    assert job_tab(olga, job) == (expected, icon)


@pytest.mark.usefixtures("redis")
def test_a_copy_s_tab_says_how_far_it_is(olga: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    seen(job, 42, 100)
    assert job_tab(olga, job)[0].startswith("42 %: ")


def test_a_mirror_that_goes_on_by_itself_asks_for_nobody(
    olga: User, disk: Disk
) -> None:
    job = job_in(State.MIRRORING, disk, when_ready=WhenReady.PIVOT)
    assert job_tab(olga, job)[0].startswith("Mirroring: ")


@pytest.mark.usefixtures("redis")
def test_a_tab_does_not_say_what_nobody_knows(olga: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    seen(job, 42, 100)
    Host.objects.update(error="gone", last_seen_at=timezone.now() - timedelta(hours=1))
    title, icon = job_tab(olga, job)
    assert title.startswith("No answer: ")
    assert icon == "orange"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_text(olga: User, host: Host, name: str) -> None:
    job = job_in(State.FAILED, add_disk(add_domain(host, name)))
    assert job_tab(olga, job)[0] == escape(f"Failed: vda of {short(name)}")


@pytest.mark.parametrize(("address", "title"), [("/", "Overview"), ("/jobs/", "Jobs")])
def test_lists_count_what_waits_for_a_decision(
    olga: User, host: Host, address: str, title: str
) -> None:
    many_jobs(host, State.COPYING, 1)
    assert tab(olga, address) == (title, "icon")
    many_jobs(host, State.MIRRORING, 2)
    assert tab(olga, address) == (f"(2) {title}", "violet")
    CopyJob.objects.filter(state=State.MIRRORING).update(when_ready=WhenReady.PIVOT)
    assert tab(olga, address) == (title, "icon")


def test_every_family_has_an_icon() -> None:
    for look in LOOKS.values():
        assert finders.find(f"console/tabs/{look.family}.svg")


def test_who_may_not_see_jobs_gets_no_stream(otto: User, victor: User) -> None:
    account = reverse("account")
    assert "data-stream=" not in text_of(signed_in(otto).get(account))
    assert "data-stream=" in text_of(signed_in(victor).get(account))
