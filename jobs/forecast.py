"""How long a copy still takes, as honestly as its last minutes tell. No I/O.

What is left falls by what is copied and rises by what the guest writes to where the
copy has been. So not the copy's rate counts, but by how much the rest has really
fallen; and where it falls unevenly, the answer is a range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from jobs.said import say
from jobs.units import bandwidth_text, rough_text

# Nothing is said of a shorter time; no copy is called hopeless, or certain, before
# the longer one.
LEAST_SECONDS = 8.0
YOUNG_SECONDS = 60.0
# A rest that falls by less than this part of what was copied does not really fall,
# unless it is gone within the hour all the same.
LEAST_FALL = 0.02
SOON_SECONDS = 3600.0
# Ends of a range that are nearer than that are one to a reader.
SAME = 1.25


class Mark(NamedTuple):
    """A copy's counters at one moment. Seconds since the epoch, bytes."""

    at: float
    current: int
    end: int

    @property
    def rest(self) -> int:
        return max(0, self.end - self.current)


class Kind(StrEnum):
    """What can be said of the time left."""

    UNKNOWN = "unknown"
    RANGE = "range"
    STANDS = "stands"  # nothing was copied in a minute
    DIVERGES = "diverges"  # the guest writes as fast as is copied


@dataclass(frozen=True)
class Forecast:
    """The time left: `low` to `high` seconds for a range, `high` None if open."""

    kind: Kind
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """Say it: "about 5 min", "4 min to 9 min", "does not converge at this rate"."""
        if self.kind == Kind.STANDS:
            return say("stands still")
        if self.kind == Kind.DIVERGES:
            return say("does not converge at this rate")
        if self.low is None:
            return say("unknown")
        low = rough_text(self.low)
        if self.high is None:
            return say("%(low)s or more", low=low)
        high = rough_text(self.high)
        near = self.high <= SAME * self.low
        return (
            say("about %(high)s", high=high)
            if near or low == high
            else say("%(low)s to %(high)s", low=low, high=high)
        )

    @property
    def short(self) -> str:
        """Say it after a rate in a line: "about 5 min left"; empty if unknown."""
        if self.kind == Kind.UNKNOWN:
            return ""
        if self.kind == Kind.RANGE:
            return say("%(time)s left", time=self.text)
        return self.text


UNKNOWN = Forecast(Kind.UNKNOWN)


def forecast(marks: Sequence[Mark]) -> Forecast:
    """Return the time left at the last of `marks`, which are in the order of time.

    All of them are of the same copy and under the same limit.
    """
    known = [mark for mark in marks if mark.end > 1]  # 0/0 and 1/1 say nothing yet
    if not known or known[-1].at - known[0].at < LEAST_SECONDS:
        return UNKNOWN
    first, last = known[0], known[-1]
    span = last.at - first.at
    old = span >= YOUNG_SECONDS
    if last.rest == 0:
        return Forecast(Kind.RANGE, 0.0, 0.0)
    copied = last.current - first.current
    if copied <= 0:
        return Forecast(Kind.STANDS) if old else UNKNOWN
    if not _falls(first, last, copied):
        return Forecast(Kind.DIVERGES) if old else UNKNOWN
    return _range(last.rest, _falls_per_second(known), span)


def _falls(first: Mark, last: Mark, copied: int) -> bool:
    fall = first.rest - last.rest
    if fall <= 0:
        return False
    soon = last.rest * (last.at - first.at) <= SOON_SECONDS * fall
    return soon or fall > LEAST_FALL * copied


def _falls_per_second(marks: Sequence[Mark]) -> list[float]:
    """Bytes/s by which the rest fell: over all the time, and over either half of it."""
    first, last = marks[0], marks[-1]
    middle = min(marks, key=lambda mark: abs(2 * mark.at - first.at - last.at))
    return [
        (before.rest - after.rest) / (after.at - before.at)
        for before, after in (*pairwise((first, middle, last)), (first, last))
        if after.at > before.at
    ]


def _range(rest: int, falls: Sequence[float], span: float) -> Forecast:
    """The young are given more room, by up to as much again."""
    room = 1 + max(0.0, 1 - span / YOUNG_SECONDS)
    slowest, fastest = min(falls), max(falls)
    return Forecast(
        Kind.RANGE,
        rest / fastest / room,
        rest / slowest * room if slowest > 0 else None,
    )


def what_helps(*, limit: int, synchronous: bool) -> list[str]:
    """Say what makes a copy converge whose guest writes as fast as it copies.

    `limit` is the copy's bandwidth in bytes/s, 0 for none; `synchronous` whether the
    guest's writes wait for the copy already.
    """
    if limit:
        words = [
            say("More bandwidth: the limit is %(limit)s.", limit=bandwidth_text(limit))
        ]
    else:
        words = [
            say(
                "No limit holds it back: the source, the destination or the way "
                "between them gives no more. A faster destination helps."
            )
        ]
    if not synchronous:
        words.append(
            say(
                "Synchronous writes at the next start: the guest then waits for the "
                "copy instead of running ahead of it."
            )
        )
    return [*words, say("Fewer writes in the guest meanwhile.")]
