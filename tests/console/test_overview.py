"""The overview: decisions first, honest numbers, hosts in brief."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Disk, Host
from tests.conftest import signed_in
from tests.console.rows import (
    add_leftover,
    job_in,
    many_jobs,
    queries_of,
    seen,
    text_of,
)


def test_the_ladder(olga: User, victor: User, otto: User) -> None:
    assert Client().get("/").status_code == 302
    assert signed_in(otto).get("/").status_code == 403
    assert signed_in(victor).get("/").status_code == 200
    assert signed_in(olga).post("/").status_code == 405


def test_an_empty_fleet_gets_a_checklist(olga: User) -> None:
    page = text_of(signed_in(olga).get("/"))
    assert "First steps" in page
    assert "Add a libvirt host" in page
    assert page.count("step-done") == 0


def test_the_checklist_goes_with_what_is_there(olga: User, disk: Disk) -> None:
    page = text_of(signed_in(olga).get("/"))
    assert page.count("step-done") == 3
    job_in(State.COPYING, disk)
    assert "First steps" not in text_of(signed_in(olga).get("/"))


def test_what_waits_for_a_person_comes_first(
    redis: None, olga: User, host: Host
) -> None:
    many_jobs(host, State.COPYING, 1)
    waiting = many_jobs(host, State.MIRRORING, 1)[0]
    page = text_of(signed_in(olga).get("/"))
    assert page.index('id="waiting"') < page.index('id="running"')
    decided, flying = page.split('id="running"')
    assert f'id="row-{waiting.pk}"' in decided
    assert f"/jobs/{waiting.pk}/pivot/" in decided
    assert "data-since>12:3" in decided
    assert "copying" in flying


def test_what_pivots_by_itself_waits_for_nobody(olga: User, disk: Disk) -> None:
    job = job_in(State.MIRRORING, disk, when_ready=WhenReady.PIVOT)
    page = text_of(signed_in(olga).get("/"))
    assert f'id="row-{job.pk}"' in page.split('id="running"')[1]
    assert "then pivot" in page


def test_a_viewer_gets_no_verbs(victor: User, disk: Disk) -> None:
    job_in(State.MIRRORING, disk)
    page = text_of(signed_in(victor).get("/"))
    assert "in sync for" in page
    assert "/pivot/" not in page
    assert "New copy" not in page


def test_a_silent_host_is_said_beside_the_last_known_state(
    redis: None, olga: User, disk: Disk, host: Host
) -> None:
    job = job_in(State.COPYING, disk)
    seen(job, 50, 100)
    host.error = "The host did not answer."
    host.last_seen_at = timezone.now() - timedelta(seconds=40)
    host.save()
    page = text_of(signed_in(olga).get("/"))
    assert "no answer, last seen" in page
    assert "40 s ago" in page
    assert "1 does not" in page
    assert "does not answer" in page
    assert '<span class="state state-blue">' in page


def test_a_host_that_nobody_looks_at_is_said_too(
    olga: User, disk: Disk, host: Host
) -> None:
    """A dead worker must not look like a copy that stands still."""
    job_in(State.COPYING, disk)
    Host.objects.update(last_seen_at=timezone.now() - timedelta(seconds=30))
    assert "no news, last seen" in text_of(signed_in(olga).get("/"))


def test_ended_jobs_say_how_and_when(olga: User, disk: Disk) -> None:
    job_in(State.CANCELLED, disk)
    page = text_of(signed_in(olga).get("/"))
    assert "Ended lately" in page
    assert "1 min ago</time>, took 19:00" in page


def test_a_failure_is_news_for_a_day(olga: User, host: Host) -> None:
    failed = many_jobs(host, State.FAILED, 1)[0]
    lost, before = many_jobs(host, State.LOST, 2)
    CopyJob.objects.filter(pk=failed.pk).update(failure="No <b>room</b>.")
    yesterday = timezone.now() - timedelta(days=1, minutes=1)
    CopyJob.objects.filter(pk=before.pk).update(ended_at=yesterday)
    news, ended = text_of(signed_in(olga).get("/")).split('id="ended"')
    assert news.index('id="failed"') < news.index('id="running"')
    assert f'id="failed-{failed.pk}"' in news
    assert f'id="failed-{lost.pk}"' in news
    assert "No &lt;b&gt;room&lt;/b&gt;." in news
    assert f'id="row-{before.pk}"' in ended
    assert f'id="row-{failed.pk}"' not in ended


def test_many_failures_are_cut_short(
    olga: User, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.console.views.overview.MOST_FAILED", 2)
    many_jobs(host, State.FAILED, 2)
    assert "there are more" not in text_of(signed_in(olga).get("/"))
    many_jobs(host, State.FAILED, 1)
    page = text_of(signed_in(olga).get("/"))
    assert page.count('id="failed-') == 3  # two rows and the heading
    assert "there are more" in page


def test_leftovers_are_one_line_with_their_sum(olga: User, disk: Disk) -> None:
    assert 'id="left"' not in text_of(signed_in(olga).get("/"))
    add_leftover(disk)
    page = text_of(signed_in(olga).get("/"))
    assert "<strong>3 GiB</strong> behind, in 1 leftover." in page
    job = add_leftover(disk).job
    add_leftover(disk, job=job, bytes=None)
    add_leftover(disk, job=job, removed_at=timezone.now())
    page = text_of(signed_in(olga).get("/"))
    assert "<strong>6 GiB</strong> behind, in 3 leftovers, 1 of them not" in page
    assert '<a href="/leftovers/">Show leftovers</a>' in page


def test_leftovers_that_nobody_measured_yet(olga: User, disk: Disk) -> None:
    add_leftover(disk, bytes=None)
    assert "something behind that is not measured yet, in 1 leftover." in text_of(
        signed_in(olga).get("/")
    )


def test_the_fragment_is_the_page_s_own(olga: User, disk: Disk) -> None:
    job = job_in(State.MIRRORING, disk)
    headers = {"HX-Request": "true", "HX-Target": "live"}
    fragment = text_of(signed_in(olga).get("/", headers=headers))
    assert fragment.startswith('<div id="live"')
    assert f'id="row-{job.pk}"' in fragment
    assert "<html" not in fragment


def test_more_jobs_take_no_more_queries(olga: User, host: Host) -> None:
    client = signed_in(olga)
    for state in (State.COPYING, State.MIRRORING, State.PIVOTED):
        many_jobs(host, state, 1)
    few = queries_of(client, "/")
    for state in (State.COPYING, State.MIRRORING, State.PIVOTED):
        many_jobs(host, state, 6)
    assert queries_of(client, "/") == few <= 15
