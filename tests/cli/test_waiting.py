"""Waiting for a job ends with the truth about it, and never ends the job."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from jobs import live
from jobs.commandline.waiting import WakeUps
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk
from tests.cli.conftest import Run, Script
from tests.cli.copies import START, TO, becomes, the_job

pytestmark = pytest.mark.usefixtures("redis")


def test_start_waits_until_it_mirrors(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(
        becomes(State.STARTING, State.COPYING),
        becomes(State.MIRRORING, ready_at=timezone.now()),
    )

    done = blockcopy(*START, "--to", TO, "--wait")

    assert done.status == 0
    assert f"Decide: blockcopy job pivot|finish|cancel {the_job().pk}" in done.out
    lines = done.err.splitlines()
    assert [line.split(": ")[1].split()[0] for line in lines] == [
        *("queued", "copying", "mirroring"),
    ]


def test_start_waits_for_what_the_policy_asks(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(
        becomes(State.STARTING, State.MIRRORING),
        becomes(State.PIVOTING),
        becomes(State.PIVOTED, left_behind="The old source stays."),
    )

    done = blockcopy(*START, "--to", TO, "--when-ready", "pivot", "--wait", "--json")

    assert (done.status, done.err) == (0, "")
    assert done.json["state"] == "pivoted"
    assert done.json["left_behind"] == "The old source stays."


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("wait", (State.STARTING, State.FAILED)),
        ("wait", (State.STARTING, State.COPYING, State.LOST)),
        ("wait", (State.STARTING, State.COPYING, State.CANCELLING)),
        ("pivot", (State.STARTING, State.MIRRORING, State.FINISHING, State.COPIED)),
        ("finish", (State.STARTING, State.MIRRORING, State.PIVOTING, State.PIVOTED)),
    ],
)
def test_another_end_than_the_one_asked_for_is_a_failure(
    blockcopy: Run,
    disk: Disk,
    meanwhile: Script,
    policy: str,
    states: tuple[State, ...],
) -> None:
    words = (*START, "--to", TO, "--when-ready", policy, "--wait", "--json")
    meanwhile(becomes(*states))

    done = blockcopy(*words)

    assert done.status == 1
    assert done.json["state"] == states[-1]
    assert done.json["error"] == done.err.strip()


def test_a_failure_names_cause_remedy_and_what_stays(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(
        becomes(
            State.STARTING,
            State.FAILED,
            failure="The destination cannot be used.",
            remedy="Check the path.",
            left_behind="A partial file stays.",
        )
    )

    done = blockcopy(*START, "--to", TO, "--wait", "--json")

    assert done.json["failure"] == "The destination cannot be used."
    assert done.json["error"] == (
        f"Job {the_job().pk}: failed. The destination cannot be used. "
        "Check the path. A partial file stays."
    )


def test_a_timeout_ends_the_waiting_and_never_the_job(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(becomes(State.STARTING, State.COPYING), lambda: time.sleep(0.3))

    done = blockcopy(*START, "--to", TO, "--wait", "--timeout", "0.2", "--json")

    assert done.status == 3
    assert "it goes on" in done.json["error"]
    assert done.json["state"] == "copying"
    assert the_job().state == State.COPYING
    assert not AuditEntry.objects.filter(action="cancel").exists()


def test_ctrl_c_ends_the_waiting_and_never_the_job(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    meanwhile(becomes(State.STARTING, State.COPYING), interrupt)

    done = blockcopy(*START, "--to", TO, "--wait")

    assert done.status == 130
    assert "it goes on" in done.err
    assert the_job().state == State.COPYING


def test_a_wake_up_ends_the_wait_at_once(job: CopyJob) -> None:
    with WakeUps() as wake_ups:
        wake_ups.wait(0.2)  # for the subscription itself
        live.wake(job)
        began = time.monotonic()
        wake_ups.wait(10)

    assert time.monotonic() - began < 1


def test_without_redis_waiting_is_only_slower(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    live.client.cache_clear()
    began = time.monotonic()
    with WakeUps() as wake_ups:
        wake_ups.wait(0.01)
    live.client.cache_clear()
    assert 0.01 <= time.monotonic() - began < 10
