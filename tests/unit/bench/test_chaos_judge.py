"""The chaos bench finds planted lies: a check that can't fail is a defect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.contrib.auth.models import User

from bench.chaos.calls import Call
from bench.chaos.deeds import judge_calls, stories
from bench.chaos.judge import judge
from bench.chaos.ledger import Answer, Asked, Ledger, Strange
from bench.chaos.promises import Break, Promise
from bench.chaos.sight import Seen
from bench.chaos.watch import untrue
from jobs import actions
from jobs.actor import SYSTEM
from jobs.audit import Outcome
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk
from jobs.preflight import CopyRequest
from jobs.transition import move
from tests.conftest import actor_of
from tests.unit.audit import tampering

TO = "/srv/images/web-copy.qcow2"
# Audit entries get their place in the chain at the commit.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "no_workers"),
]


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the workers is not heard by anybody."""
    for name in ("start", "call"):
        monkeypatch.setattr(f"jobs.dispatch.{name}", lambda *_: None)


@pytest.fixture
def job(disk: Disk, olga: User) -> CopyJob:
    """A copy that was asked for, begun, finished by olga and is complete."""
    request = CopyRequest(disk, Destination("file", TO, "qcow2"))
    job = actions.request_copy(request, actor_of(olga))
    step(job, State.STARTING, libvirt_id=7)
    step(job, State.COPYING, ("start", Outcome.DONE))
    step(job, State.MIRRORING)
    actions.perform(actions.VERBS["finish"], job, actor_of(olga))
    step(job, State.COPIED, ("finish", Outcome.DONE))
    return job


@pytest.fixture
def ledger(job: CopyJob) -> Ledger:
    """What the bench asked for, which is what became of it."""
    asked = [
        Asked("request", job.pk, Answer.ACCEPTED, TO),
        Asked("finish", job.pk, Answer.ACCEPTED),
    ]
    return Ledger(asked)


def step(
    job: CopyJob, new: State, entry: tuple[str, Outcome] | None = None, **fields: Any
) -> None:
    audited = {"action": entry[0], "outcome": entry[1]} if entry else None
    assert move(job, new, "", actor=SYSTEM, audited=audited, **fields)


def call(job: CopyJob, verb: str, state: State, destination: str = "") -> Call:
    """A call that reached the daemon while `job` was in `state`."""
    at = job.events.get(new_state=state).time.timestamp() + 0.01
    return Call(at, verb, job.domain_name, job.domain_uuid, job.disk, destination)


def calls_of(job: CopyJob) -> list[Call]:
    begun = call(job, "copy", State.STARTING, TO)
    return [begun, call(job, "end", State.FINISHING)]


def promises(breaks: Iterable[Break]) -> list[Promise]:
    return [each.promise for each in breaks]


def test_what_is_right_breaks_nothing(job: CopyJob, ledger: Ledger) -> None:
    assert list(judge(ledger)) == []
    assert list(judge_calls(calls_of(job), ledger, stories(), 0)) == []


# --- Jobs and audit log ------------------------------------------------------------


def test_a_row_edited_to_pivoted(job: CopyJob, ledger: Ledger) -> None:
    CopyJob.objects.update(state=State.PIVOTED)
    assert {Promise.HISTORY, Promise.AUDITED} <= set(promises(judge(ledger)))


def test_a_job_that_disappeared(job: CopyJob, ledger: Ledger) -> None:
    job.leftovers.all().delete()
    job.delete()
    assert Promise.NOT_LOST in promises(judge(ledger))


def test_a_job_that_nobody_asked_for(job: CopyJob, ledger: Ledger) -> None:
    ledger.asked = ledger.asked[1:]
    assert promises(judge(ledger)) == [Promise.ASKED]


def test_a_job_that_is_still_active(job: CopyJob, ledger: Ledger) -> None:
    CopyJob.objects.update(state=State.MIRRORING)
    assert Promise.REST in promises(judge(ledger))


def test_an_audit_entry_removed(job: CopyJob, ledger: Ledger) -> None:
    entry = AuditEntry.objects.get(action="start", outcome="done")
    assert entry.number is not None
    tampering.remove(entry.number)
    assert {Promise.AUDITED, Promise.CHAIN} == set(promises(judge(ledger)))


def test_an_act_without_its_entry(job: CopyJob, ledger: Ledger) -> None:
    ledger.note(Asked("cancel", job.pk, Answer.ACCEPTED))
    assert promises(judge(ledger)) == [Promise.AUDITED]


def test_an_act_of_unknown_outcome_may_have_one(job: CopyJob, ledger: Ledger) -> None:
    ledger.note(Asked("cancel", job.pk, Answer.UNKNOWN))
    assert promises(judge(ledger)) == []


# --- What reached the daemon -------------------------------------------------------


def test_a_mirror_that_nobody_asked_for(job: CopyJob, ledger: Ledger) -> None:
    planted = call(job, "copy", State.STARTING, "/srv/images/other.qcow2")
    found = judge_calls([*calls_of(job), planted], ledger, stories(), 0)
    assert promises(found) == [Promise.ASKED]


def test_a_strangers_mirror_is_a_strangers(job: CopyJob, ledger: Ledger) -> None:
    planted = call(job, "copy", State.STARTING, "/srv/images/other.qcow2")
    strange = Strange("copy", "web", "vda", planted.at, planted.at, planted.destination)
    ledger.strange.append(strange)
    found = judge_calls([*calls_of(job), planted], ledger, stories(), 0)
    assert promises(found) == []


def test_a_start_twice(job: CopyJob, ledger: Ledger) -> None:
    twice = [*calls_of(job), call(job, "copy", State.STARTING, TO)]
    assert promises(judge_calls(twice, ledger, stories(), 0)) == [Promise.ONCE]


def test_a_pivot_that_nobody_asked_for(job: CopyJob, ledger: Ledger) -> None:
    calls = [*calls_of(job), call(job, "pivot", State.MIRRORING)]
    assert promises(judge_calls(calls, ledger, stories(), 0)) == [Promise.ASKED]


def test_an_end_before_it_was_asked_for(job: CopyJob, ledger: Ledger) -> None:
    early = call(job, "end", State.COPYING)
    early = Call(early.at - 1, *list(vars(early).values())[1:])
    found = judge_calls([*calls_of(job), early], ledger, stories(), 0)
    assert promises(found) == [Promise.ASKED]


def test_a_copy_that_only_the_job_knows_of(job: CopyJob, ledger: Ledger) -> None:
    found = judge_calls(calls_of(job)[1:], ledger, stories(), 0)
    assert promises(found) == [Promise.ASKED]


def test_a_guest_that_the_console_destroyed(job: CopyJob, ledger: Ledger) -> None:
    calls = [*calls_of(job), call(job, "destroy", State.COPYING)]
    assert promises(judge_calls(calls, ledger, stories(), 0)) == [Promise.ASKED]


# --- What is true now --------------------------------------------------------------

SOURCE = "/srv/images/web.qcow2"


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (State.COPYING, Seen(7, SOURCE, SOURCE)),
        (State.COPYING, Seen(7, SOURCE, SOURCE, TO, ready=True)),
        (State.COPYING, Seen(8, SOURCE, SOURCE, TO)),
        (State.MIRRORING, Seen(7, SOURCE, SOURCE, TO)),
        (State.MIRRORING, Seen(None, "", SOURCE)),
        (State.STARTING, Seen(7, SOURCE, SOURCE, TO)),
        (State.PIVOTING, Seen(7, TO, TO)),
        (State.PIVOTED, Seen(7, SOURCE, SOURCE)),
        (State.COPIED, Seen(7, SOURCE, SOURCE, TO, ready=True)),
        (State.COPIED, Seen(7, TO, TO)),
        (State.CANCELLED, Seen(7, TO, TO)),
        (State.FAILED, Seen(7, SOURCE, SOURCE, TO)),
    ],
)
def test_what_is_not_true(job: CopyJob, state: State, seen: Seen) -> None:
    job.state = state
    assert untrue(job, seen)


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (State.QUEUED, Seen(7, SOURCE, SOURCE)),
        (State.STARTING, Seen(7, SOURCE, SOURCE)),
        (State.COPYING, Seen(7, SOURCE, SOURCE, TO)),
        (State.MIRRORING, Seen(7, SOURCE, SOURCE, TO, ready=True)),
        (State.PIVOTED, Seen(7, TO, TO)),
        (State.COPIED, Seen(7, SOURCE, SOURCE)),
        (State.LOST, Seen(None, "", SOURCE)),
        (State.MIRRORING, Seen(unsure=True)),
    ],
)
def test_what_is_true(job: CopyJob, state: State, seen: Seen) -> None:
    job.state = state
    assert untrue(job, seen) == ""
