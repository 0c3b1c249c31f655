"""`resolve` over time: one decision, nothing unasked, and no job waits for nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import DomainObservation, Mirror
from jobs.lifecycle import ACTIVE, ENDED, ON_HOST, State, WhenReady
from jobs.resolve import (
    NOTHING,
    Act,
    Decision,
    Gone,
    Observation,
    Record,
    Unreachable,
    resolve,
)
from tests.unit.engine.test_resolve import NEW, observations, records

S = State
LONG = 1e6  # seconds: whatever is waited for by the clock is over

# The state in which a job is once an act is due: workers read off it what to call.
STATES_OF = {
    Act.START: {S.QUEUED},
    Act.PIVOT: {S.PIVOTING},
    Act.END: {S.FINISHING, S.CANCELLING},
    Act.REPAIR: ON_HOST,
    Act.THAW: set(S),
}


def after(job: Record, decision: Decision) -> Record:
    """The record once the decision was applied, as the next look reads it."""
    if decision.state is None:
        return job
    asked = decision.state in (S.PIVOTING, S.FINISHING)
    given_up = job.state in (S.PIVOTING, S.FINISHING) and decision.state == S.MIRRORING
    return replace(
        job,
        state=decision.state,
        begun=True,
        refused=False,
        by_limit=job.by_limit and decision.state != S.MIRRORING,
        intent_age=0.0 if asked else job.intent_age,
        refusals=job.refusals + given_up,
    )


@given(records, observations)
def test_one_decision_whose_act_is_that_of_its_state(
    job: Record, observation: Observation
) -> None:
    decision = resolve(job, observation)
    assert decision == resolve(job, observation)
    if decision.act is not None:
        assert after(job, decision).state in STATES_OF[decision.act]


@given(records, observations)
def test_a_second_look_moves_on_by_policy_only(
    job: Record, observation: Observation
) -> None:
    moved = after(job, resolve(job, observation))
    if moved == job:
        return
    again = resolve(moved, observation)
    assert again.state in (None, S.PIVOTING, S.FINISHING)
    if again.state is not None:
        assert (moved.state, again.state.value[:5]) == (
            S.MIRRORING,
            {WhenReady.PIVOT: "pivot", WhenReady.FINISH: "finis"}[moved.when_ready],
        )


# --- What people ask for, in between -------------------------------------------------

ASKED_IN = {
    S.PIVOTING: {S.MIRRORING},
    S.FINISHING: {S.MIRRORING},
    S.CANCELLING: {S.STARTING, S.COPYING, S.MIRRORING},
}
asks = st.sampled_from(sorted(ASKED_IN))
refusals = st.just("the host refuses")
steps = st.lists(st.one_of(observations, observations, asks, refusals), max_size=12)


@given(
    st.sampled_from([S.QUEUED, S.STARTING, S.COPYING, S.MIRRORING]),
    st.sampled_from(WhenReady),
    records,
    steps,
)
def test_no_sequence_leads_to_a_verb_that_nobody_asked_for(
    state: State, policy: WhenReady, job: Record, sequence: list[object]
) -> None:
    """Whatever is seen, refused, and asked for in whatever order."""
    job = replace(job, state=state, when_ready=policy, by_limit=False, refused=False)
    wanted = {{"pivot": S.PIVOTING, "finish": S.FINISHING}.get(policy)}
    for step in sequence:
        if isinstance(step, State):
            if job.state in ASKED_IN[step]:
                job, wanted = replace(job, state=step), wanted | {step}
        elif isinstance(step, str):
            job = replace(job, refused=True)
        else:
            assert isinstance(step, DomainObservation | Unreachable | Gone)
            decision = resolve(job, step)
            job = after(job, decision)
            assert job.state in wanted or job.state not in ASKED_IN
            if decision.act in (Act.PIVOT, Act.END):
                assert job.state in wanted
            assert decision.act != Act.START or state == S.QUEUED


# --- The end, or something that is named ----------------------------------------------


def waits_for(job: Record, observation: Observation, act: Act | None) -> str:
    """What has to happen before the job can move on; "" if nothing ever will."""
    if isinstance(observation, Unreachable):
        return "the host to answer"
    if act is not None:
        return f"a worker, to {act}"
    if job.state == S.REQUESTED:
        return "its turn"
    if isinstance(observation, Gone):
        return ""
    disk = observation.disks.get(job.disk)
    if disk and disk.mirror:
        return _with_mirror(job, disk.mirror)
    at_source = disk is not None and disk.source == job.source
    ends = observation.state == "shutdown" and at_source
    return "the guest, which is being shut down, to be off" if ends else ""


def _with_mirror(job: Record, mirror: Mirror) -> str:
    if not mirror.destination or mirror.ready in ("pivot", "abort"):
        return "libvirt, which is ending the job"
    if mirror.destination != NEW:
        return ""
    if not mirror.is_ready:
        return "the copy to become ready"
    wait = job.state == S.MIRRORING and job.when_ready == WhenReady.WAIT
    return "a person" if wait else ""


@given(records, observations)
def test_each_job_ends_or_waits_for_something_with_a_name(
    job: Record, observation: Observation
) -> None:
    """Nobody is in a call any more, nothing changes, and time goes by."""
    for _ in range(6):
        frozen = None if job.frozen_age is None else LONG
        job = replace(job, call_running=False, quiet=True, start_age=LONG)
        job = replace(job, intent_age=LONG, frozen_age=frozen)
        decision = resolve(job, observation)
        job = after(job, decision)
        if decision.act is not None or decision == NOTHING:
            break
    named = waits_for(job, observation, decision.act)
    assert job.state in ENDED or named, f"{job} waits for nothing: {observation}"
    assert decision.state is None or decision.act is not None, (
        "it goes round in circles"
    )


@given(records.filter(lambda job: job.state in ACTIVE))
def test_an_unreachable_host_changes_nothing_for_however_long(job: Record) -> None:
    waited = replace(job, start_age=LONG, intent_age=LONG, frozen_age=LONG)
    assert resolve(waited, Unreachable()) == NOTHING
