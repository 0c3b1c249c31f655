"""`resolve`: each row of the table by name, and what holds for every input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import DiskObservation, DomainObservation, Mirror
from jobs.lifecycle import ENDED, State, WhenReady, is_legal
from jobs.resolve import (
    EVIDENCE_SECONDS,
    FROZEN_PATIENCE_SECONDS,
    NOTHING,
    PIVOT_INTENT_SECONDS,
    POLICY_RETRY_SECONDS,
    START_ANSWER_SECONDS,
    START_SENT_SECONDS,
    Act,
    Decision,
    Gone,
    Observation,
    Record,
    Side,
    Unreachable,
    resolve,
)

OLD, NEW, ELSEWHERE = "/srv/old.qcow2", "/srv/new.qcow2", "/srv/other.qcow2"
READY = Mirror(job="copy", ready="yes", destination=NEW, format="qcow2")
COPYING = replace(READY, ready="")
ENDING = replace(READY, ready="pivot")
CONCLUDING = Mirror(job="", ready="", destination="", format="")
FOREIGN = replace(READY, destination=ELSEWHERE)


def record(state: State, **changes: object) -> Record:
    base = Record(
        state=state,
        disk="vda",
        destination=NEW,
        source=OLD,
        libvirt_id=7,
        intent_age=1.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def seen(
    mirror: Mirror | None = None,
    source: str = OLD,
    persistent: str | None = OLD,
    libvirt_id: int | None = 7,
    running: str = "running",
) -> DomainObservation:
    disk = DiskObservation(
        target="vda", source=source, persistent_source=persistent, mirror=mirror
    )
    return DomainObservation(
        uuid="u",
        name="web",
        domain_id=libvirt_id,
        state=running if libvirt_id else "shutoff",
        persistent=persistent is not None,
        disks={"vda": disk},
    )


def outcome(decision: Decision) -> tuple[State | None, Act | None]:
    return decision.state, decision.act


S = State


@pytest.mark.parametrize(
    ("state", "observation", "expected"),
    [
        pytest.param(S.REQUESTED, seen(), (None, None), id="requested waits"),
        pytest.param(S.QUEUED, seen(), (None, Act.START), id="queued starts"),
        pytest.param(S.STARTING, seen(COPYING), (S.COPYING, None), id="began"),
        pytest.param(
            S.STARTING, seen(READY), (S.MIRRORING, None), id="ready before start ended"
        ),
        pytest.param(S.STARTING, seen(), (S.FAILED, None), id="start left nothing"),
        pytest.param(S.COPYING, seen(COPYING), (None, None), id="copies on"),
        pytest.param(S.COPYING, seen(READY), (S.MIRRORING, None), id="ready"),
        pytest.param(S.COPYING, seen(), (S.FAILED, None), id="no job is not success"),
        pytest.param(
            S.COPYING, seen(CONCLUDING), (None, None), id="empty mirror: not judged"
        ),
        pytest.param(S.COPYING, seen(FOREIGN), (S.FAILED, None), id="someone else's"),
        pytest.param(S.MIRRORING, seen(READY), (None, None), id="waits for a person"),
        pytest.param(
            S.MIRRORING, seen(), (S.FAILED, None), id="mirror ended behind our back"
        ),
        *(
            pytest.param(
                state,
                seen(running="shutdown"),
                (None, None),
                id=f"{state}: the guest's copies end before the guest",
            )
            for state in (S.COPYING, S.MIRRORING, S.PIVOTING)
        ),
        pytest.param(
            S.CANCELLING,
            seen(running="shutdown"),
            (S.CANCELLED, None),
            id="cancelled, and the guest is shut down",
        ),
        pytest.param(
            S.MIRRORING,
            seen(source=NEW, persistent=NEW),
            (S.PIVOTED, None),
            id="pivoted behind our back",
        ),
        pytest.param(S.PIVOTING, seen(READY), (None, Act.PIVOT), id="pivot to be done"),
        pytest.param(S.PIVOTING, seen(ENDING), (None, None), id="pivot under way"),
        pytest.param(
            S.PIVOTING, seen(source=NEW, persistent=NEW), (S.PIVOTED, None), id="done"
        ),
        pytest.param(
            S.PIVOTING,
            seen(source=NEW, persistent=None),
            (S.PIVOTED, None),
            id="transient domain: the live definition is all there is",
        ),
        pytest.param(
            S.PIVOTING,
            seen(source=NEW, persistent=OLD),
            (None, Act.REPAIR),
            id="persistent definition lags",
        ),
        pytest.param(
            S.PIVOTING,
            seen(source=NEW, persistent=ELSEWHERE),
            (S.FAILED, None),
            id="persistent definition names a third file",
        ),
        pytest.param(
            S.PIVOTING, seen(), (None, None), id="how a pivot ended is awaited"
        ),
        pytest.param(
            S.PIVOTING,
            seen(source=NEW, persistent=NEW, libvirt_id=None),
            (S.PIVOTED, None),
            id="stopped after the pivot",
        ),
        pytest.param(S.FINISHING, seen(READY), (None, Act.END), id="finish to be done"),
        pytest.param(
            S.CANCELLING, seen(COPYING), (None, Act.END), id="cancel to be done"
        ),
        pytest.param(S.CANCELLING, seen(), (S.CANCELLED, None), id="cancelled"),
        pytest.param(
            S.CANCELLING,
            seen(source=NEW, persistent=NEW),
            (S.PIVOTED, None),
            id="somebody pivoted while we cancelled",
        ),
        pytest.param(
            S.MIRRORING,
            seen(FOREIGN, source=NEW, persistent=NEW),
            (S.PIVOTED, None),
            id="somebody pivoted, and began the next copy",
        ),
        pytest.param(
            S.MIRRORING,
            seen(FOREIGN, source=NEW, persistent=OLD),
            (S.FAILED, None),
            id="the same, and the definition can't be corrected meanwhile",
        ),
        pytest.param(
            S.COPYING, seen(COPYING, libvirt_id=8), (S.LOST, None), id="restarted guest"
        ),
        pytest.param(S.COPYING, seen(libvirt_id=None), (S.LOST, None), id="guest off"),
        pytest.param(S.MIRRORING, Gone(), (S.LOST, None), id="domain gone"),
        pytest.param(S.COPYING, Unreachable(), (None, None), id="host unreachable"),
        pytest.param(
            S.COPYING, seen(source=ELSEWHERE), (S.FAILED, None), id="third source"
        ),
    ],
)
def test_table(
    state: State, observation: Observation, expected: tuple[State | None, Act | None]
) -> None:
    assert outcome(resolve(record(state), observation)) == expected


def test_policies_act_on_ready_only() -> None:
    pivot = record(S.MIRRORING, when_ready=WhenReady.PIVOT, intent_age=None)
    finish = record(S.MIRRORING, when_ready=WhenReady.FINISH, intent_age=None)
    assert outcome(resolve(pivot, seen(READY))) == (S.PIVOTING, Act.PIVOT)
    assert outcome(resolve(finish, seen(READY))) == (S.FINISHING, Act.END)
    assert resolve(pivot, seen(COPYING)) == NOTHING


def test_a_refused_policy_is_not_tried_again_at_once() -> None:
    refused = record(S.MIRRORING, when_ready=WhenReady.PIVOT, intent_age=5.0)
    assert resolve(refused, seen(READY)) == NOTHING
    later = replace(refused, intent_age=31.0)
    assert resolve(later, seen(READY)).act == Act.PIVOT


@pytest.mark.parametrize(
    ("refusals", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 300), (5, 600), (9, 600)]
)
def test_a_policy_refused_again_and_again_waits_longer(
    refusals: int, seconds: float
) -> None:
    waiting = record(S.MIRRORING, when_ready=WhenReady.FINISH, refusals=refusals)
    early = replace(waiting, intent_age=seconds - 1)
    assert resolve(early, seen(READY)) == NOTHING
    late = replace(waiting, intent_age=seconds + 1)
    assert resolve(late, seen(READY)).act == Act.END


# --- A start of which nobody heard ---------------------------------------------------


def test_a_start_that_cannot_be_under_way_any_more_never_began() -> None:
    """The worker was killed between its intent and the call."""
    killed = record(S.STARTING, begun=False, start_age=START_SENT_SECONDS + 1)
    assert resolve(killed, seen()) == NOTHING, "the host may be at it"
    decision = resolve(replace(killed, quiet=True), seen())
    assert decision.state == S.FAILED
    assert "did not begin" in decision.reason


def test_a_quiet_host_proves_nothing_before_the_call_was_sent() -> None:
    early = record(
        S.STARTING, begun=False, quiet=True, start_age=START_SENT_SECONDS - 1
    )
    assert resolve(early, seen()) == NOTHING


def test_a_host_that_does_not_say_is_waited_for() -> None:
    silent = record(S.STARTING, begun=False, start_age=START_ANSWER_SECONDS - 1)
    assert resolve(silent, seen()) == NOTHING
    at_last = replace(silent, start_age=START_ANSWER_SECONDS + 1)
    assert resolve(at_last, seen()).state == S.FAILED


# --- Limits --------------------------------------------------------------------------


def test_a_limit_leaves_a_copy_alone_that_became_ready() -> None:
    by_limit = record(S.CANCELLING, by_limit=True)
    assert outcome(resolve(by_limit, seen(READY))) == (S.MIRRORING, None)
    assert outcome(resolve(by_limit, seen(COPYING))) == (None, Act.END)
    by_a_person = record(S.CANCELLING)
    assert outcome(resolve(by_a_person, seen(READY))) == (None, Act.END)


# --- A frozen guest ------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.FINISHING, S.MIRRORING, S.COPIED, S.FAILED])
def test_a_frozen_guest_is_thawed_first(state: State) -> None:
    frozen = record(state, frozen_age=3.0)
    for observation in (seen(), seen(READY), seen(libvirt_id=None), Gone()):
        assert outcome(resolve(frozen, observation)) == (None, Act.THAW)


def test_a_guest_that_cannot_be_thawed_does_not_hold_its_job_for_ever() -> None:
    frozen = record(
        S.FINISHING, frozen_age=FROZEN_PATIENCE_SECONDS + 1, end_accepted=True
    )
    assert outcome(resolve(frozen, seen())) == (S.COPIED, Act.THAW)


def test_a_finish_thaws_by_itself() -> None:
    finishing = record(S.FINISHING, frozen_age=3.0, call_running=True)
    assert resolve(finishing, seen(READY)) == NOTHING


def test_nothing_is_judged_while_a_call_runs() -> None:
    for state in (S.STARTING, S.PIVOTING, S.FINISHING, S.CANCELLING):
        running = record(state, call_running=True)
        assert resolve(running, seen()) == NOTHING


def test_a_refused_pivot_goes_back_to_mirroring() -> None:
    decision = resolve(record(S.PIVOTING, refused=True), seen(READY))
    assert outcome(decision) == (S.MIRRORING, None)


def test_an_old_intent_to_pivot_is_asked_for_again() -> None:
    old = record(S.PIVOTING, intent_age=PIVOT_INTENT_SECONDS + 1)
    assert outcome(resolve(old, seen(READY))) == (S.MIRRORING, None)


def test_a_policy_to_pivot_does_not_grow_old() -> None:
    """It would be given up and asked for again in the same look."""
    old = record(
        S.PIVOTING,
        intent_age=PIVOT_INTENT_SECONDS + 1,
        when_ready=WhenReady.PIVOT,
    )
    assert outcome(resolve(old, seen(READY))) == (None, Act.PIVOT)


def test_a_commit_into_the_destination_is_not_our_copy() -> None:
    """Somebody pivoted, took a snapshot, and commits it into the destination."""
    commit = seen(replace(READY, job="active-commit"), source=ELSEWHERE)
    decision = resolve(record(S.MIRRORING, when_ready=WhenReady.PIVOT), commit)
    assert outcome(decision) == (S.FAILED, None)
    assert "active-commit" in decision.reason


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ({"last_event": "canceled"}, S.COPIED),
        ({"end_accepted": True}, S.COPIED),
        ({"last_event": "failed", "end_accepted": True}, S.FAILED),
        ({"intent_age": EVIDENCE_SECONDS}, S.FAILED),
    ],
)
def test_copied_needs_evidence(evidence: dict[str, object], expected: State) -> None:
    assert resolve(record(S.FINISHING, **evidence), seen()).state == expected


def test_evidence_may_come_a_moment_later() -> None:
    young = record(S.FINISHING, intent_age=EVIDENCE_SECONDS - 1)
    assert resolve(young, seen()) == NOTHING
    old = replace(young, intent_age=EVIDENCE_SECONDS)
    assert resolve(old, seen()).state == S.FAILED


@pytest.mark.parametrize("event", ["failed", "canceled"])
def test_a_pivot_failed_where_that_was_heard(event: str) -> None:
    decision = resolve(record(S.PIVOTING, last_event=event), seen())
    assert outcome(decision) == (S.FAILED, None)
    assert decision.side == Side.SOURCE


def test_a_source_that_libvirt_shows_after_an_unheard_pivot_is_not_believed() -> None:
    """Killed in the pivot, its daemon takes the mirror for cancelled."""
    decision = resolve(record(S.PIVOTING, intent_age=EVIDENCE_SECONDS), seen())
    assert outcome(decision) == (S.LOST, None)
    assert decision.side == Side.DOUBTED
    assert "touch neither file" in decision.remedy


in_each_ending = pytest.mark.parametrize(
    "state", [S.PIVOTING, S.FINISHING, S.CANCELLING]
)
ABORTING = replace(READY, ready="abort")


@in_each_ending
@pytest.mark.parametrize("mirror", [ENDING, ABORTING])
def test_an_ending_is_waited_for(state: State, mirror: Mirror) -> None:
    ours, asked = record(state), record(state, quiet=True)
    assert resolve(ours, seen(mirror)) == NOTHING
    assert resolve(replace(asked, call_running=True), seen(mirror)) == NOTHING
    assert resolve(asked, seen(mirror, running="shutdown")) == NOTHING


@in_each_ending
def test_a_pivot_of_which_qemu_knows_nothing_may_have_taken_place(state: State) -> None:
    decision = resolve(record(state, quiet=True), seen(ENDING))
    assert outcome(decision) == (S.LOST, None)
    assert decision.side == Side.DOUBTED


def test_an_abort_of_which_qemu_knows_nothing_took_place() -> None:
    for state, end in ((S.FINISHING, S.COPIED), (S.CANCELLING, S.CANCELLED)):
        ours = record(state, quiet=True, end_accepted=True)
        assert outcome(resolve(ours, seen(ABORTING))) == (end, None)


def test_a_stranger_is_named() -> None:
    assert not resolve(record(S.MIRRORING), seen(source=NEW, persistent=NEW)).by_us
    assert resolve(record(S.PIVOTING), seen(source=NEW, persistent=NEW)).by_us


# --- For every record and every observation -------------------------------------------

mirrors = st.none() | st.builds(
    Mirror,
    job=st.sampled_from(["copy", "active-commit", ""]),
    ready=st.sampled_from(["", "yes", "pivot", "abort"]),
    destination=st.sampled_from([NEW, ELSEWHERE, ""]),
    format=st.sampled_from(["raw", "qcow2"]),
)
places = st.sampled_from([OLD, NEW, ELSEWHERE, ""])
observations: st.SearchStrategy[Observation] = st.one_of(
    st.builds(Unreachable),
    st.builds(Gone),
    st.builds(
        seen,
        mirror=mirrors,
        source=places,
        persistent=st.none() | places,
        libvirt_id=st.sampled_from([None, 7, 8]),
        running=st.sampled_from(["running", "paused", "shutdown"]),
    ),
    st.just(replace(seen(), disks={})),
)
records = st.builds(
    record,
    state=st.sampled_from(State),
    when_ready=st.sampled_from(WhenReady),
    call_running=st.booleans(),
    refused=st.booleans(),
    begun=st.booleans(),
    start_age=st.none() | st.floats(0, 200),
    intent_age=st.none() | st.floats(0, 2000),
    frozen_age=st.none() | st.floats(0, 600),
    quiet=st.booleans(),
    by_limit=st.booleans(),
    refusals=st.integers(0, 10),
    end_accepted=st.booleans(),
    last_event=st.sampled_from(["", "ready", "failed", "canceled", "completed"]),
)


@given(records, observations)
def test_every_decision_is_a_legal_transition_with_a_reason(
    job: Record, observation: Observation
) -> None:
    decision = resolve(job, observation)
    if decision.state is not None:
        assert is_legal(job.state, decision.state)
        assert decision.reason


@given(records, observations)
def test_no_verb_that_nobody_asked_for(job: Record, observation: Observation) -> None:
    decision = resolve(job, observation)
    asked = {
        Act.START: job.state == S.QUEUED,
        Act.PIVOT: job.state == S.PIVOTING or job.when_ready == WhenReady.PIVOT,
        Act.END: job.state in (S.FINISHING, S.CANCELLING)
        or job.when_ready == WhenReady.FINISH,
        Act.REPAIR: isinstance(observation, DomainObservation),
        Act.THAW: job.frozen_age is not None,
    }
    assert decision.act is None or asked[decision.act]


@given(records, observations)
def test_an_unready_mirror_is_never_pivoted(
    job: Record, observation: Observation
) -> None:
    if resolve(job, observation).act == Act.PIVOT:
        assert isinstance(observation, DomainObservation)
        mirror = observation.disks["vda"].mirror
        assert mirror is not None
        assert mirror.is_ready
        assert mirror.destination == job.destination


@given(records, observations)
def test_pivoted_only_when_both_definitions_name_the_destination(
    job: Record, observation: Observation
) -> None:
    if resolve(job, observation).state != S.PIVOTED:
        return
    assert isinstance(observation, DomainObservation)
    disk = observation.disks["vda"]
    assert observation.domain_id is None or disk.source == NEW
    assert not observation.persistent or disk.persistent_source == NEW


@given(records, observations)
def test_the_same_observation_twice_changes_nothing_more(
    job: Record, observation: Observation
) -> None:
    """A second look moves the job on at most by policy, and never a third time."""
    states = [job.state]
    for _ in range(4):
        decision = resolve(job, observation)
        if decision.state is None:
            break
        job = replace(job, state=decision.state, refused=False, intent_age=1.0)
        states.append(decision.state)
    else:
        pytest.fail(f"does not settle: {states}")


@given(st.sampled_from(sorted(ENDED)), records, observations)
def test_an_ended_job_stays_ended(
    state: State, job: Record, observation: Observation
) -> None:
    """Only its guest may still have to be thawed."""
    decision = resolve(replace(job, state=state), observation)
    assert decision.state is None
    assert decision.act in (None, Act.THAW)


@given(records, observations)
def test_a_frozen_guest_is_thawed_by_whoever_looks(
    job: Record, observation: Observation
) -> None:
    """Unless the host is silent, or the call that froze it is still at it; another
    act of ours can come first only when thawing was of no use for long."""
    frozen = replace(job, frozen_age=job.frozen_age or 0.0)
    decision = resolve(frozen, observation)
    if isinstance(observation, Unreachable) or frozen.call_running:
        assert decision == NOTHING
    elif (frozen.frozen_age or 0.0) <= FROZEN_PATIENCE_SECONDS:
        assert outcome(decision) == (None, Act.THAW)
    else:
        assert decision.act is not None


@given(records, observations)
def test_a_start_is_given_up_only_when_none_can_be_under_way(
    job: Record, observation: Observation
) -> None:
    unheard = replace(job, state=S.STARTING, begun=False, last_event="")
    unheard = replace(unheard, start_age=job.start_age or 0.0, frozen_age=None)
    if "did not begin" not in resolve(unheard, observation).reason:
        return
    age = unheard.start_age or 0.0
    assert not unheard.call_running
    assert age >= START_ANSWER_SECONDS or (unheard.quiet and age > START_SENT_SECONDS)


@given(records, observations)
def test_a_limit_cancels_no_ready_copy(job: Record, observation: Observation) -> None:
    limited = replace(job, state=S.CANCELLING, by_limit=True)
    if resolve(limited, observation).act == Act.END:
        assert isinstance(observation, DomainObservation)
        mirror = observation.disks["vda"].mirror
        assert mirror is not None
        assert not mirror.is_ready


@given(records, observations)
def test_a_policy_waits_its_time_after_each_refusal(
    job: Record, observation: Observation
) -> None:
    mirroring = replace(job, state=S.MIRRORING, frozen_age=None)
    if resolve(mirroring, observation).state not in (S.PIVOTING, S.FINISHING):
        return
    turn = min(max(mirroring.refusals, 1), len(POLICY_RETRY_SECONDS))
    waited = mirroring.intent_age
    assert waited is None or waited >= POLICY_RETRY_SECONDS[turn - 1]
