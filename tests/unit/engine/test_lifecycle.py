"""The table of states and transitions."""

from __future__ import annotations

from jobs.lifecycle import ACTIVE, ENDED, TRANSITIONS, State


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


def test_the_ends_are_ends_and_nothing_else_is() -> None:
    assert {state for state, after in TRANSITIONS.items() if not after} == ENDED


def test_every_active_state_can_reach_every_kind_of_end() -> None:
    def reachable(state: State) -> set[State]:
        found: set[State] = set()
        edge = {state}
        while edge := {new for old in edge for new in TRANSITIONS[old]} - found:
            found |= edge
        return found

    for state in ACTIVE:
        assert State.FAILED in reachable(state)
        assert reachable(state) & {State.CANCELLED, State.PIVOTED}


def test_every_state_can_be_reached_from_the_request() -> None:
    after = {new for news in TRANSITIONS.values() for new in news}
    assert after | {State.REQUESTED} == set(State)
