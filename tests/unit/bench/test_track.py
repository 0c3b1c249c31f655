"""What bench/track says of its figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.track import Crowd, Row, verdicts

GOOD = Row(Crowd(200, 1), delay=0, bare=0.2, sweep=0.19, queries=3, median=0.6, p99=1.4)


def missed(*rows: Row) -> list[str]:
    return [promise for kept, promise in verdicts(rows) if not kept]


def test_all_kept() -> None:
    far = replace(GOOD, delay=20.0, bare=4.5, sweep=1.2, median=1.5, p99=3.0)
    large = replace(GOOD, crowd=Crowd(50, 20), median=1.5, p99=3.0)
    assert missed(GOOD, far, large) == [], "their age is not promised"
    assert len(list(verdicts([GOOD, far, large]))) == 3 + 1 + 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(GOOD, sweep=0.21), "200 x 1: a sweep takes 1.05 times"),
        (replace(GOOD, delay=20.0, sweep=0.21), "200 x 1, 20 ms away: a sweep"),
        (replace(GOOD, median=1.1), "numbers are 1.10 s old at the median"),
        (replace(GOOD, p99=2.1), "2.10 s at the 99th percentile"),
        (replace(GOOD, crowd=Crowd(400, 1), p99=2.1), "400 x 1: numbers are"),
    ],
)
def test_a_miss_is_told(row: Row, words: str) -> None:
    (promise,) = missed(row)
    assert words in promise


def test_queries_that_grow() -> None:
    (promise,) = missed(GOOD, replace(GOOD, crowd=Crowd(400, 1), queries=4))
    assert promise.endswith("3, 4")
