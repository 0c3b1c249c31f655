"""`blockcopy job pivot|finish|cancel|speed`."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs import audit
from jobs.actor import SYSTEM
from jobs.audit import Outcome
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk
from jobs.transition import move
from tests.cli.conftest import Run, Script
from tests.cli.copies import START, TO, becomes, mirroring, the_job

pytestmark = pytest.mark.usefixtures("redis")


@pytest.mark.parametrize(
    ("verb", "asked", "end"),
    [
        ("pivot", State.PIVOTING, State.PIVOTED),
        ("finish", State.FINISHING, State.COPIED),
        ("cancel", State.CANCELLING, State.CANCELLED),
    ],
)
def test_a_verb_writes_the_intent_and_waits_for_its_end(
    blockcopy: Run,
    job: CopyJob,
    meanwhile: Script,
    verb: str,
    asked: State,
    end: State,
) -> None:
    mirroring(job)
    states: list[str] = []
    meanwhile(lambda: states.append(the_job().state), becomes(end))

    done = blockcopy("job", verb, job.pk, "--reason", "tonight", "--wait", "--json")

    assert (done.status, done.json["state"]) == (0, end)
    assert states == [asked]
    entry = AuditEntry.objects.get(action=verb)
    assert (entry.outcome, entry.reason) == ("asked", "tonight")


def test_a_verb_without_wait_tells_the_consequence(
    blockcopy: Run, job: CopyJob
) -> None:
    mirroring(job)

    done = blockcopy("job", "pivot", job.pk)

    assert done.status == 0
    assert f"web will run from {TO}" in done.out
    assert the_job().state == State.PIVOTING


@pytest.mark.parametrize(
    ("verb", "asked"), [("pivot", "pivoting"), ("finish", "finishing")]
)
def test_a_verb_that_the_host_refuses_is_a_failure(
    blockcopy: Run, job: CopyJob, meanwhile: Script, verb: str, asked: str
) -> None:
    mirroring(job)
    meanwhile(becomes(State.MIRRORING))

    done = blockcopy("job", verb, job.pk, "--wait")

    assert done.status == 1
    assert f"Job {job.pk}: mirroring. It is mirroring." in done.err


@pytest.mark.parametrize("verb", ["pivot", "finish"])
def test_a_verb_before_ready_changes_nothing(
    blockcopy: Run, job: CopyJob, verb: str
) -> None:
    done = blockcopy("job", verb, job.pk, "--json")

    assert done.status == 1
    assert "in sync" in done.json["error"]
    assert the_job().state == State.COPYING
    assert AuditEntry.objects.get(action=verb).outcome == "refused"


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
def test_a_viewer_may_not(
    blockcopy: Run, job: CopyJob, victor: User, verb: str
) -> None:
    mirroring(job)

    done = blockcopy("job", verb, job.pk, "--as", "victor")

    assert done.status == 1
    assert f"Your role does not allow you to {verb}" in done.err
    assert the_job().state == State.MIRRORING


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
def test_an_ended_job_stays_ended(blockcopy: Run, job: CopyJob, verb: str) -> None:
    move(job, State.LOST, "Gone.", actor=SYSTEM)

    done = blockcopy("job", verb, job.pk)

    assert done.status == 1
    assert "has ended" in done.err


@pytest.mark.parametrize(
    "words",
    [
        *(("job", act, 4711) for act in ("show", "watch", "pivot", "finish", "cancel")),
        ("job", "speed", 4711, "1MiB"),
    ],
)
def test_a_job_that_is_not_there(blockcopy: Run, words: tuple[object, ...]) -> None:
    done = blockcopy(*words, "--json")

    assert done.status == 1
    assert done.json["error"] == "There is no job 4711."


def test_a_queued_job_is_cancelled_at_once(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    blockcopy(*START, "--to", TO)
    meanwhile()

    done = blockcopy("job", "cancel", the_job().pk, "--wait", "--json")

    assert (done.status, done.json["state"]) == (0, "cancelled")


def test_speed_is_asked_for_in_bytes(blockcopy: Run, job: CopyJob) -> None:
    done = blockcopy("job", "speed", job.pk, "1.5MiB/s", "--reason", "lunch", "--json")

    assert done.status == 0
    assert done.json["asked_bandwidth"] == 1572864
    entry = AuditEntry.objects.get(action="speed")
    assert (entry.outcome, entry.reason) == ("asked", "lunch")
    assert "1572864" in entry.intent


@pytest.mark.parametrize(("word", "status"), [("-5", 2), ("fast", 2), ("99999PiB", 1)])
def test_a_speed_that_makes_no_sense(
    blockcopy: Run, job: CopyJob, word: str, status: int
) -> None:
    assert blockcopy("job", "speed", job.pk, word).status == status
    assert not AuditEntry.objects.filter(outcome="asked").exists()


def test_the_speed_of_an_ended_job_stays(blockcopy: Run, job: CopyJob) -> None:
    move(job, State.LOST, "Gone.", actor=SYSTEM)

    done = blockcopy("job", "speed", job.pk, "1MiB")

    assert done.status == 1
    assert "does not run" in done.err


def test_a_viewer_may_not_change_the_speed(
    blockcopy: Run, job: CopyJob, victor: User
) -> None:
    done = blockcopy("job", "speed", job.pk, "1MiB", "--as", "victor")

    assert done.status == 1
    assert "does not allow" in done.err


@pytest.mark.parametrize(
    ("outcome", "detail", "status", "says"),
    [
        (
            Outcome.DONE,
            "1048576 bytes/s in force",
            0,
            "is now 1 MiB/s (1048576 bytes/s).",
        ),
        (Outcome.FAILED, "No job runs on vda.", 1, "not changed: No job runs on vda."),
    ],
)
def test_speed_with_wait_tells_what_is_in_force(
    blockcopy: Run,
    job: CopyJob,
    meanwhile: Script,
    outcome: Outcome,
    detail: str,
    status: int,
    says: str,
) -> None:
    def worker() -> None:
        CopyJob.objects.update(bandwidth=2**20)
        audit.record(SYSTEM, "speed", job, outcome, detail=detail)

    meanwhile(worker)

    done = blockcopy("job", "speed", job.pk, "1.0000001MiB", "--wait")

    assert done.status == status
    assert says in done.out + done.err


def test_speed_with_wait_does_not_take_an_earlier_answer(
    blockcopy: Run, job: CopyJob
) -> None:
    audit.record(SYSTEM, "speed", job, Outcome.DONE, detail="earlier")

    words = ("1MiB", "--wait", "--timeout", "0.01")
    done = blockcopy("job", "speed", job.pk, *words)

    assert done.status == 3
    assert "still asked for" in done.err


@pytest.mark.parametrize(
    ("word", "asked", "expected"),
    [
        (None, False, False),
        (None, True, True),
        ("--consistent", False, True),
        ("--no-consistent", True, False),
    ],
)
def test_finish_says_anew_whether_the_guest_is_frozen(
    blockcopy: Run, job: CopyJob, word: str | None, asked: bool, expected: bool
) -> None:
    CopyJob.objects.update(consistent=asked)
    job.refresh_from_db()
    mirroring(job)

    done = blockcopy("job", "finish", job.pk, *([word] if word else []))

    assert done.status == 0
    assert the_job().consistent is expected
    assert ("frozen" in done.out) is expected
