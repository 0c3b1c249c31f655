"""`resolve`: each row of the table by name, and what holds for every input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import DiskObservation, DomainObservation, Mirror
from jobs.lifecycle import ENDED, State, WhenReady, is_legal
from jobs.resolve import (
    NOTHING,
    PIVOT_INTENT_SECONDS,
    Act,
    Decision,
    Gone,
    Observation,
    Record,
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
) -> DomainObservation:
    disk = DiskObservation(
        target="vda", source=source, persistent_source=persistent, mirror=mirror
    )
    return DomainObservation(
        uuid="u",
        name="web",
        domain_id=libvirt_id,
        state="running" if libvirt_id else "shutoff",
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
        pytest.param(S.PIVOTING, seen(), (S.FAILED, None), id="pivot failed"),
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
        ({}, S.FAILED),
    ],
)
def test_copied_needs_evidence(evidence: dict[str, object], expected: State) -> None:
    assert resolve(record(S.FINISHING, **evidence), seen()).state == expected


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


@given(st.sampled_from(sorted(ENDED)), observations)
def test_an_ended_job_stays_ended(state: State, observation: Observation) -> None:
    assert resolve(record(state), observation) == NOTHING
