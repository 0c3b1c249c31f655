"""Limits: pure, and carried out by the sweep; a ready copy has none."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from jobs import actions, live, tasks
from jobs.actor import Actor
from jobs.hypervisor import Progress
from jobs.lifecycle import State
from jobs.limits import Watch, reached
from jobs.models import AuditEntry, CopyJob
from jobs.models.job import AtLimit
from tests.fakes import FakeHypervisor
from tests.unit.engine.conftest import history, outcomes, settled
from tests.workers import Workers

MIB = 2**20
STALLED = "There was no progress for 10m."
LATE = "It was not ready 1h after its start."

# --- Pure ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watch", "told"),
    [
        (Watch(0, 0, 1e9, 1e9), []),
        (Watch(600, 3600, 10, 599), []),
        (Watch(600, 3600, 10, 600), [STALLED]),
        (Watch(600, 3600, 3600, 3), [LATE]),
        (Watch(600, 3600, 3600, 600), [STALLED, LATE]),
        (Watch(600, 3600, 10, None), []),
    ],
)
def test_what_is_reached(watch: Watch, told: list[str]) -> None:
    assert reached(watch) == told


@given(
    st.builds(
        Watch,
        stall_limit=st.integers(0, 10**6),
        total_limit=st.integers(0, 10**6),
        running_for=st.floats(0, 10**7),
        standing_for=st.none() | st.floats(0, 10**7),
    )
)
def test_no_limit_is_reached_that_was_not_set(watch: Watch) -> None:
    told = reached(watch)
    possible = bool(watch.stall_limit and watch.standing_for is not None)
    assert len(told) <= possible + bool(watch.total_limit)
    assert len(set(told)) == len(told)


# --- The sweep ----------------------------------------------------------------------


@pytest.fixture
def copying(job: CopyJob, workers: Workers) -> CopyJob:
    workers.work()
    workers.sweep()
    assert settled(job).state == State.COPYING
    return job


def limit(job: CopyJob, *, stall: int = 0, total: int = 0, at: AtLimit) -> None:
    CopyJob.objects.update(stall_limit=stall, total_limit=total, at_limit=at)


def started(job: CopyJob, seconds: float) -> None:
    then = timezone.now() - timedelta(seconds=seconds)
    CopyJob.objects.filter(pk=job.pk).update(started_at=then)


def standing(job: CopyJob, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let so much time pass between the last sweep and the next one."""
    now = time.time()
    monkeypatch.setattr("jobs.live.time.time", lambda: now + seconds)


@pytest.mark.django_db(transaction=True)
class TestSweep:
    def test_a_limit_tells_people_once(
        self, copying: CopyJob, workers: Workers
    ) -> None:
        limit(copying, total=3600, at=AtLimit.FLAG)
        started(copying, 3599)
        workers.sweep()
        assert settled(copying).flagged == ""
        started(copying, 3601)
        for _ in range(3):
            workers.sweep()
        assert (settled(copying).state, copying.flagged) == (State.COPYING, LATE)
        assert history(copying).count(LATE) == 1
        entry = AuditEntry.objects.get(action="flag")
        assert (entry.actor, entry.outcome, entry.detail) == ("system", "done", LATE)
        assert "asked for at the request by olga" in entry.intent

    def test_both_limits_are_told(
        self, copying: CopyJob, workers: Workers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit(copying, stall=600, total=3600, at=AtLimit.FLAG)
        standing(copying, monkeypatch, 601)
        workers.sweep()
        assert settled(copying).flagged == STALLED
        started(copying, 3601)
        workers.sweep()
        assert settled(copying).flagged == f"{STALLED} {LATE}"

    def test_a_limit_cancels_where_that_was_asked_for(
        self,
        copying: CopyJob,
        alder: FakeHypervisor,
        web: str,
        workers: Workers,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limit(copying, stall=600, at=AtLimit.CANCEL)
        standing(copying, monkeypatch, 601)
        workers.sweep()
        assert (settled(copying).state, copying.flagged) == (State.CANCELLED, STALLED)
        assert alder.domains[web].disks["vda"].copy is None
        assert outcomes(copying)[-2:] == [
            ("cancel", "asked", "system"),
            ("cancel", "done", "system"),
        ]
        asked = AuditEntry.objects.get(action="cancel", outcome="asked")
        assert "asked for at the request by olga" in asked.intent

    def test_progress_starts_the_clock_again(
        self,
        copying: CopyJob,
        alder: FakeHypervisor,
        web: str,
        workers: Workers,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limit(copying, stall=600, at=AtLimit.CANCEL)
        standing(copying, monkeypatch, 601)
        alder.advance(web, "vda", 5 * MIB)
        workers.sweep()
        assert (settled(copying).state, copying.flagged) == (State.COPYING, "")

    def test_a_growing_end_is_no_progress(
        self,
        copying: CopyJob,
        alder: FakeHypervisor,
        web: str,
        workers: Workers,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limit(copying, stall=600, at=AtLimit.FLAG)
        standing(copying, monkeypatch, 601)
        alder.advance(web, "vda", 0, end=100 * MIB)
        workers.sweep()
        assert settled(copying).flagged == STALLED

    def test_losing_redis_cancels_nothing(
        self, copying: CopyJob, workers: Workers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit(copying, stall=600, at=AtLimit.CANCEL)
        standing(copying, monkeypatch, 601)
        live.client().flushall()
        workers.sweep()
        assert settled(copying).state == State.COPYING

    def test_a_qemu_that_does_not_answer_is_not_standing_still(
        self,
        copying: CopyJob,
        alder: FakeHypervisor,
        web: str,
        workers: Workers,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limit(copying, stall=600, at=AtLimit.CANCEL)
        standing(copying, monkeypatch, 601)
        alder.stuck.add(web)
        workers.sweep()
        assert settled(copying).state == State.COPYING

    def test_a_mirroring_copy_has_no_limits(
        self, mirroring: CopyJob, workers: Workers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit(mirroring, stall=600, total=3600, at=AtLimit.CANCEL)
        started(mirroring, 10**6)
        standing(mirroring, monkeypatch, 10**6)
        workers.sweep()
        assert (settled(mirroring).state, mirroring.flagged) == (State.MIRRORING, "")

    def test_a_copy_that_became_ready_in_the_last_moment(
        self,
        copying: CopyJob,
        alder: FakeHypervisor,
        web: str,
        workers: Workers,
        operator: Actor,
    ) -> None:
        """The limit decided, and the copy was ready before anybody could cancel it."""
        limit(copying, total=3600, at=AtLimit.CANCEL)
        started(copying, 3601)
        live.taken_up(f"observe:{copying.host_id}")
        tasks.observe_host(copying.host_id)
        assert settled(copying).state == State.CANCELLING
        alder.make_ready(web, "vda")
        workers.work()
        assert (settled(copying).state, copying.flagged) == (State.MIRRORING, "")
        assert "end" not in alder.calls
        assert outcomes(copying)[-1] == ("cancel", "failed", "system")
        actions.perform(actions.CANCEL, copying, operator)
        workers.work()
        assert settled(copying).state == State.CANCELLED, "a person may"


@pytest.mark.usefixtures("redis")
def test_the_last_rise_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("jobs.live.time.time", lambda: clock[0])
    for at, current in ((1000.0, 5), (1010.0, 5), (1020.0, 7), (1030.0, 7)):
        clock[0] = at
        live.store_progress({1: Progress(current, 10, 0)})
    assert live.progress_of([1])[1].rose_at == 1020.0


@pytest.mark.usefixtures("redis")
def test_numbers_that_another_version_kept_are_not_read() -> None:
    live.client().set("blockcopy:progress:1", '{"current": 5, "end": 10}')
    assert live.progress_of([1]) == {}
