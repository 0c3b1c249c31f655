"""A copy that is to start at a time: not before, once, late rather than never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone, translation

from jobs import actions, calls, schedule, tasks
from jobs.actor import Actor
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host
from jobs.preflight import CopyRequest
from jobs.said import localized
from tests.conftest import actor_of
from tests.fakes import FakeHypervisor
from tests.unit.engine.conftest import NEW, history, outcomes, settled
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)

TONIGHT = timedelta(hours=2)


def wanted(path: str = NEW, target: str = "vda") -> CopyRequest:
    disk = Disk.objects.get(target=target)
    return CopyRequest(disk, Destination("file", path, "qcow2"))


@pytest.fixture
def job(web: str, workers: Workers, host: Host, operator: Actor) -> CopyJob:
    """A copy that is to start in two hours."""
    tasks.sync_host(host.pk)
    start_at = timezone.now() + TONIGHT
    return actions.request_copy(wanted(), operator, start_at=start_at)


def let_time_pass(job: CopyJob, after: timedelta = timedelta(0)) -> None:
    """Make it `after` the job's start time."""
    CopyJob.objects.filter(pk=job.pk).update(start_at=timezone.now() - after)


# --- Not before --------------------------------------------------------------------


def test_it_waits(job: CopyJob, workers: Workers) -> None:
    assert (job.state, job.queued_at) == (State.REQUESTED, None)
    assert not workers.inbox
    workers.sweep()
    assert settled(job).state == State.REQUESTED
    assert list(job.events.values_list("new_state", flat=True)) == ["requested"]
    told = f"To start at {job.start_at:%Y-%m-%d %H:%M} UTC."
    assert told in history(job)[0]
    assert told in AuditEntry.objects.get(action="request").intent


def test_nobody_looks_at_its_host_for_it(job: CopyJob, workers: Workers) -> None:
    tasks.tick()
    assert "observe_host" not in [name for name, _ in workers.inbox]
    let_time_pass(job)
    tasks.tick()
    assert "observe_host" in [name for name, _ in workers.inbox]


def test_its_disk_and_its_destination_are_taken(
    job: CopyJob, alder: FakeHypervisor, operator: Actor
) -> None:
    with pytest.raises(actions.Invalid, match=f"Job {job.pk} is active on this disk"):
        actions.request_copy(wanted("/images/other.qcow2"), operator)
    alder.add_domain("mail", ("vdb",))
    tasks.sync_host(job.host_id)
    with pytest.raises(actions.Invalid, match=f"job {job.pk}"):
        actions.request_copy(wanted(target="vdb"), operator)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(0), "has passed"),
        (timedelta(days=-1), "has passed"),
        (timedelta(days=400), "more than a year away"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(
    web: str,
    workers: Workers,
    host: Host,
    operator: Actor,
    ahead: timedelta,
    words: str,
) -> None:
    tasks.sync_host(host.pk)
    with pytest.raises(actions.Invalid, match=words) as refused:
        actions.request_copy(wanted(), operator, start_at=timezone.now() + ahead)
    assert [found.field for found in refused.value.problems] == ["start_at"]
    assert not CopyJob.objects.exists()
    assert AuditEntry.objects.get(action="request").outcome == "refused"


# --- Once --------------------------------------------------------------------------


def test_it_starts_when_its_time_has_come(
    job: CopyJob, workers: Workers, alder: FakeHypervisor, web: str
) -> None:
    let_time_pass(job)
    workers.sweep()
    assert settled(job).state == State.COPYING
    assert alder.domains[web].disks["vda"].copy is not None
    assert job.queued_at is not None
    assert "was reached." in history(job)[1]
    assert outcomes(job) == [
        ("request", "asked", "olga"),
        ("start", "asked", "system"),
        ("start", "done", "system"),
    ]


def test_of_two_that_look_at_once_one_takes_it_up(job: CopyJob) -> None:
    let_time_pass(job)
    mine, theirs = CopyJob.objects.get(), CopyJob.objects.get()
    assert schedule.take_up(theirs)
    assert not schedule.take_up(mine)
    assert outcomes(job).count(("start", "asked", "system")) == 1


def test_before_its_time_nobody_takes_it_up(job: CopyJob) -> None:
    assert not schedule.take_up(job)


def test_a_lost_task_is_asked_for_again(job: CopyJob, workers: Workers) -> None:
    let_time_pass(job)
    tasks.observe_host(job.host_id)
    workers.inbox.clear()
    assert settled(job).state == State.QUEUED
    workers.sweep()
    assert settled(job).state == State.COPYING


def test_what_changed_meanwhile_is_seen_at_the_start(
    job: CopyJob, workers: Workers, alder: FakeHypervisor, web: str
) -> None:
    alder.stop(web)
    let_time_pass(job)
    workers.sweep()
    assert settled(job).state == State.FAILED
    assert "not running" in job.failure
    assert job.libvirt_id is None


# --- Late rather than never --------------------------------------------------------


def test_after_a_night_without_workers_it_is_late(
    job: CopyJob, workers: Workers
) -> None:
    """The ten minutes of a queued copy count from when somebody took it up."""
    let_time_pass(job, timedelta(hours=8))
    CopyJob.objects.update(requested_at=timezone.now() - timedelta(hours=20))
    workers.sweep()
    assert settled(job).state == State.COPYING
    late = job.events.get(new_state=State.QUEUED)
    assert (late.level, "it is 8 h late" in late.message) == ("warning", True)


def test_a_host_that_stays_silent_is_given_up(
    job: CopyJob, workers: Workers, alder: FakeHypervisor
) -> None:
    alder.unreachable = True
    let_time_pass(job)
    workers.sweep()
    assert settled(job).state == State.QUEUED
    long_ago = timezone.now() - calls.QUEUED_AT_MOST
    CopyJob.objects.filter(pk=job.pk).update(queued_at=long_ago)
    workers.sweep()
    assert settled(job).state == State.FAILED
    assert job.failure == calls.WAITED_TOO_LONG


# --- What people do meanwhile ------------------------------------------------------


def test_a_withdrawn_one_never_starts(
    job: CopyJob, workers: Workers, operator: Actor
) -> None:
    actions.perform(actions.CANCEL, job, operator)
    assert job.state == State.CANCELLED
    let_time_pass(job)
    workers.sweep()
    assert settled(job).state == State.CANCELLED
    assert outcomes(job) == [("request", "asked", "olga"), ("cancel", "done", "olga")]


def test_start_now(job: CopyJob, workers: Workers, operator: Actor) -> None:
    actions.perform(actions.START, job, operator, "the night is quiet")
    assert job.state == State.QUEUED
    assert [name for name, _ in workers.inbox] == ["start_job"]
    workers.work()
    let_time_pass(job)
    workers.sweep()
    assert settled(job).state == State.COPYING
    assert outcomes(job) == [
        ("request", "asked", "olga"),
        ("start", "asked", "olga"),
        ("start", "done", "system"),
    ]
    entry = AuditEntry.objects.get(action="start", outcome="asked")
    assert entry.reason == "the night is quiet"
    assert "now, and not only at its start time" in entry.intent


def test_start_now_is_for_who_may_start(job: CopyJob, victor: User) -> None:
    with pytest.raises(actions.Denied, match="does not allow you to start a copy"):
        actions.perform(actions.START, job, actor_of(victor))
    assert settled(job).state == State.REQUESTED


def test_start_now_of_what_does_not_wait(
    job: CopyJob, workers: Workers, operator: Actor
) -> None:
    mine, theirs = CopyJob.objects.get(), CopyJob.objects.get()
    actions.perform(actions.START, theirs, operator)
    with pytest.raises(actions.NotPossible, match="Somebody was first"):
        actions.perform(actions.START, mine, operator)
    assert actions.START.why_not(theirs) == "It is queued already."
    workers.work()
    assert actions.START.why_not(settled(job)) == "It does not wait for a start time."


# --- In words ----------------------------------------------------------------------


def test_a_time_is_told_in_the_readers_zone() -> None:
    moment = datetime(2026, 11, 27, 1, 0, tzinfo=UTC)
    told = schedule.moment_text(moment)
    with timezone.override("Europe/Berlin"):
        assert localized(told) == "2026-11-27 02:00 Europe/Berlin"
        # And in the log's own, wherever who asked is.
        assert told == schedule.moment_text(moment) == "2026-11-27 01:00 UTC"
    with timezone.override("Europe/Berlin"), translation.override("de"):
        assert localized(told) == "27.11.2026 02:00 Europe/Berlin"
