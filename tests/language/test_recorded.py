"""Recorded sentences: English in the row, in the reader's language on pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from jobs import failures, limits, removal, starting
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Leftover
from jobs.outcome import ending_fields
from jobs.resolve import Decision, Side
from jobs.transition import move
from tests.conftest import signed_in
from tests.console.rows import add_leftover, job_in, text_of
from tests.language.marks import marking
from tests.language.reading import GERMAN, read
from tests.unit.engine.test_failures import evidence

pytestmark = pytest.mark.usefixtures("redis")
GIB = 2**30


@pytest.fixture
def copying(disk: Disk) -> CopyJob:
    return job_in(State.COPYING, disk, capacity=10 * GIB, total_limit=600)


@pytest.fixture
def marked() -> Iterator[None]:
    with marking():
        yield


def end(job: CopyJob, new: State, message: str = "", side: Side = Side.SOURCE) -> None:
    """End `job` as a look does."""
    fields = ending_fields(job, new, message, "", None, side)
    assert move(job, new, message or "Recorded.", actor=SYSTEM, **fields)


def in_german(reader: User, job: CopyJob, page: str = "") -> Any:
    address = page or reverse("job", args=[job.pk])
    return signed_in(reader).get(address, headers=GERMAN)


def test_a_failure_is_told_whole(olga: User, copying: CopyJob) -> None:
    CopyJob.objects.filter(pk=copying.pk).update(
        qemu_text="No space left on device", last_event="failed"
    )
    decision = failures.explained(copying, Decision(State.FAILED, by_us=False))
    end(copying, State.FAILED, decision.reason)

    copying.refresh_from_db()
    assert copying.failure == (
        "The destination's storage is full (QEMU: No space left on device). The guest "
        "runs on its source."
    )
    words = "Der Speicher des Ziels ist voll (QEMU: No space left on device). Der Gast"
    assert words in text_of(in_german(olga, copying))
    assert words in text_of(in_german(olga, copying, reverse("overview")))


def test_a_limit_and_what_is_left(olga: User, copying: CopyJob) -> None:
    limits.enforce([copying])
    assert copying.flagged == "It was not ready 10m after its start."
    assert "10m nach dem Start war" in text_of(in_german(olga, copying))
    assert "10m nach dem Start" in text_of(
        in_german(olga, copying, reverse("overview"))
    )

    end(copying, State.CANCELLING)
    end(copying, State.CANCELLED)

    copying.refresh_from_db()
    assert copying.left_behind == (
        f"{copying.destination} stays on alder, partial (of a 10 GiB disk)."
    )
    page = text_of(in_german(olga, copying))
    assert "bleibt unvollständig auf alder (von einem Datenträger mit 10 GiB)." in page


def test_an_older_record_is_shown_as_it_is(olga: User, copying: CopyJob) -> None:
    """Before the sentences were kept, and where a text was changed since."""
    CopyJob.objects.filter(pk=copying.pk).update(flagged="It took 9m.", said=None)
    assert "It took 9m." in text_of(in_german(olga, copying))
    said = {"flagged": ["It took %(time)s.", {"time": "8m"}]}
    CopyJob.objects.filter(pk=copying.pk).update(said=said)
    assert "It took 9m." in text_of(in_german(olga, copying))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.usefixtures("marked")
def test_whatever_stays_goes_through_gettext(
    olga: User, copying: CopyJob, side: Side, ready: bool
) -> None:
    copying.ready_at = timezone.now() if ready else None
    end(copying, State.LOST, side=side)
    read(in_german(olga, copying))


@pytest.mark.usefixtures("marked")
def test_why_nothing_was_started(olga: User, disk: Disk) -> None:
    job = job_in(State.QUEUED, disk, volume_asked_at=timezone.now())
    nobody: Any = None  # no host is asked for that
    assert not starting.start(nobody, job)
    assert job.failure.startswith(f"Whether the volume {job.destination} was created")
    read(in_german(olga, job))


def test_why_a_leftover_stays_and_how_it_went(ada: User, disk: Disk) -> None:
    leftover = add_leftover(disk, removal_asked_at=timezone.now())
    removal.refuse(leftover, removal._not_carried_out(leftover))
    page = text_of(in_german(ada, leftover.job, reverse("leftovers")))
    assert "alder konnte nicht rechtzeitig gebeten werden, es zu entfernen." in page
    leftover.refresh_from_db()
    assert leftover.refusal == "alder could not be asked to remove it in time."

    Leftover.objects.filter(pk=leftover.pk).update(removal_asked_at=timezone.now())
    leftover.refresh_from_db()
    removal._removed(leftover)
    leftover.refresh_from_db()
    assert leftover.closing == f"{leftover.location} on alder was removed (3 GiB)."
    page = text_of(in_german(ada, leftover.job))
    assert f"{leftover.location} auf alder wurde entfernt (3 GiB)." in page


def test_the_likely_cause(olga: User, disk: Disk) -> None:
    failed = job_in(State.FAILED, disk, failure="Recorded.")
    failures.keep_guess(failed, evidence(exists=False))
    page = text_of(in_german(olga, failed))
    assert f"unter {failed.destination} ist jetzt nichts." in page
