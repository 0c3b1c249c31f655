"""Why a copy failed: the reason that came in time, late, or not at all."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions, failures, live, tasks
from jobs.actor import Actor
from jobs.hypervisor import (
    Destination,
    DirectoryFacts,
    Evidence,
    HostFacts,
    ImageFacts,
    Progress,
)
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Host, Leftover
from jobs.preflight import CopyRequest
from jobs.resolve import Decision, Side
from tests.conftest import actor_of
from tests.fakes import FakeHypervisor
from tests.workers import Workers, workers

__all__ = ["workers"]

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "/images/new.qcow2"
FULL = "No space left on device"


@pytest.fixture
def alder(monkeypatch: pytest.MonkeyPatch) -> FakeHypervisor:
    fake = FakeHypervisor()
    monkeypatch.setattr("jobs.reconcile.connection", fake.connection)
    return fake


@pytest.fixture
def web(alder: FakeHypervisor) -> str:
    return alder.add_domain("web")


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


@pytest.fixture
def job(web: str, workers: Workers, host: Host, operator: Actor) -> CopyJob:
    """A copy that runs."""
    tasks.sync_host(host.pk)
    wanted = CopyRequest(Disk.objects.get(), Destination("file", NEW, "qcow2"))
    requested = actions.request_copy(wanted, operator)
    workers.work()
    requested.refresh_from_db()
    assert requested.state == State.COPYING
    return requested


def hear(job: CopyJob, reason: str, at: float | None = None) -> CopyJob:
    """What the listener asks for when the copy failed."""
    heard = time.time() if at is None else at
    tasks.observe_domain(
        job.host_id, job.domain_uuid, job.disk, "failed", heard, reason
    )
    job.refresh_from_db()
    return job


def history(job: CopyJob) -> list[str]:
    return list(job.events.values_list("message", flat=True))


# --- The reason -----------------------------------------------------------------------


def test_the_reason_is_the_failure(
    job: CopyJob, alder: FakeHypervisor, web: str
) -> None:
    alder.fail_copy(web, "vda")
    hear(job, FULL)
    assert job.state == State.FAILED
    assert job.qemu_text == FULL
    assert job.failure == (
        "The destination's storage is full (QEMU: No space left on device). "
        "The guest runs on its source."
    )
    assert "Free space" in job.remedy
    assert history(job)[-1] == job.failure, "told once, and not as a stranger's doing"


def test_words_that_nobody_knows_are_shown(
    job: CopyJob, alder: FakeHypervisor, web: str
) -> None:
    alder.fail_copy(web, "vda")
    hear(job, "Quux")
    assert job.failure.startswith("The copy failed on the host (QEMU: Quux).")


def test_a_failure_without_a_reason_is_nobody_elses_doing(
    job: CopyJob, alder: FakeHypervisor, web: str
) -> None:
    """libvirt said failed; QEMU could not be heard."""
    alder.fail_copy(web, "vda")
    hear(job, "")
    assert job.failure == "The copy failed on the host. The guest runs on its source."
    assert "not by this console" not in history(job)[-1]


def test_a_reason_that_comes_late(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    workers.sweep()
    job.refresh_from_db()
    assert (job.state, job.qemu_text) == (State.FAILED, "")
    CopyJob.objects.update(likely_cause="Likely cause: the moon.")
    hear(job, FULL)
    assert job.qemu_text == FULL
    assert "storage is full" in job.failure
    assert job.likely_cause == "", "the reason is known now"
    assert history(job)[-1] == f"The reason: {job.failure}"


def test_a_reason_is_told_once(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    workers.sweep()
    hear(job, FULL)
    lines = history(job)
    hear(job, FULL)
    assert history(job) == lines


def test_a_reason_that_comes_much_too_late(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    workers.sweep()
    CopyJob.objects.update(ended_at=timezone.now() - timedelta(seconds=61))
    hear(job, FULL)
    assert job.qemu_text == ""


def test_a_reason_from_before_the_start_is_not_this_jobs(job: CopyJob) -> None:
    hear(job, FULL, at=time.time() - 3600)
    assert (job.qemu_text, job.last_event) == ("", "")
    assert job.state == State.COPYING


def test_a_reason_does_not_touch_a_job_that_ended_well(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    actions.perform(actions.CANCEL, job, operator)
    workers.work()
    workers.sweep()
    hear(job, FULL)
    assert (job.state, job.failure) == (State.CANCELLED, "")


def test_a_guest_on_its_destination_keeps_its_own_words(job: CopyJob) -> None:
    CopyJob.objects.update(last_event="failed", qemu_text=FULL)
    decision = Decision(State.FAILED, reason="It is there.", side=Side.DESTINATION)
    assert failures.explained(job, decision) == decision


def test_a_known_place_of_failure_is_kept_without_a_reason(job: CopyJob) -> None:
    CopyJob.objects.update(last_event="failed")
    decision = Decision(State.FAILED, reason="The pivot failed.")
    assert failures.explained(job, decision) == decision


# --- What is likely -------------------------------------------------------------------

HOST = HostFacts("alder", "u", "QEMU", 9_000_000, 7_002_000)
SIZE = 64 * 2**20


def evidence(free: int | None = 10 * 2**30, **image: Any) -> Evidence:
    facts: dict[str, Any] = {"exists": True, "format": "qcow2", "capacity": SIZE}
    there = ImageFacts(NEW, **(facts | image))
    directory = DirectoryFacts("/images", True, available=free)
    return Evidence(HOST, None, there, directory=directory)


@pytest.mark.parametrize(
    ("fields", "seen", "words"),
    [
        ({}, evidence(), ""),
        ({}, evidence(free=None, exists=None, format="", capacity=None), ""),
        ({}, evidence(exists=False), "disappeared"),
        ({}, evidence(free=5), "was full; 5 bytes are free"),
        ({}, evidence(capacity=SIZE + 512), "QEMU wants them equal to the byte"),
        (
            {"reuse_external": True, "destination_format": "raw"},
            evidence(),
            "declared raw but looks like qcow2",
        ),
        ({"destination_kind": "network"}, evidence(), "the server behind"),
        (
            {"findings": [{"level": "warn", "cause": "The pool is slow."}]},
            evidence(),
            "as was warned before the start: The pool is slow.",
        ),
        ({"findings": [{"level": "notice", "cause": "x"}]}, evidence(), ""),
    ],
)
def test_what_is_likely(
    job: CopyJob, fields: dict[str, Any], seen: Evidence, words: str
) -> None:
    for name, value in {"capacity": SIZE, **fields}.items():
        setattr(job, name, value)
    guess = failures.likely(job, seen)
    assert words in guess
    assert bool(guess) is bool(words)
    assert not guess or guess.startswith("Likely cause")


def test_less_room_than_was_to_come_is_likely(job: CopyJob) -> None:
    job.capacity = SIZE
    live.store_progress({job.pk: Progress(2**20, 2**30, 0)})
    assert "1023 MiB were still to come" in failures.likely(job, evidence(free=2**27))


def test_a_guess_is_made_when_the_leftover_is_measured(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    alder.put_image(NEW, capacity=1)
    workers.sweep()
    Leftover.objects.update(noted_at=timezone.now() - timedelta(seconds=5))
    workers.sweep()
    job.refresh_from_db()
    assert job.likely_cause.startswith("Likely cause: the destination's size (1 bytes)")
    assert history(job)[-1] == job.likely_cause


def test_nobody_guesses_what_is_known(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    hear(job, FULL)
    alder.put_image(NEW, capacity=1)
    Leftover.objects.update(noted_at=timezone.now() - timedelta(seconds=5))
    workers.sweep()
    job.refresh_from_db()
    assert job.likely_cause == ""
