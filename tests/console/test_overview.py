"""The overview: decisions first, honest numbers, hosts in brief."""

from __future__ import annotations

import re
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs import live, processes, samples
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Disk, Host, JobSample
from jobs.processes import Kind
from tests.conftest import signed_in
from tests.console.rows import (
    add_leftover,
    job_in,
    many_jobs,
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


def test_what_the_hold_costs(redis: None, olga: User, disk: Disk) -> None:
    """From the first sample since it was ready; without one nobody knows."""
    job = job_in(State.MIRRORING, disk)
    assert job.ready_at is not None
    seen(job, 13 * 2**30, 13 * 2**30)
    cost = "3 GiB mirrored"
    assert cost not in text_of(signed_in(olga).get("/"))
    samples.insert(
        JobSample(
            job=job,
            at=job.ready_at + timedelta(seconds=seconds),
            current=end,
            end=end,
            bandwidth=0,
        )
        for seconds, end in ((-10, 8 * 2**30), (5, 10 * 2**30), (15, 11 * 2**30))
    )
    assert cost in text_of(signed_in(olga).get("/"))
    assert cost in text_of(signed_in(olga).get("/jobs/"))
    page = text_of(signed_in(olga).get(f"/jobs/{job.pk}/"))
    assert "<dt>Guest writes mirrored since</dt><dd>3 GiB <time " in page
    with patch("jobs.live.time.time", return_value=time.time() - 60):
        seen(job, 13 * 2**30, 13 * 2**30)
    row = text_of(signed_in(olga).get("/jobs/"))
    age = "<time [^>]*data-age class[^>]*>as of 1 min"
    assert re.search(f"{cost}</span>{age}", row)


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


# --- Health ---------------------------------------------------------------


def all_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process give its sign."""
    monkeypatch.setattr(processes, "_given", {})
    for kind in set(Kind) - {Kind.REDIS}:
        processes.give_sign(kind, "a", ["default"])


@pytest.mark.usefixtures("redis")
def test_what_is_missing_is_said_with_what_it_means(
    olga: User, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_at_work(monkeypatch)
    page = text_of(signed_in(olga).get("/"))
    assert 'id="missing"' not in page
    assert "last sign <time" in page
    processes.take_back(Kind.WORKER, "a")
    page = text_of(signed_in(olga).get("/"))
    assert "<strong>Worker: no sign of it.</strong> Nothing starts or moves" in page
    assert "until a worker runs" in page


def test_a_redis_that_hangs_keeps_a_page_no_longer_than_its_patience(
    olga: User, host: Host, settings: Any, tmp_path: Path
) -> None:
    """It takes the connection and never answers; each list has a job to ask for."""
    for state in (State.COPYING, State.MIRRORING):
        many_jobs(host, state, 1)
    client = signed_in(olga)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(f"{tmp_path}/mute.sock")
        mute.listen()
        settings.REDIS_URL = f"unix://{tmp_path}/mute.sock"
        live.client.cache_clear()
        began = time.monotonic()
        page = text_of(client.get("/"))
        took = time.monotonic() - began
    live.client.cache_clear()
    assert "Redis: no sign of it." in page
    assert page.count("unknown") >= 4
    assert took < processes.PATIENCE + 3.5, "it was asked once, by one who gives up"


def test_what_is_stuck_is_said_with_the_reason(olga: User, host: Host) -> None:
    long_ago = timezone.now() - timedelta(minutes=10)
    flagged, well = many_jobs(host, State.COPYING, 2)
    CopyJob.objects.filter(pk=flagged.pk).update(flagged="No progress for 5 min.")
    ending, fresh = many_jobs(host, State.PIVOTING, 2)
    CopyJob.objects.filter(pk=ending.pk).update(ending_at=long_ago)
    CopyJob.objects.filter(pk=fresh.pk).update(ending_at=timezone.now())
    queued = many_jobs(host, State.QUEUED, 1)[0]
    CopyJob.objects.filter(pk=queued.pk).update(requested_at=long_ago)
    page = text_of(signed_in(olga).get("/"))
    assert page.index('id="stuck"') < page.index('id="running"')
    assert "No progress for 5 min." in page
    assert "It has been pivoting for longer" in page
    assert "No worker has taken it up." in page
    for job, told in ((flagged, 1), (ending, 1), (queued, 1), (well, 0), (fresh, 0)):
        assert page.count(f'id="stuck-{job.pk}"') == told


def test_what_needs_a_person_stands_in_one_order(olga: User, disk: Disk) -> None:
    many_jobs(disk.domain.host, State.MIRRORING, 1)
    many_jobs(disk.domain.host, State.FAILED, 1)
    job = many_jobs(disk.domain.host, State.COPYING, 1)[0]
    CopyJob.objects.filter(pk=job.pk).update(flagged="No progress.")
    add_leftover(disk)
    page = text_of(signed_in(olga).get("/"))
    places = [
        page.index(f'id="{name}"')
        for name in ("waiting", "failed", "stuck", "left", "running", "hosts")
    ]
    assert places == sorted(places)
    assert page.index('id="processes"') > places[-1]
