"""What the listener heard of a mirror's end outlives whoever was told of it."""

from __future__ import annotations

import time

import pytest

from jobs import actions, heard, live
from jobs.actor import Actor
from jobs.heard import Ending, Mirrored
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.resolve import EVIDENCE_SECONDS
from tests.fakes import FakeHypervisor
from tests.unit.engine.conftest import much_later, settled
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


def keep(job: CopyJob, status: str, reason: str = "", *, ago: float = 0) -> None:
    """What the listener keeps beside the task that tells it, which is lost here."""
    mirrored = Mirrored(job.host_id, job.domain_uuid, job.disk)
    heard.keep({mirrored: Ending(status, time.time() - ago, reason)})


@pytest.fixture
def finishing(
    mirroring: CopyJob, alder: FakeHypervisor, operator: Actor, workers: Workers
) -> CopyJob:
    """Its mirror was ended, and the worker that had it ended did not hear of it."""
    alder.lose_answer("end")
    actions.perform(actions.FINISH, mirroring, operator)
    workers.work()
    job = settled(mirroring)
    assert (job.state, job.end_accepted, job.last_event) == (State.FINISHING, False, "")
    return job


def test_what_was_heard_vouches_for_the_copy(
    finishing: CopyJob, workers: Workers
) -> None:
    keep(finishing, "canceled")
    workers.sweep()
    assert settled(finishing).state == State.COPIED
    assert finishing.last_event == "canceled"


def test_it_is_waited_for(finishing: CopyJob, workers: Workers) -> None:
    workers.sweep()
    assert settled(finishing).state == State.FINISHING
    keep(finishing, "canceled")
    workers.sweep()
    assert settled(finishing).state == State.COPIED


def test_where_nobody_heard_anything_nothing_vouches(
    finishing: CopyJob, workers: Workers
) -> None:
    much_later(finishing)
    workers.sweep()
    assert settled(finishing).state == State.FAILED
    assert "vouched" in finishing.failure


def test_a_failure_is_told_with_its_reason(
    finishing: CopyJob, workers: Workers
) -> None:
    keep(finishing, "failed", "No space left on device")
    workers.sweep()
    assert settled(finishing).state == State.FAILED
    assert "No space left on device" in finishing.failure


def test_the_end_of_an_earlier_mirror_vouches_for_nothing(
    finishing: CopyJob, workers: Workers
) -> None:
    keep(finishing, "canceled", ago=EVIDENCE_SECONDS + 2)
    much_later(finishing)
    workers.sweep()
    assert settled(finishing).state == State.FAILED


def test_a_copy_that_failed_alone_has_its_reason_too(
    mirroring: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    keep(mirroring, "failed", "No space left on device")
    workers.sweep()
    assert settled(mirroring).qemu_text == "No space left on device"
    assert "storage is full" in mirroring.failure


def test_what_redis_lost_is_kept_again_and_nothing_newer_is_overwritten(
    mirroring: CopyJob,
) -> None:
    mirrored = Mirrored(mirroring.host_id, mirroring.domain_uuid, mirroring.disk)
    old, new = Ending("canceled", 1.0), Ending("failed", 2.0, "I/O error")
    heard.keep({mirrored: new})
    heard.keep({mirrored: old}, again=True)
    assert heard.endings_of([mirroring]) == {mirroring.pk: new}
    live.client().flushdb()
    heard.keep({mirrored: new}, again=True)
    assert heard.endings_of([mirroring]) == {mirroring.pk: new}
