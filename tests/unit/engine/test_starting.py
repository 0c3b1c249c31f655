"""From a queued job to an accepted call, and a worker killed between any two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import actions, calls, live, starting, tasks
from jobs.actor import Actor
from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationUnusable,
    HostUnreachable,
    NoAnswer,
    Started,
)
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Leftover
from jobs.preflight import CopyRequest, Finding, Level
from jobs.resolve import START_SENT_SECONDS
from tests.fakes import FakeHypervisor
from tests.unit.engine.conftest import NEW, history, outcomes, settled
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)

VOLUME = Destination("volume", pool="images", volume="new.qcow2", format="qcow2")
MADE = "/images/new.qcow2"


class Killed(BaseException):
    """kill -9: nothing that the worker would have done afterwards is done."""


def say(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(starting, "preflight", lambda request, evidence: findings)


def die(*_: object, **__: object) -> None:
    raise Killed


def kill_in(step: Callable[[], None]) -> None:
    """Run a step that its worker does not survive; its lock is gone soon after."""
    with pytest.raises(Killed):
        step()
    for key in live.client().scan_iter("blockcopy:lock:*"):
        live.client().delete(key)


def test_what_the_call_is_made_with_is_written_down_before(
    job: CopyJob, alder: FakeHypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    CopyJob.objects.update(bandwidth=2**21)
    monkeypatch.setattr(alder, "start", die)
    kill_in(lambda: calls.start(job.pk))
    assert (settled(job).state, job.bandwidth_sent) == (State.STARTING, 2**21)


# --- Judged again -----------------------------------------------------------------


def test_what_the_host_says_is_kept_with_the_job(
    job: CopyJob, workers: Workers
) -> None:
    workers.work()
    assert settled(job).state == State.COPYING
    assert {finding["rule"] for finding in job.findings} >= {"domain_is_running"}


def test_where_the_guest_is_by_now_is_kept_with_the_job(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody pivoted after the request, onto another format."""
    say(monkeypatch)
    disk = next(iter(alder.domains.values())).disks[job.disk]
    disk.source, disk.format = "/images/elsewhere.raw", "raw"
    workers.work()
    begun = settled(job)
    assert (begun.state, begun.source) == (State.COPYING, "/images/elsewhere.raw")
    assert begun.source_format == "raw"


def test_a_stop_ends_it_with_its_cause(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(
        monkeypatch,
        Finding("size_fits", Level.STOP, "The sizes differ.", "Make them equal."),
        Finding("is_sparse", Level.WARN, "It may become thick."),
    )
    workers.work()
    assert settled(job).state == State.FAILED
    assert (job.failure, job.remedy) == ("The sizes differ.", "Make them equal.")
    assert history(job)[-1] == "Nothing was started: The sizes differ."
    assert outcomes(job)[-1] == ("start", "failed", "system")
    assert "start" not in alder.calls
    assert len(job.findings) == 2


def test_a_warning_that_nobody_accepted_ends_it(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(monkeypatch, Finding("is_sparse", Level.WARN, "It may become thick."))
    workers.work()
    assert settled(job).failure == "It may become thick."
    assert "accept the warning" in job.remedy
    assert "start" not in alder.calls


def test_an_accepted_warning_does_not(
    job: CopyJob, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, Finding("is_sparse", Level.WARN, "It may become thick."))
    CopyJob.objects.update(accepted=["is_sparse"])
    workers.work()
    assert settled(job).state == State.COPYING


def test_a_host_that_falls_silent_over_it_is_asked_again(
    job: CopyJob, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.refuse("examine", HostUnreachable("gone"))
    workers.work()
    assert settled(job).state == State.QUEUED
    workers.sweep()
    assert settled(job).state == State.COPYING


# --- The volume -------------------------------------------------------------------


@pytest.fixture
def volume_job(
    web: str, job: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> CopyJob:
    """A copy into a volume that has to be made first, requested and not started."""
    actions.perform(actions.CANCEL, job, operator)
    workers.inbox.clear()
    alder.add_pool("images", "/images")
    tasks.sync_host(job.host_id)
    wanted = CopyRequest(Disk.objects.get(), VOLUME)
    return actions.request_copy(wanted, operator)


def test_a_volume_is_made_and_written_into(
    volume_job: CopyJob, alder: FakeHypervisor, workers: Workers, web: str
) -> None:
    workers.work()
    job = settled(volume_job)
    assert job.state == State.COPYING
    assert job.created_volume == {"pool": "images", "name": "new.qcow2", "path": MADE}
    assert job.destination == MADE
    assert f'file="{MADE}"' in job.destination_xml
    assert alder.images[MADE].capacity == alder.domains[web].disks["vda"].capacity
    made = [line for line in history(job) if "olume" in line]
    assert made == [
        "Creating the volume new.qcow2 in pool images.",
        f"The volume was created: {MADE}.",
    ]
    assert ("create volume", "done", "system") in outcomes(job)


def test_a_volume_is_asked_for_only_once_it_is_written_down(
    volume_job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def create(*asked: Any) -> str:
        seen.append(settled(volume_job).volume_asked_at)
        return MADE

    monkeypatch.setattr(alder, "create_volume", create)
    alder.files.add(MADE)
    workers.work()
    assert seen != [None]


def test_a_volume_that_could_not_be_made_leaves_nothing(
    volume_job: CopyJob, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.refuse("create_volume", DestinationUnusable("no space", code=38))
    workers.work()
    assert settled(volume_job).state == State.FAILED
    assert volume_job.libvirt_text == "no space"
    assert not Leftover.objects.exists()


@pytest.mark.parametrize("error", [NoAnswer("slow"), HostUnreachable("gone")])
def test_a_volume_whose_answer_was_not_heard_is_left_alone(
    volume_job: CopyJob, alder: FakeHypervisor, workers: Workers, error: Exception
) -> None:
    alder.refuse("create_volume", error)  # type: ignore[arg-type]
    workers.work()
    assert settled(volume_job).state == State.FAILED
    assert "not known" in volume_job.failure
    left = Leftover.objects.get()
    assert (left.kind, left.ours, left.location) == ("unknown", False, MADE)
    assert left.removal_asked_at is None, "it may be somebody else's"


def test_killed_while_the_volume_was_being_made(
    volume_job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(alder, "create_volume", die)
        kill_in(workers.work)
    assert settled(volume_job).state == State.QUEUED
    workers.sweep()
    assert settled(volume_job).state == State.FAILED
    assert "not known" in volume_job.failure
    assert Leftover.objects.get().kind == "unknown"
    assert "start" not in alder.calls


def test_killed_between_the_volume_and_the_start(
    volume_job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(starting, "_write_intent", die)
        kill_in(workers.work)
    assert settled(volume_job).created_volume is not None
    workers.sweep()
    assert settled(volume_job).state == State.COPYING
    assert alder.calls.count("create_volume") == 1


def test_a_start_refused_after_the_volume_was_made_gives_it_up(
    volume_job: CopyJob, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.refuse("start", DestinationUnusable("locked", code=1))
    workers.work()
    assert settled(volume_job).state == State.FAILED
    left = Leftover.objects.get()
    assert (left.location, left.ours) == (MADE, True)
    assert left.removal_asked_by == "system"


def test_cancelled_while_its_volume_was_being_made(
    volume_job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = alder.create_volume

    def cancelled(*asked: Any) -> str:
        job = CopyJob.objects.get(pk=volume_job.pk)
        actions.perform(actions.CANCEL, job, operator)
        assert Leftover.objects.get().kind == "unknown"
        return create(*asked)

    monkeypatch.setattr(alder, "create_volume", cancelled)
    workers.work()
    assert settled(volume_job).state == State.CANCELLED
    assert "start" not in alder.calls
    left = Leftover.objects.get()
    assert (left.kind, left.ours, left.location) == ("partial", True, MADE)


# --- One place, one job -----------------------------------------------------------


def test_two_requests_for_one_place_at_once(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both pass preflight; the database lets one start."""
    workers.inbox.clear()
    alder.add_domain("db")
    tasks.sync_host(job.host_id)
    monkeypatch.setattr("jobs.actions.copies.problems", lambda request: [])
    monkeypatch.setattr(starting, "preflight", lambda request, evidence: [])
    disk = Disk.objects.get(domain__name="db")
    same = Destination("file", NEW, "qcow2")
    rival = actions.request_copy(CopyRequest(disk, same), operator)
    calls.start(job.pk)
    calls.start(rival.pk)
    assert settled(job).state == State.COPYING
    assert settled(rival).state == State.FAILED
    assert f"destination of job {job.pk}" in rival.failure
    assert alder.calls.count("start") == 1
    workers.inbox.clear()
    CopyJob.objects.filter(pk=job.pk).update(state=State.FAILED)
    alder.files.discard(NEW)
    again = actions.request_copy(CopyRequest(disk, same), operator)
    calls.start(again.pk)
    assert settled(again).state == State.COPYING, "an ended job holds no place"


# --- Between the intent and the call ----------------------------------------------


@pytest.fixture
def killed(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> CopyJob:
    """Its worker was killed after the intent was written and before the call."""
    with monkeypatch.context() as patched:
        patched.setattr(alder, "start", die)
        kill_in(workers.work)
    assert settled(job).state == State.STARTING
    return job


def age(job: CopyJob, seconds: float) -> None:
    then = timezone.now() - timedelta(seconds=seconds)
    CopyJob.objects.filter(pk=job.pk).update(started_at=then)


def test_a_killed_start_is_known_after_ten_seconds(
    killed: CopyJob, workers: Workers
) -> None:
    assert START_SENT_SECONDS < 10
    age(killed, START_SENT_SECONDS - 1)
    workers.sweep()
    assert settled(killed).state == State.STARTING, "it may be under way"
    age(killed, START_SENT_SECONDS + 1)
    workers.sweep()
    assert settled(killed).state == State.FAILED
    assert "did not begin" in killed.failure


def test_a_call_that_the_host_is_still_at_is_waited_for(
    killed: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    """The start takes its time on the host: QEMU answers nobody meanwhile."""
    alder.stuck.add(web)
    age(killed, 60)
    workers.sweep()
    assert settled(killed).state == State.STARTING
    alder.stuck.clear()
    alder.start(web, "vda", killed.target_destination, CopyOptions())
    workers.sweep()
    assert settled(killed).state == State.COPYING


def test_a_call_that_takes_effect_between_two_questions(
    killed: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No mirror was seen, the host was at it, then QEMU answers: it is looked again."""
    ask = alder.progress_many

    def late(*asked: Any) -> Any:
        monkeypatch.setattr(alder, "progress_many", ask)
        alder.start(web, "vda", killed.target_destination, CopyOptions())
        return ask(*asked)

    monkeypatch.setattr(alder, "progress_many", late)
    age(killed, 60)
    workers.sweep()
    assert settled(killed).state == State.COPYING


def test_a_running_call_is_not_disturbed(
    killed: CopyJob, alder: FakeHypervisor, workers: Workers
) -> None:
    """Its lock is held: the worker is alive, and the call may take a minute."""
    age(killed, 30)
    with live.exclusively(live.call_lock(killed.pk)) as mine:
        assert mine
        alder.calls.clear()
        workers.sweep()
    assert settled(killed).state == State.STARTING


def test_a_cancel_of_a_killed_start_does_not_wait_long_either(
    killed: CopyJob, workers: Workers, operator: Actor
) -> None:
    actions.perform(actions.CANCEL, killed, operator)
    age(killed, START_SENT_SECONDS + 1)
    workers.sweep()
    assert settled(killed).state == State.CANCELLED


def test_a_start_that_was_written_down_too_slowly_is_not_called(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look may have taken it for one that never was by then."""
    monkeypatch.setattr(
        starting, "_seconds_since_intent", lambda job: starting.CALL_WITHIN_SECONDS + 1
    )
    workers.work()
    assert settled(job).state == State.FAILED
    assert "too slow" in job.failure
    assert "start" not in alder.calls


def test_the_options_of_a_job_reach_the_host(
    job: CopyJob,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[CopyOptions] = []
    start = alder.start

    def keep(uuid: str, disk: str, to: Destination, options: CopyOptions) -> Started:
        sent.append(options)
        return start(uuid, disk, to, options)

    monkeypatch.setattr(alder, "start", keep)
    wanted = CopyOptions(synchronous_writes=True, bandwidth=2**20, granularity=65536)
    CopyJob.objects.update(synchronous_writes=True, bandwidth=2**20, granularity=65536)
    workers.work()
    assert sent == [replace(wanted, reuse_external=False)]
