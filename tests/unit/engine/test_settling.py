"""What a look settles: the tasks, by hand, against a host in memory."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from jobs import actions, calls, live, reconcile, starting, tasks
from jobs.actor import Actor
from jobs.hypervisor import (
    AddressError,
    Destination,
    DestinationExists,
    IdentityMismatch,
    NoAnswer,
    PivotFailed,
    Refused,
    Started,
)
from jobs.leftovers import proof
from jobs.lifecycle import State, WhenReady
from jobs.models import AuditEntry, CopyJob, Disk, Host, Leftover
from jobs.preflight import CopyRequest, problems
from jobs.resolve import EVIDENCE_SECONDS, POLICY_RETRY_SECONDS
from jobs.strangers import foreign_copies
from tests.fakes import FakeCopy, FakeHypervisor
from tests.unit.engine.conftest import (
    NEW,
    history,
    much_later,
    outcomes,
    settled,
)
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "/images/other.qcow2"

# --- What is refused before anything is asked of the host ----------------------------


def test_the_second_of_two_requests_at_once_is_in_the_audit_log(
    job: CopyJob, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pass preflight; the database lets one in."""
    monkeypatch.setattr("jobs.actions.copies.problems", lambda request: [])
    other = Destination("file", "/images/other.qcow2", "qcow2")
    with pytest.raises(actions.Invalid, match="just started"):
        actions.request_copy(CopyRequest(Disk.objects.get(), other), operator)
    assert AuditEntry.objects.get(action="request", outcome="refused").actor == "olga"


def test_an_impossible_bandwidth_is_in_the_audit_log(
    mirroring: CopyJob, operator: Actor
) -> None:
    with pytest.raises(actions.Invalid):
        actions.set_speed(mirroring, -5, operator)
    assert ("speed", "refused", "olga") in outcomes(mirroring)


# --- A look and the answer to a start at the same time --------------------------------


def test_a_beginning_is_told_once(
    job: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sweep has read the job; then the host's answer comes, then it sees the copy."""
    accepted = starting._accepted

    def overtaken(late: CopyJob, started: Started) -> None:
        stale = CopyJob.objects.get(pk=job.pk)
        look = reconcile.Look(alder.observe(web), timezone.now(), call_running=True)
        accepted(late, started)
        reconcile.settle(alder, stale, look)

    monkeypatch.setattr("jobs.starting._accepted", overtaken)
    workers.work()
    assert settled(job).state == State.COPYING
    assert outcomes(job).count(("start", "done", "system")) == 1


# --- The guest's run ends while a pivot is under way ---------------------------------


@pytest.fixture
def pivoting(mirroring: CopyJob, workers: Workers, operator: Actor) -> CopyJob:
    """A pivot was asked for, and the worker was killed before it said anything."""
    actions.perform(actions.PIVOT, mirroring, operator)
    workers.inbox.clear()
    return mirroring


def test_a_guest_restarted_after_the_pivot(
    pivoting: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.pivot(pivoting.identity)
    alder.restart(web)
    workers.sweep()
    assert settled(pivoting).state == State.PIVOTED
    assert pivoting.left_behind.startswith("The old source /images/web-vda.qcow2")


def test_a_guest_that_stopped_in_a_pivot_may_be_on_either_side(
    pivoting: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    """libvirt's daemon killed in a pivot says "off" of a guest that runs on."""
    alder.stop(web)
    workers.sweep()
    assert settled(pivoting).state == State.LOST
    assert "is not known" in pivoting.failure
    assert "no QEMU process" in pivoting.remedy
    assert "which of them the guest used last is not known" in pivoting.left_behind

    # A host that was started anew gives its guests the same numbers again.
    again = alder.domains[web]
    again.domain_id, again.state = pivoting.libvirt_id, "running"
    tasks.sync_host(pivoting.host_id)
    assert _why_no_copy() == [], "libvirt knows where this run is"


def test_libvirt_is_not_believed_after_a_pivot_that_nobody_heard_of(
    pivoting: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    """Killed in the pivot, its daemon shows the source while the guest runs from the
    destination; a copy of that source would be an old one."""
    alder.fail_copy(web, "vda")
    workers.sweep()
    assert settled(pivoting).state == State.PIVOTING
    _wait_for_evidence()
    workers.sweep()
    assert settled(pivoting).state == State.LOST
    assert "may run from the destination" in pivoting.failure
    left = pivoting.leftovers.values_list("kind", flat=True)
    assert list(left) == [Leftover.Kind.UNCERTAIN] * 2

    tasks.sync_host(pivoting.host_id)
    assert _why_no_copy() == ["libvirt_knows_the_source"]
    pivoting.leftovers.update(removal_asked_at=timezone.now())
    assert all("since job" in " ".join(proof(row)) for row in Leftover.objects.all())

    alder.restart(web)
    tasks.sync_host(pivoting.host_id)
    assert _why_no_copy() == []
    told = [" ".join(proof(row)) for row in Leftover.objects.all()]
    assert not any("since job" in words for words in told)


def test_an_ending_that_never_ends_is_lost(
    pivoting: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    """Killed when QEMU had pivoted, its daemon shows the pivot for ever after."""
    alder.lose_ending(web, "vda", "pivot")
    workers.sweep()
    assert settled(pivoting).state == State.PIVOTING
    _wait_for_evidence()
    alder.stuck.add(web)
    workers.sweep()
    assert settled(pivoting).state == State.PIVOTING, "QEMU has not said so"
    alder.stuck.clear()
    workers.sweep()
    assert settled(pivoting).state == State.LOST
    assert "shows a pivot under way" in pivoting.failure
    assert "may run from the destination" in pivoting.failure

    tasks.sync_host(pivoting.host_id)
    assert not foreign_copies().exists(), "it is ours, and no copy any more"
    assert _why_no_copy() == ["disk_has_no_job", "libvirt_knows_the_source"]


def test_a_cancel_that_never_ends_has_ended(
    mirroring: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    actions.perform(actions.CANCEL, mirroring, operator)
    workers.inbox.clear()  # it was carried out, and the worker died
    alder.lose_ending(web, "vda", "abort")
    workers.sweep()
    assert settled(mirroring).state == State.CANCELLING
    _wait_for_evidence()
    workers.sweep()
    assert settled(mirroring).state == State.CANCELLED


def _why_no_copy() -> list[str]:
    request = CopyRequest(Disk.objects.get(), Destination("file", OTHER, "qcow2"))
    return [found.rule for found in problems(request)]


def _wait_for_evidence() -> None:
    gap = timedelta(seconds=EVIDENCE_SECONDS)
    CopyJob.objects.update(ending_at=F("ending_at") - gap)


def test_a_failed_pivot_is_known_before_anybody_looks(
    pivoting: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alder.refuse("pivot", PivotFailed("failed while pivoting", code=9))
    monkeypatch.setattr(calls, "look_again", lambda *_: alder.fail_copy(web, "vda"))
    calls.pivot(pivoting.pk)
    _wait_for_evidence()
    workers.sweep()
    assert settled(pivoting).state == State.FAILED
    assert "runs on its source" in pivoting.failure


def test_a_destination_that_the_definition_names_is_no_leftover(
    mirroring: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    """Somebody pivoted and restarted the guest while nobody looked."""
    alder.pivot(mirroring.identity)
    alder.restart(web)
    workers.sweep()
    assert settled(mirroring).state == State.LOST
    assert mirroring.remedy == "Keep the destination: the domain uses it."
    assert NEW not in mirroring.left_behind


def test_a_guest_on_the_destination_is_no_leftover(
    mirroring: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    alder.domains[web].follows = False
    alder.domains[web].disks["vda"].persistent_source = "/images/third.qcow2"
    actions.perform(actions.PIVOT, mirroring, operator)
    workers.work()
    assert settled(mirroring).state == State.FAILED
    assert mirroring.left_behind.startswith("The old source /images/web-vda.qcow2")


# --- A persistent definition that did not follow -----------------------------------


def test_a_corrected_definition_is_in_the_audit_log(
    pivoting: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.domains[web].follows = False
    alder.pivot(pivoting.identity)
    workers.sweep()
    assert settled(pivoting).state == State.PIVOTED
    assert alder.domains[web].disks["vda"].persistent_source == NEW
    assert ("repair", "done", "system") in outcomes(pivoting)


def test_a_definition_that_somebody_else_corrected(
    pivoting: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look and the call: nothing was done, so nothing is said."""

    def too_late(*_: object) -> bool:
        alder.domains[web].disks["vda"].persistent_source = NEW
        return False

    alder.domains[web].follows = False
    alder.pivot(pivoting.identity)
    monkeypatch.setattr(alder, "repair_persistent", too_late)
    workers.sweep()
    assert settled(pivoting).state == State.PIVOTED
    assert not any("was corrected" in line for line in history(pivoting))


def test_a_guest_that_stopped_before_its_definition_was_corrected(
    pivoting: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: object) -> bool:
        alder.stop(web)
        raise IdentityMismatch

    alder.domains[web].follows = False
    alder.pivot(pivoting.identity)
    monkeypatch.setattr(alder, "repair_persistent", stopped)
    workers.sweep()
    workers.sweep()
    assert settled(pivoting).state == State.LOST
    assert "The guest runs on the destination" not in pivoting.failure
    assert "is not known" in pivoting.left_behind


# --- A host that cannot be talked to -------------------------------------------------


def test_an_address_that_is_not_allowed_any_more(
    job: CopyJob, workers: Workers, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    """The settings changed under a host: nothing breaks, and the host says why."""

    def refuse(*_: object) -> None:
        raise AddressError("socket", "The server's settings do not allow this socket.")

    monkeypatch.setattr("jobs.reconcile.connection", refuse)
    calls.start(job.pk)
    assert settled(job).state == State.QUEUED
    CopyJob.objects.update(state=State.PIVOTING, libvirt_id=1)
    for look in (calls.pivot, calls.look_again):
        Host.objects.update(error="")
        look(job.pk)
        host.refresh_from_db()
        assert "do not allow this socket" in host.error
    Host.objects.update(error="")
    workers.sweep()
    host.refresh_from_db()
    assert "do not allow this socket" in host.error
    assert settled(job).state == State.PIVOTING


# --- Answers that get lost ---------------------------------------------------------


def test_a_pivot_whose_answer_got_lost_is_no_failure(
    mirroring: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    alder.lose_answer("pivot")
    actions.perform(actions.PIVOT, mirroring, operator)
    workers.work()
    assert settled(mirroring).state == State.PIVOTED
    assert mirroring.libvirt_text == ""
    assert not any("does not answer" in line for line in history(mirroring))


# --- A start whose answer nobody heard ---------------------------------------------


@pytest.fixture
def unanswered(job: CopyJob, alder: FakeHypervisor, workers: Workers) -> CopyJob:
    """The call to start was not answered in time and is still under way."""
    alder.refuse("start", NoAnswer("No answer in 60 s."))
    workers.work()
    return job


def test_a_start_that_takes_effect_late_is_followed(
    unanswered: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    workers.sweep()
    assert settled(unanswered).state == State.STARTING, "it may begin yet"
    alder.put_copy(web, "vda", FakeCopy(NEW))
    workers.sweep()
    assert settled(unanswered).state == State.COPYING
    assert outcomes(unanswered)[-1] == ("start", "done", "system")


def test_a_cancel_waits_for_a_start_that_may_take_effect_late(
    unanswered: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    actions.perform(actions.CANCEL, settled(unanswered), operator)
    workers.work()
    assert settled(unanswered).state == State.CANCELLING
    alder.put_copy(web, "vda", FakeCopy(NEW))
    workers.sweep()
    assert settled(unanswered).state == State.CANCELLED
    assert alder.domains[web].disks["vda"].copy is None


def test_a_start_that_never_took_effect(unanswered: CopyJob, workers: Workers) -> None:
    CopyJob.objects.update(started_at=timezone.now() - timedelta(seconds=91))
    workers.sweep()
    assert settled(unanswered).state == State.FAILED
    assert "did not begin" in unanswered.failure
    assert "is not known" in unanswered.left_behind


def test_an_accepted_start_that_left_nothing_is_judged_at_once(
    job: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reused file of another size: libvirt accepts, and the copy ends at once."""
    start = alder.start

    def ended(*asked: Any) -> Started:
        started = start(*asked)
        alder.fail_copy(web, "vda")
        return started

    monkeypatch.setattr(alder, "start", ended)
    workers.work()
    assert settled(job).state == State.FAILED
    assert "ended at once" in job.failure
    assert "partial" in job.left_behind


# --- Cancelled while it is being started -------------------------------------------


@pytest.fixture
def cancelled_in_start(
    job: CopyJob,
    alder: FakeHypervisor,
    monkeypatch: pytest.MonkeyPatch,
    operator: Actor,
) -> CopyJob:
    """The operator cancels while the call to start is under way."""
    start = alder.start

    def cancelled(*asked: Any) -> Started:
        actions.perform(actions.CANCEL, CopyJob.objects.get(pk=job.pk), operator)
        return start(*asked)

    monkeypatch.setattr(alder, "start", cancelled)
    return job


def test_a_cancel_while_the_start_is_refused_leaves_nothing(
    cancelled_in_start: CopyJob, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.refuse("start", DestinationExists(code=67))
    workers.work()
    workers.sweep()
    job = settled(cancelled_in_start)
    assert (job.state, job.left_behind) == (State.CANCELLED, "")
    assert history(job)[-1].startswith("Nothing was started: There is a file")
    assert outcomes(job)[-2:] == [
        ("start", "failed", "system"),
        ("cancel", "done", "system"),
    ]


def test_a_cancel_while_the_start_is_accepted(
    cancelled_in_start: CopyJob, web: str, alder: FakeHypervisor, workers: Workers
) -> None:
    workers.work()
    workers.sweep()
    assert settled(cancelled_in_start).state == State.CANCELLED
    assert alder.domains[web].disks["vda"].copy is None
    assert "partial" in cancelled_in_start.left_behind
    assert outcomes(cancelled_in_start) == [
        ("request", "asked", "olga"),
        ("cancel", "asked", "olga"),
        ("start", "done", "system"),
        ("cancel", "done", "system"),
    ]


# --- A verb that the host refuses --------------------------------------------------


def test_a_refused_cancel_is_told_once(
    mirroring: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    actions.perform(actions.CANCEL, mirroring, operator)
    for _ in range(3):
        alder.refuse("end", Refused("access denied", code=88))
        workers.work()
        assert settled(mirroring).state == State.CANCELLING
        tasks.observe_host(mirroring.host_id)
    told = [line for line in history(mirroring) if "The host refused" in line]
    assert len(told) == 1
    assert outcomes(mirroring).count(("cancel", "failed", "system")) == 1
    workers.work()
    assert settled(mirroring).state == State.CANCELLED


def test_a_request_that_waited_too_long_is_not_started(
    job: CopyJob, alder: FakeHypervisor, workers: Workers
) -> None:
    """The host was silent all night; nobody expects the copy any more."""
    long_ago = timezone.now() - calls.QUEUED_AT_MOST - timedelta(seconds=1)
    CopyJob.objects.filter(pk=job.pk).update(queued_at=long_ago)
    workers.work()
    assert settled(job).state == State.FAILED
    assert job.failure == calls.WAITED_TOO_LONG
    assert job.libvirt_id is None
    assert AuditEntry.objects.filter(action="start", outcome="failed").exists()


# --- A bandwidth that was asked for -------------------------------------------------


def test_a_lost_bandwidth_is_asked_for_again(
    mirroring: CopyJob, workers: Workers, operator: Actor
) -> None:
    actions.set_speed(mirroring, 3 * 2**20, operator)
    workers.inbox.clear()  # the task is lost
    workers.sweep()
    assert settled(mirroring).bandwidth == 3 * 2**20
    assert mirroring.bandwidth_sent == 0  # at the start
    assert mirroring.bandwidth_asked is None
    assert outcomes(mirroring).count(("speed", "done", "system")) == 1
    workers.sweep()
    assert outcomes(mirroring).count(("speed", "done", "system")) == 1


def test_a_bandwidth_that_the_host_was_silent_on_is_asked_for_again(
    mirroring: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    alder.refuse("set_speed", NoAnswer("slow"))
    actions.set_speed(mirroring, 2**20, operator)
    workers.work()
    assert settled(mirroring).bandwidth_asked == 2**20
    live.taken_up(f"speed:{mirroring.pk}")
    workers.sweep()
    assert (settled(mirroring).bandwidth, mirroring.bandwidth_asked) == (2**20, None)
    assert ("speed", "failed", "system") not in outcomes(mirroring)


def test_a_refused_bandwidth_is_told_and_not_asked_for_again(
    mirroring: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    alder.refuse("set_speed", Refused("access denied", code=88))
    actions.set_speed(mirroring, 2**20, operator)
    workers.work()
    live.taken_up(f"speed:{mirroring.pk}")
    workers.sweep()
    assert settled(mirroring).bandwidth_asked is None
    assert alder.calls.count("set_speed") == 1
    assert ("speed", "failed", "system") in outcomes(mirroring)


def test_the_last_of_two_bandwidths_counts(
    mirroring: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    actions.set_speed(mirroring, 2**20, operator)
    actions.set_speed(mirroring, 0, operator)
    workers.work()
    assert (settled(mirroring).bandwidth, mirroring.bandwidth_asked) == (0, None)
    assert alder.calls.count("set_speed") == 1


# --- A policy that the host refuses -------------------------------------------------


def test_a_refused_policy_backs_off_with_one_pair_of_entries(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    CopyJob.objects.update(when_ready=WhenReady.PIVOT)
    workers.work()
    alder.make_ready(web, "vda")
    for refusals in range(1, 5):
        alder.refuse("pivot", Refused("access denied", code=88))
        workers.sweep()
        assert (settled(job).state, job.refusals) == (State.MIRRORING, refusals)
        workers.sweep()
        assert settled(job).refusals == refusals, "not at once"
        waited = POLICY_RETRY_SECONDS[refusals - 1] + 1
        then = timezone.now() - timedelta(seconds=waited)
        CopyJob.objects.update(ending_at=then)
    told = [outcome for outcome in outcomes(job) if outcome[0] == "pivot"]
    assert told == [("pivot", "asked", "system"), ("pivot", "failed", "system")]
    alder.refuse("pivot", Refused("another reason", code=1, cause="Something new."))
    workers.sweep()
    CopyJob.objects.update(ending_at=timezone.now() - timedelta(seconds=601))
    workers.sweep()
    assert settled(job).state == State.PIVOTED
    told = [outcome for outcome in outcomes(job) if outcome[0] == "pivot"]
    assert told[2:] == [("pivot", "failed", "system"), ("pivot", "done", "system")]


def test_a_persons_pivot_is_entered_although_the_policy_was_refused(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers, operator: Actor
) -> None:
    CopyJob.objects.update(when_ready=WhenReady.PIVOT)
    workers.work()
    alder.make_ready(web, "vda")
    alder.refuse("pivot", Refused("access denied", code=88))
    workers.sweep()
    alder.refuse("pivot", Refused("access denied", code=88))
    actions.perform(actions.PIVOT, settled(job), operator)
    workers.work()
    assert outcomes(job)[-2:] == [
        ("pivot", "asked", "olga"),
        ("pivot", "failed", "system"),
    ]


def test_the_end_of_an_earlier_mirror_vouches_for_no_other(
    mirroring: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    job = settled(mirroring)
    # A stranger ends ours and begins one to the same file, before anybody looks.
    alder.fail_copy(web, "vda")
    alder.put_copy(web, "vda", FakeCopy(job.destination))
    alder.make_ready(web, "vda")
    tasks.observe_domain(job.host_id, web, "vda", "canceled", time.time())
    actions.perform(actions.FINISH, settled(job), operator)
    workers.inbox.clear()
    alder.fail_copy(web, "vda")
    much_later(job)
    workers.sweep()
    assert settled(job).state == State.FAILED
