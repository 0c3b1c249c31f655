"""A finish with the guest frozen: what it is called, and that the guest is thawed."""

from __future__ import annotations

from typing import Any

import pytest

from jobs import actions, calls, freezing, live
from jobs.actor import Actor
from jobs.hypervisor import (
    AgentUnavailable,
    DomainObservation,
    HostUnreachable,
    NoAnswer,
    Refused,
)
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob
from jobs.models.job import Consistency
from tests.fakes import FakeHypervisor
from tests.unit.engine.conftest import history, outcomes, settled
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)

GUEST, CRASH = Consistency.GUEST, Consistency.CRASH


class Killed(BaseException):
    """kill -9."""


def die(*_: object) -> None:
    raise Killed


@pytest.fixture
def ready(mirroring: CopyJob, alder: FakeHypervisor, web: str) -> CopyJob:
    """A mirroring copy of a guest with an agent and two file systems."""
    alder.domains[web].file_systems = 2
    alder.calls.clear()
    return mirroring


def finish(job: CopyJob, operator: Actor, workers: Workers) -> CopyJob:
    actions.perform(actions.FINISH, job, operator, consistent=True)
    workers.work()
    return settled(job)


def test_frozen_until_the_mirror_has_ended(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    job = finish(ready, operator, workers)
    assert (job.state, job.consistency) == (State.COPIED, GUEST)
    verbs = [call for call in alder.calls if call in ("freeze", "end", "thaw")]
    assert verbs == ["freeze", "end", "thaw"]
    assert not alder.domains[web].frozen
    assert job.frozen_at is None
    assert any(
        "(2) were frozen while the mirror ended" in line for line in history(job)
    )
    assert Consistency.GUEST.label in job.left_behind


def test_the_end_is_awaited_before_the_thaw(
    ready: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`end` only asks: the mirror goes a few looks later."""
    looks: list[bool] = []
    disk = alder.domains[web].disks["vda"]
    copy, observe = disk.copy, alder.observe

    def slow_end(*_: object) -> None:
        alder.calls.append("end")

    def look(*asked: Any, **more: Any) -> DomainObservation:
        looks.append(alder.domains[web].frozen)
        if len(looks) == 5:
            disk.copy = None
        return observe(*asked, **more)

    monkeypatch.setattr(alder, "end", slow_end)
    actions.perform(actions.FINISH, ready, operator, consistent=True)
    monkeypatch.setattr(alder, "observe", look)
    assert copy is not None
    workers.work()
    assert looks[:5] == [False, True, True, True, True]
    assert settled(ready).consistency == GUEST


def test_a_mirror_that_does_not_end_in_time(
    ready: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hung destination must not hang the guest."""
    monkeypatch.setattr(freezing, "MIRROR_END_SECONDS", 0.1)
    monkeypatch.setattr(alder, "end", lambda identity: None)
    actions.perform(actions.FINISH, ready, operator, consistent=True)
    calls.end(ready.pk, State.FINISHING)
    assert not alder.domains[web].frozen
    assert settled(ready).consistency == CRASH
    assert any("not seen to end" in line for line in history(ready))


def test_without_an_agent_it_is_crash_consistent_and_said_so(
    mirroring: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    job = finish(mirroring, operator, workers)
    assert (job.state, job.consistency) == (State.COPIED, CRASH)
    told = [line for line in history(job) if "crash-consistent" in line]
    assert len(told) == 1
    assert "no guest agent answers" in told[0]
    assert "thaw" not in alder.calls
    assert Consistency.CRASH.label in job.left_behind


def test_a_guest_that_somebody_else_froze_stays_as_it_is(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    alder.domains[web].frozen = True
    job = finish(ready, operator, workers)
    assert (job.state, job.consistency) == (State.COPIED, CRASH)
    assert alder.domains[web].frozen
    assert "thaw" not in alder.calls


def test_thawed_by_somebody_else_in_between(
    ready: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = alder.end

    def thawed(*asked: Any) -> None:
        alder.domains[web].frozen = False
        end(*asked)

    monkeypatch.setattr(alder, "end", thawed)
    job = finish(ready, operator, workers)
    assert (job.state, job.consistency) == (State.COPIED, CRASH)
    assert any("not frozen any more" in line for line in history(job))


def test_a_refused_end_thaws_too(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    alder.refuse("end", Refused("access denied", code=88))
    job = finish(ready, operator, workers)
    assert (job.state, job.consistency) == (State.MIRRORING, "")
    assert not alder.domains[web].frozen
    assert "The guest's file systems were thawed again." in history(job)


@pytest.mark.parametrize("error", [NoAnswer("slow"), HostUnreachable("gone")])
def test_a_freeze_of_unknown_outcome_is_thawed_and_called_crash_consistent(
    ready: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def unheard(uuid: str) -> int:
        alder.domains[web].frozen = True
        raise error

    monkeypatch.setattr(alder, "freeze", unheard)
    job = finish(ready, operator, workers)
    assert (job.state, job.consistency) == (State.COPIED, CRASH)
    assert not alder.domains[web].frozen


def test_nobody_is_frozen_while_qemu_does_not_answer(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    """The end could not be asked for, and would be tried again each second."""
    alder.stuck.add(web)
    job = finish(ready, operator, workers)
    workers.sweep()
    assert (settled(job).state, job.frozen_at) == (State.FINISHING, None)
    assert "freeze" not in alder.calls
    alder.stuck.clear()
    workers.sweep()
    assert (settled(job).state, job.consistency) == (State.COPIED, GUEST)


# --- Left frozen --------------------------------------------------------------------


def kill_at(
    step: str, job: CopyJob, operator: Actor, workers: Workers, alder: FakeHypervisor
) -> None:
    """The worker that finishes does not survive `step`."""
    actions.perform(actions.FINISH, job, operator, consistent=True)
    with pytest.MonkeyPatch.context() as patched:
        if step == "end":
            patched.setattr(alder, "end", die)
            # The dead do not tidy up.
            patched.setattr(freezing, "_thaw_after", lambda hypervisor, job: 0)
        else:
            patched.setattr(freezing, "_thaw_after", die)
        with pytest.raises(Killed):
            workers.work()
    for key in live.client().scan_iter("blockcopy:lock:*"):
        live.client().delete(key)


def test_killed_between_freeze_and_end(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    kill_at("end", ready, operator, workers, alder)
    assert alder.domains[web].frozen
    workers.sweep()
    assert not alder.domains[web].frozen, "thawed before anything else"
    workers.sweep()
    job = settled(ready)
    assert (job.state, job.consistency) == (State.COPIED, GUEST), "finished after all"
    assert ("thaw", "done", "system") in outcomes(job)


def test_killed_between_end_and_thaw(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    kill_at("thaw", ready, operator, workers, alder)
    assert alder.domains[web].frozen
    workers.sweep()
    job = settled(ready)
    assert not alder.domains[web].frozen
    assert (job.state, job.consistency) == (State.COPIED, GUEST)
    assert job.frozen_at is None


def test_nobody_thaws_what_a_living_worker_has_frozen(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    kill_at("end", ready, operator, workers, alder)
    with live.exclusively(live.call_lock(ready.pk)):
        workers.sweep()
        assert alder.domains[web].frozen
    workers.sweep()
    assert not alder.domains[web].frozen


def test_a_guest_that_cannot_be_thawed_is_told_once_and_tried_again(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    kill_at("thaw", ready, operator, workers, alder)
    for _ in range(3):
        live.taken_up(f"thaw:{ready.pk}")
        alder.refuse("thaw", AgentUnavailable("not connected", code=86))
        workers.sweep()
        assert settled(ready).frozen_at is not None
    assert history(ready).count(freezing.STILL_FROZEN) == 1
    assert AuditEntry.objects.filter(action="thaw", outcome="failed").count() == 1
    live.taken_up(f"thaw:{ready.pk}")
    workers.sweep()
    assert not alder.domains[web].frozen
    assert settled(ready).state == State.COPIED


def test_an_ended_job_is_thawed_too(
    ready: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    kill_at("thaw", ready, operator, workers, alder)
    CopyJob.objects.update(state=State.COPIED)
    workers.sweep()
    assert not alder.domains[web].frozen
    assert settled(ready).frozen_at is None
    alder.calls.clear()
    workers.sweep()
    assert alder.calls == [], "then nothing is left to look at"


@pytest.mark.parametrize("ending", ["stop", "restart", "vanish"])
def test_a_run_that_is_over_has_nothing_to_thaw(
    ready: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
    ending: str,
) -> None:
    kill_at("end", ready, operator, workers, alder)
    getattr(alder, ending)(web)
    alder.calls.clear()
    workers.sweep()
    workers.sweep()
    assert "thaw" not in alder.calls
    assert (settled(ready).state, ready.frozen_at) == (State.LOST, None)
