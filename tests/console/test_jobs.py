"""The list of jobs and the page of one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs import audit
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Host, JobEvent, Site
from jobs.paging import PER_PAGE
from tests.conftest import actor_of, signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain
from tests.console.rows import (
    job_in,
    many_jobs,
    queries_of,
    seen,
    seen_for,
    text_of,
)

Page = Callable[..., str]

MIB, GIB = 2**20, 2**30


@pytest.fixture
def listed(olga: User) -> Callable[[str], set[int]]:
    """Return the jobs that the list shows for a query string."""
    client = signed_in(olga)

    def ask(query: str) -> set[int]:
        response = client.get(f"{reverse('jobs')}?{query}")
        return {shown.job.pk for shown in response.context["rows"]}

    return ask


@pytest.fixture
def listed_text(victor: User) -> Callable[[], str]:
    """Return what the list of jobs says."""
    return lambda: text_of(signed_in(victor).get(reverse("jobs")))


# --- The list -------------------------------------------------------------


def test_the_list_s_ladder(olga: User, victor: User, otto: User) -> None:
    address = reverse("jobs")
    assert Client().get(address).status_code == 302
    assert signed_in(otto).get(address).status_code == 403
    assert signed_in(victor).get(address).status_code == 200
    assert signed_in(olga).post(address).status_code == 405
    assert "No copy was started yet." in text_of(signed_in(olga).get(address))


def test_filters_by_state(listed: Callable[[str], set[int]], host: Host) -> None:
    pks = {state: many_jobs(host, state, 1)[0].pk for state in State}
    assert listed("state=waiting") == {pks[State.MIRRORING]}
    assert listed("state=failed-or-lost") == {pks[State.FAILED], pks[State.LOST]}
    assert listed("state=failed") == {pks[State.FAILED]}
    assert listed("state=pivoting") == {pks[State.PIVOTING]}
    assert listed("state=active") | listed("state=ended") == set(pks.values())
    assert listed("state=active").isdisjoint(listed("state=ended"))


def test_filters_by_host_and_text(
    listed: Callable[[str], set[int]], host: Host, disk: Disk
) -> None:
    web = job_in(State.COPYING, disk, destination="/srv/new/ünï 100%_.qcow2")
    birch = Host.objects.create(name="birch", site=host.site, transport="local")
    other = job_in(State.PIVOTED, add_disk(add_domain(birch, "mail")))
    assert listed(f"host={birch.pk}") == {other.pk}
    assert listed("q=mai") == {other.pk}
    assert listed("q=WEB") >= {web.pk}
    assert listed("q=100%25_") == {web.pk}
    assert listed(f"q=%23{web.pk}") == {web.pk}
    assert listed("q=birch&state=active") == set()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=zzz", "There is no state “zzz”."),
        ("host=999999", "There is no such host."),
        ("host=x", "There is no such host."),
        ("site=nowhere", "There is no such site."),
        ("within=3y", "There is no time “3y”."),
        ("sort=colour", "There is no order “colour”."),
        ("asked_after=yesterday", "“yesterday” is no date."),
        (
            "asked_after=0001-01-01",
            "“0001-01-01” is too early",
        ),
        (
            "asked_before=9999-12-31",
            "“9999-12-31” is too late",
        ),
        ("colour=red", "There is no filter “colour”."),
        ("q=%00", "Null characters are not allowed."),
        ("q=" + "x" * 201, "at most 200 characters"),
    ],
)
def test_a_filter_that_makes_no_sense_is_said(
    olga: User, disk: Disk, query: str, words: str
) -> None:
    job_in(State.COPYING, disk)
    response = signed_in(olga).get(f"{reverse('jobs')}?{query}")
    assert words in text_of(response)
    assert response.context["rows"] == []


def test_chips_keep_the_other_filters(olga: User, host: Host) -> None:
    many_jobs(host, State.MIRRORING, 2)
    page = text_of(signed_in(olga).get(reverse("jobs") + "?state=active&q=guest"))
    assert 'href="/jobs/?q=guest&amp;state=failed-or-lost"' in page
    assert "Waiting for a decision <strong>2</strong>" in page
    assert 'aria-current="true">Active' in page


def test_filters_narrow_each_other_down(
    listed: Callable[[str], set[int]], host: Host, disk: Disk
) -> None:
    now = timezone.now()
    old = job_in(
        State.PIVOTED,
        disk,
        destination="/srv/fast/web.qcow2",
        requested_by_name="ada",
        requested_at=now - timedelta(days=3),
    )
    north = Site.objects.create(name="north")
    birch = Host.objects.create(name="birch", site=north, transport="local")
    new = job_in(State.COPYING, add_disk(add_domain(birch, "mail")))
    assert listed("site=north") == {new.pk}
    assert listed("domain=WEB") == {old.pk}
    assert listed("destination=%2Ffast%2F") == {old.pk}
    assert listed("actor=ada") == {old.pk}
    assert listed("within=24h") == {new.pk}
    day = (now - timedelta(days=2)).date()
    assert listed(f"asked_before={day}") == {old.pk}
    assert listed(f"asked_after={day}") == {new.pk}
    assert listed("state=copying&state=ended") == {old.pk, new.pk}
    assert listed("state=copying&state=ended&actor=olga") == {new.pk}
    assert listed("actor=olga&site=&host=&q=") == {new.pk}


def test_filters_in_force_are_taken_away_one_by_one(olga: User, host: Host) -> None:
    many_jobs(host, State.COPYING, 1)
    query = f"?host={host.pk}&actor=olga&state=active"
    page = text_of(signed_in(olga).get(reverse("jobs") + query))
    without_host = "/jobs/?actor=olga&amp;state=active"
    assert f'href="{without_host}"><bdi>host alder</bdi>' in page
    assert "asked for by “olga”" in page


def test_states_are_counted_and_added_by_a_click(olga: User, host: Host) -> None:
    many_jobs(host, State.COPYING, 2)
    many_jobs(host, State.FAILED, 1)
    many_jobs(host, State.MIRRORING, 1)
    CopyJob.objects.filter(state=State.MIRRORING).update(when_ready="pivot")
    page = text_of(signed_in(olga).get(reverse("jobs") + "?state=copying"))
    for words in ("All <strong>4", "Active <strong>3", "decision <strong>0"):
        assert words in page
    assert 'href="/jobs/?state=copying&amp;state=failed" >failed 1</a>' in page
    assert 'href="/jobs/" aria-current="true">copying 2</a>' in page


def test_failed_and_lost_are_counted_apart_and_together(olga: User, host: Host) -> None:
    many_jobs(host, State.FAILED, 2)
    many_jobs(host, State.LOST, 1)
    page = text_of(signed_in(olga).get(reverse("jobs") + "?state=failed"))
    assert "All <strong>3" in page
    assert "Failed or lost <strong>3" in page
    assert 'href="/jobs/" aria-current="true">failed 2</a>' in page
    assert 'href="/jobs/?state=failed&amp;state=lost" >lost 1</a>' in page
    assert page.count('aria-current="true">') == 1


def test_sorting(olga: User, host: Host) -> None:
    for name in ("b", "c", "a"):
        job_in(State.COPYING, add_disk(add_domain(host, name)))
    client = signed_in(olga)

    def names(sort: str) -> str:
        rows = client.get(reverse("jobs"), {"sort": sort}).context["rows"]
        return "".join(shown.job.domain_name for shown in rows)

    found = {sort: names(sort) for sort in ("", "domain", "-domain", "host", "asked")}
    assert found == {
        "": "acb",
        "domain": "abc",
        "-domain": "cba",
        "host": "acb",  # all the same: the newest first
        "asked": "bca",
    }
    page = text_of(client.get(reverse("jobs") + "?sort=domain&state=active"))
    assert 'aria-sort="ascending"' in page
    assert 'href="/jobs/?state=active&amp;sort=-domain"' in page


def test_pages(olga: User, host: Host) -> None:
    many_jobs(host, State.PIVOTED, PER_PAGE + 1)
    client = signed_in(olga)
    first = client.get(reverse("jobs") + "?state=ended")
    assert len(first.context["rows"]) == PER_PAGE
    assert 'href="?state=ended&amp;page=2"' in text_of(first)
    second = client.get(reverse("jobs") + "?state=ended&page=2")
    assert len(second.context["rows"]) == 1
    beyond = client.get(reverse("jobs") + "?page=999")
    assert len(beyond.context["rows"]) == 1


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_text(olga: User, host: Host, name: str) -> None:
    disk = add_disk(add_domain(host, name))
    job = job_in(State.MIRRORING, disk, destination=f"/srv/{name}", reason=name)
    # No user's name is longer than 150 characters; PostgreSQL insists.
    JobEvent.objects.create(job=job, message=name, actor=name[:150])
    client = signed_in(olga)
    for address in ("/", reverse("jobs"), reverse("job", args=[job.pk])):
        page = client.get(address).content.decode()
        assert escape(name) in page
        assert "<img src=x" not in page


# --- The page of one ------------------------------------------------------


@pytest.fixture
def job_page(olga: User) -> Page:
    """Return the text of a job's page, as the operator sees it."""
    client = signed_in(olga)

    def ask(job: CopyJob, **headers: Any) -> str:
        return text_of(client.get(reverse("job", args=[job.pk]), **headers))

    return ask


def test_the_page_s_ladder(olga: User, victor: User, otto: User, disk: Disk) -> None:
    address = reverse("job", args=[job_in(State.COPYING, disk).pk])
    assert Client().get(address).status_code == 302
    assert signed_in(otto).get(address).status_code == 403
    assert signed_in(victor).get(address).status_code == 200
    assert signed_in(olga).post(address).status_code == 405
    assert signed_in(olga).get(reverse("job", args=[10**6])).status_code == 404


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_page(job_page: Page, disk: Disk, state: State) -> None:
    shown = job_page(job_in(state, disk))
    assert f"</svg>{state.label}</span>" in shown
    assert disk.source in shown


def test_copying_shows_progress_and_time_left(
    redis: None, job_page: Page, listed_text: Callable[[], str], disk: Disk
) -> None:
    job = job_in(State.COPYING, disk)
    seen_for(job, 4 * GIB, 10 * GIB, rate=40 * MIB)
    shown = job_page(job)
    assert "4 GiB of 10 GiB" in shown
    assert "Copying 40 %" in shown
    assert "40 MiB/s" in shown
    assert "<dt>Time left</dt><dd>about 2 min</dd>" in shown
    row = listed_text()
    assert re.search(r">about 2 min left</span><time[^>]* hidden.*>, 40 MiB/s<", row)
    assert 'class="age">' not in shown.split("data-age hidden")[0]


def test_a_young_copy_knows_no_time_left(
    redis: None, job_page: Page, disk: Disk
) -> None:
    job = job_in(State.COPYING, disk, started_at=timezone.now())
    seen_for(job, 4 * GIB, 10 * GIB, rate=40 * MIB, seconds=5)
    assert "<dt>Time left</dt><dd>unknown</dd>" in job_page(job)


def test_a_copy_that_does_not_converge_says_what_helps(
    redis: None, job_page: Page, listed_text: Callable[[], str], disk: Disk
) -> None:
    job = job_in(State.COPYING, disk)
    same = {"rate": 20 * MIB, "growth": 20 * MIB, "bandwidth": 20 * MIB}
    seen_for(job, 4 * GIB, 10 * GIB, **same)
    shown = job_page(job)
    assert "<dt>Time left</dt><dd>does not converge at this rate</dd>" in shown
    assert "More bandwidth: the limit is 20 MiB/s." in shown
    assert "Synchronous writes at the next start" in shown
    assert "does not converge at this rate" in listed_text()
    CopyJob.objects.update(synchronous_writes=True)
    assert "Synchronous writes at the next start" not in job_page(job)


def test_old_numbers_say_their_age_and_no_rate(
    redis: None, job_page: Page, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_in(State.COPYING, disk)
    monkeypatch.setattr("jobs.live.time.time", lambda: timezone.now().timestamp() - 23)
    monkeypatch.setattr("jobs.live._rate", lambda *_: 100 * 2.0**20)
    seen(job, 4 * 2**30, 10 * 2**30)
    monkeypatch.undo()
    shown = job_page(job)
    assert "as of 23 s ago" in shown
    assert "<dt>Rate</dt><dd>unknown</dd>" in shown


def test_all_copied_is_not_yet_in_sync(redis: None, job_page: Page, disk: Disk) -> None:
    """libvirt reports current = end before the mirror is ready."""
    job = job_in(State.COPYING, disk)
    seen(job, 100, 100)
    shown = job_page(job)
    assert "Copying 99 %" in shown
    assert "In sync for" not in shown


def test_mirroring_says_since_when(job_page: Page, disk: Disk) -> None:
    shown = job_page(job_in(State.MIRRORING, disk))
    assert "Copying 100 %" in shown
    assert "In sync for <time" in shown
    assert "then you decide" in shown


def test_without_redis_the_page_stands(job_page: Page, disk: Disk) -> None:
    shown = job_page(job_in(State.COPYING, disk))
    assert "<dt>Rate</dt><dd>unknown</dd>" in shown


def test_the_verbs_are_there_with_reasons(job_page: Page, disk: Disk) -> None:
    copying = job_page(job_in(State.COPYING, disk))
    assert "Possible once source and destination are in sync" in copying
    assert "/cancel/" in copying
    assert "/pivot/" not in copying
    CopyJob.objects.update(state=State.MIRRORING)
    mirroring = job_page(CopyJob.objects.get())
    assert "goes stale" in mirroring
    assert "/pivot/" in mirroring


def test_a_viewer_reads_why_not(victor: User, disk: Disk) -> None:
    job = job_in(State.MIRRORING, disk)
    shown = text_of(signed_in(victor).get(reverse("job", args=[job.pk])))
    assert "Your role does not allow you to pivot a copy." in shown
    assert "/pivot/" not in shown
    assert 'id="speed-form"' not in shown


def test_a_failure_tells_cause_remedy_and_libvirt_s_words(
    job_page: Page, disk: Disk
) -> None:
    shown = job_page(
        job_in(
            State.FAILED,
            disk,
            failure="The directory is missing.",
            remedy="Create it.",
            libvirt_code=38,
            libvirt_text="failed to create copy target",
            left_behind="/srv/images/copy.qcow2 stays on alder, partial.",
        )
    )
    for words in (
        "The directory is missing.",
        "Create it.",
        "libvirt said (code 38): ",
        "failed to create copy target",
        "Left behind:",
        "stays on alder, partial.",
    ):
        assert words in shown


def test_silence_is_said_with_its_age(job_page: Page, disk: Disk, host: Host) -> None:
    job = job_in(State.MIRRORING, disk)
    host.error, host.error_remedy = "Connection timed out.", "Check the daemon."
    host.last_seen_at = timezone.now() - timedelta(seconds=40)
    host.save()
    shown = job_page(job)
    assert "alder does not answer; last seen" in shown
    assert "40 s ago" in shown
    assert "Check the daemon." in shown
    assert "Below is the last known state." in shown
    assert "In sync when last seen" in shown
    assert "the guest runs on it" not in shown
    assert 'mirroring</span> <span class="age">last known</span>' in shown
    assert '<div class="phases last-known">' in shown


@pytest.mark.usefixtures("redis")
def test_a_copy_that_is_not_seen_any_more_is_not_shown_as_live(
    job_page: Page, disk: Disk, host: Host
) -> None:
    job = job_in(State.COPYING, disk)
    seen(job, 17, 100)
    live = job_page(job)
    assert "Copying 17 %" in live
    for words in ("last known", "last-known", "when last seen"):
        assert words not in live
    host.error = "Connection timed out."
    host.save()
    shown = job_page(job)
    assert "Copying 17 % when last seen" in shown
    assert 'copying</span> <span class="age">last known</span>' in shown
    assert '<div class="phases last-known">' in shown


@pytest.mark.usefixtures("redis")
def test_a_stuck_guest_s_times_do_not_count_on(job_page: Page, disk: Disk) -> None:
    """Its host answers, but nothing has been heard of the copy for a while."""
    job = job_in(State.MIRRORING, disk)
    now = time.time()
    job.samples.create(at=timezone.now(), current=100, end=100, bandwidth=0)
    with patch("jobs.live.time.time", return_value=now - 40):
        seen(job, 300, 300)
    shown = job_page(job)
    assert "In sync when last seen" in shown
    assert "data-since" not in shown
    assert re.search(r"mirrored since</dt><dd>200 bytes <time [^>]*data-age ", shown)
    seen(job, 300, 300)
    shown = job_page(job)
    assert "In sync for <time" in shown
    assert shown.count("data-since") == 2
    assert re.search(r"mirrored since</dt><dd>200 bytes <time [^>]*data-age hid", shown)


def test_events_come_newest_first(job_page: Page, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    for message in ("first", "second"):
        JobEvent.objects.create(job=job, message=message, actor="system")
    shown = job_page(job)
    assert shown.index(">second<") < shown.index(">first<")


def test_the_audit_entries_of_this_job_only(
    job_page: Page, olga: User, host: Host
) -> None:
    ours, other = many_jobs(host, State.MIRRORING, 2)
    done = audit.Outcome.DONE
    audit.record(actor_of(olga), "pivot", ours, done, reason="quiet hour")
    audit.record(SYSTEM, "cancel", other, done, detail="something else")
    shown = job_page(ours)
    assert 'Reason:</span> <span translate="no">quiet hour</span>' in shown
    assert "something else" not in shown


def test_what_is_blocked_is_said_while_it_is(job_page: Page, disk: Disk) -> None:
    assert "Refused until this job ends" in job_page(job_in(State.COPYING, disk))
    CopyJob.objects.update(state=State.PIVOTED)
    assert "Refused until this job ends" not in job_page(CopyJob.objects.get())


def test_history_takes_no_more_queries(olga: User, disk: Disk) -> None:
    client = signed_in(olga)
    job = job_in(State.COPYING, disk)
    address = reverse("job", args=[job.pk])
    few = queries_of(client, address)
    for number in range(20):
        JobEvent.objects.create(job=job, message=f"line {number}")
        audit.record(SYSTEM, "speed", job, audit.Outcome.DONE)
    assert queries_of(client, address) == few <= 13
