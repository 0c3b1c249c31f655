"""The time left: never told too early, and right about copies that go on steadily."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs import live
from jobs.forecast import (
    LEAST_SECONDS,
    UNKNOWN,
    YOUNG_SECONDS,
    Forecast,
    Kind,
    Mark,
    forecast,
    what_helps,
)
from jobs.hypervisor import Progress

Look = Callable[..., Forecast]

MIB = 2**20
GIB = 2**30


def steady(
    copied: float, written: float, *, seconds: float = 120, rest: int = 10 * GIB
) -> list[Mark]:
    """A copy of `copied` and a guest of `written` bytes/s, to where `rest` is left."""
    times = [seconds * part / 10 for part in range(11)]
    fell = copied - written
    return [
        Mark(
            at,
            round(copied * at),
            round(copied * at + rest + fell * (seconds - at)),
        )
        for at in times
    ]


# --- What it says ---------------------------------------------------------------------


def test_a_steady_copy() -> None:
    found = forecast(steady(50 * MIB, 10 * MIB, rest=4 * GIB))
    assert found.text == "about 1 min"
    assert found.short == "about 1 min left"
    assert found.low == pytest.approx(102.4, abs=0.1)


def test_a_young_copy_is_a_range() -> None:
    assert forecast(steady(50 * MIB, 0, seconds=5)) == UNKNOWN
    assert forecast(steady(50 * MIB, 0, seconds=20, rest=30 * GIB)).text == (
        "6 min to 17 min"
    )


def test_a_guest_that_writes_as_fast() -> None:
    found = forecast(steady(20 * MIB, 20 * MIB))
    assert found.kind == Kind.DIVERGES
    assert found.text == found.short == "does not converge at this rate"
    assert forecast(steady(20 * MIB, 30 * MIB)).kind == Kind.DIVERGES
    assert forecast(steady(20 * MIB, 19.8 * MIB)).kind == Kind.DIVERGES
    young = forecast(steady(20 * MIB, 30 * MIB, seconds=40))
    assert young == UNKNOWN, "it may have been a burst"


def test_little_is_left_and_it_falls_slowly() -> None:
    found = forecast(steady(20 * MIB, 19.8 * MIB, rest=20 * MIB))
    assert found.kind == Kind.RANGE


def test_a_copy_that_stands() -> None:
    assert forecast(steady(0, 0)).text == "stands still"
    assert forecast(steady(0, 0, seconds=30)) == UNKNOWN


def test_a_guest_that_began_to_write_much() -> None:
    """The rest fell by half, and then rose again a little."""
    marks = [Mark(0, 0, 10 * GIB), Mark(60, 5 * GIB, 10 * GIB)]
    found = forecast([*marks, Mark(120, 7 * GIB, 13 * GIB)])
    assert found.high is None
    assert found.text == "1 min or more"


def test_what_is_left_is_nothing() -> None:
    assert forecast(steady(MIB, 0, rest=0)) == Forecast(Kind.RANGE, 0.0, 0.0)


def test_libvirt_s_first_figures_are_none() -> None:
    assert forecast([Mark(0, 0, 1), Mark(100, 1, 1)]) == UNKNOWN


def test_what_helps() -> None:
    words = " ".join(what_helps(limit=20 * MIB, synchronous=False))
    assert "the limit is 20 MiB/s" in words
    assert "Synchronous writes" in words
    words = " ".join(what_helps(limit=0, synchronous=True))
    assert "No limit" in words
    assert "Synchronous" not in words


# --- Properties -----------------------------------------------------------------------

rates = st.integers(0, 10_000).map(lambda number: number * MIB)
rests = st.just(0) | st.integers(MIB, 2**45)
times = st.floats(LEAST_SECONDS, 1000)


@given(rates, rates, times, rests)
@example(copied=0, written=MIB, seconds=YOUNG_SECONDS, rest=0)
def test_the_truth_about_a_steady_copy_lies_in_what_is_said(
    copied: int, written: int, seconds: float, rest: int
) -> None:
    if written > copied:
        # There was something to begin with: 0/0 is no mark, and makes the copy younger.
        rest += round((written - copied) * seconds) + MIB
    found = forecast(steady(copied, written, seconds=seconds, rest=rest))
    if found.kind == Kind.RANGE and rest:
        assert found.low is not None
        assert copied > written
        true = rest / (copied - written)
        assert found.low <= true * 1.01 + 1
        assert found.high is None or found.high >= true * 0.99 - 1
    if copied <= written and rest:
        assert found.kind != Kind.RANGE
        if seconds >= YOUNG_SECONDS:
            assert found.kind == (Kind.DIVERGES if copied else Kind.STANDS)


steps = st.tuples(st.floats(0, 60), st.integers(0, 2**40), st.integers(0, 2**40))


@given(st.lists(steps, max_size=12), st.floats(0, 2e9))
def test_whatever_comes_it_is_in_order(
    taken: list[tuple[float, int, int]], begin: float
) -> None:
    marks = [Mark(begin, 0, 0)]
    for seconds, more, larger in taken:
        before = marks[-1]
        marks.append(
            Mark(before.at + seconds, before.current + more, before.end + larger)
        )
    found = forecast(marks)
    assert found.text
    if marks[-1].at - marks[0].at < LEAST_SECONDS:
        assert found == UNKNOWN
    if found.kind == Kind.RANGE:
        assert found.low is not None
        assert 0 <= found.low <= (found.high if found.high is not None else found.low)
    else:
        assert (found.low, found.high) == (None, None)
    if found.kind in (Kind.DIVERGES, Kind.STANDS):
        assert marks[-1].at - marks[0].at >= YOUNG_SECONDS


# --- What it rests on, in Redis -------------------------------------------------------


@pytest.mark.usefixtures("redis")
class TestMarks:
    @pytest.fixture
    def look(self, monkeypatch: pytest.MonkeyPatch) -> Look:
        clock = [1000.0]
        monkeypatch.setattr("jobs.live.time.time", lambda: clock[0])

        def look(seconds: float, current: int, end: int, limit: int = 0) -> Forecast:
            clock[0] += seconds
            live.store_progress({1: Progress(current, end, limit)})
            return live.progress_of([1])[1].forecast

        return look

    def test_two_minutes_are_remembered(self, look: Look) -> None:
        for second in range(400):
            found = look(1, second * 50 * MIB, 100 * GIB)
            marks = live.progress_of([1])[1].marks
            assert len(marks) <= 12
        assert marks[-1].at - marks[0].at <= 120
        assert found.text == "about 27 min"

    def test_another_limit_begins_anew(self, look: Look) -> None:
        for second in range(100):
            look(1, second * 50 * MIB, 100 * GIB)
        assert look(1, 100 * 50 * MIB, 100 * GIB, limit=MIB) == UNKNOWN

    def test_so_does_what_goes_backwards(self, look: Look) -> None:
        look(1, 50 * GIB, 100 * GIB)
        assert look(60, 1 * GIB, 100 * GIB) == UNKNOWN

    def test_old_numbers_foretell_nothing(
        self, look: Look, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        look(1, 0, 100 * GIB)
        assert look(60, GIB, 100 * GIB) != UNKNOWN
        monkeypatch.setattr("jobs.live.time.time", lambda: 1070.0)
        assert live.progress_of([1])[1].forecast == UNKNOWN
