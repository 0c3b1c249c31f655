"""The chart of a copy over its time: rates and what remains, as paths for an SVG.

Samples are counters, so what is drawn between two of them is the true mean, however
many were left out. The plots have no words in them: they are stretched to the room
there is, and the words stand beside them in HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from jobs.console.clock import duration_text
from jobs.models import CopyJob, JobSample
from jobs.said import localized, say
from jobs.samples import EVERY_SECONDS
from jobs.units import bandwidth_text, bytes_text, rate_text, rough_text

# A plot's own coordinates.
WIDTH, HEIGHT = 1000, 100
# At most so many stretches are drawn, and so many rows stand in the table.
MOST_DRAWN = 120
MOST_ROWS = 24


@dataclass(frozen=True)
class Stretch:
    """A copy between two samples. Seconds since the copy began; bytes, bytes/s.

    `writes` is None where the guest was not asked.
    """

    begin: float
    end: float
    rate: float
    writes: float | None
    remaining: int

    @property
    def when_text(self) -> str:
        return say(
            "%(begin)s to %(end)s",
            begin=duration_text(self.begin),
            end=duration_text(self.end),
        )

    @property
    def rate_text(self) -> str:
        return rate_text(self.rate)

    @property
    def writes_text(self) -> str:
        return rate_text(self.writes)

    @property
    def remaining_text(self) -> str:
        return bytes_text(self.remaining)


class Level(NamedTuple):
    """A value that held from `begin` to `end`; None where none is known, or is set."""

    begin: float
    end: float
    value: float | None


@dataclass(frozen=True)
class Line:
    """One quantity in a plot: what it is called, its style, and its path."""

    name: str
    style: str
    path: str
    last: str


@dataclass(frozen=True)
class Plot:
    """Lines over one scale from 0 to `top`, and what it shows in words."""

    key: str
    title: str
    says: str
    top: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Chart:
    """What a job's samples show, since `began_at`; `limit` is that of the newest."""

    stretches: tuple[Stretch, ...]
    rows: tuple[Stretch, ...]
    limits: tuple[Level, ...]
    began_at: datetime
    ready_after: float | None
    limit: int

    @property
    def newest(self) -> float:
        """Return when the newest figures were taken, as of time.time()."""
        return self.began_at.timestamp() + self.seconds

    @property
    def seconds(self) -> float:
        return self.stretches[-1].end

    @property
    def ticks(self) -> list[str]:
        """Return the words of the time axis, from left to right."""
        return [duration_text(self.seconds * part / 4) for part in range(5)]

    @property
    def ready_x(self) -> float | None:
        """Return where the copy came into sync; None if not in this time."""
        after = self.ready_after
        if after is None or not 0 < after < self.seconds:
            return None
        return round(WIDTH * after / self.seconds, 1)

    @cached_property
    def plots(self) -> tuple[Plot, Plot]:
        return self._rates(), self._remaining()

    def _rates(self) -> Plot:
        last = self.stretches[-1]
        shown: dict[str, tuple[str, Sequence[Level], str]] = {
            "copy": (
                say("Copy rate"),
                [Level(each.begin, each.end, each.rate) for each in self.stretches],
                rate_text(last.rate),
            ),
            "writes": (
                say("Guest writes"),
                [Level(each.begin, each.end, each.writes) for each in self.stretches],
                rate_text(last.writes),
            ),
            "limit": (say("Limit"), self.limits, bandwidth_text(self.limit)),
        }
        known = {
            style: [each.value for each in levels if each.value is not None]
            for style, (_, levels, _) in shown.items()
        }
        most = max(known["copy"] + known["writes"])
        # A limit far above what is copied would press the lines to the ground.
        if known["limit"] and max(known["limit"]) <= 2 * most:
            most = max(most, *known["limit"])
        top = ceiling(most)
        lines = tuple(
            Line(name, style, self._steps(levels, top), text)
            for style, (name, levels, text) in shown.items()
            if known[style] and (style != "limit" or max(known[style]) <= top)
        )
        return Plot("rates", say("Rates"), self._says(lines), rate_text(top), lines)

    def _remaining(self) -> Plot:
        top = ceiling(max(each.remaining for each in self.stretches))
        last = self.stretches[-1].remaining_text
        levels = [
            Level(each.begin, each.end, each.remaining) for each in self.stretches
        ]
        line = Line(say("Remaining"), "remaining", self._steps(levels, top), last)
        return Plot(
            "remaining",
            say("Remaining"),
            self._says((line,)),
            bytes_text(top),
            (line,),
        )

    def _says(self, lines: Iterable[Line]) -> str:
        values = ", ".join(
            f"{localized(line.name)} {localized(line.last)}" for line in lines
        )
        return say(
            "Over %(time)s; at the end: %(values)s.",
            time=rough_text(self.seconds),
            values=values,
        )

    def _steps(self, levels: Iterable[Level], top: float) -> str:
        """Return the path of `levels`, each over its time; open where none is known."""
        path, drawing = [], False
        for level in levels:
            if level.value is None:
                drawing = False
                continue
            height = _number(HEIGHT - HEIGHT * min(level.value, top) / top)
            begin, end = (
                _number(WIDTH * second / self.seconds)
                for second in (level.begin, level.end)
            )
            path.append(f"V{height}" if drawing else f"M{begin} {height}")
            path.append(f"H{end}")
            drawing = True
        return "".join(path)


def chart_of(job: CopyJob) -> Chart | None:
    """Return the chart of a job; None with less than two samples. One query."""
    samples = list(job.samples.all())
    if len(samples) < 2:
        return None
    # When an adopted copy was begun is not known.
    started_at = None if job.adopted_at else job.started_at
    return draw(samples, job.ready_at, started_at)


def draw(
    samples: Sequence[JobSample],
    ready_at: datetime | None,
    started_at: datetime | None = None,
) -> Chart | None:
    """Return the chart of `samples`, oldest first; None if no time lies in them.

    It begins with the copy, as far as that is known; the lines begin with the samples.
    """
    apart = _apart(samples)
    if len(apart) < 2:
        return None
    first, last = apart[0].at, apart[-1].at
    began_at = min(first, started_at or first)
    ready_after = (ready_at - began_at).total_seconds() if ready_at else None
    return Chart(
        tuple(stretches(_some(apart, MOST_DRAWN), began_at)),
        tuple(stretches(_some(apart, MOST_ROWS), began_at)),
        tuple(limits([each for each in samples if each.at <= last], began_at)),
        began_at,
        ready_after,
        apart[-1].bandwidth,
    )


def stretches(samples: Sequence[JobSample], began_at: datetime) -> list[Stretch]:
    """Return what lies between each two samples that follow one another."""
    return [
        Stretch(
            begin=(before.at - began_at).total_seconds(),
            end=(after.at - began_at).total_seconds(),
            rate=max(0.0, (after.current - before.current) / seconds),
            writes=_writes(before, after, seconds),
            remaining=max(0, after.end - after.current),
        )
        for before, after in pairwise(samples)
        if (seconds := (after.at - before.at).total_seconds()) > 0
    ]


def limits(samples: Sequence[JobSample], began_at: datetime) -> list[Level]:
    """Return the limits one after another. Each holds until the sample that shows
    another one: that is taken when it is set."""
    levels: list[Level] = []
    for before, after in pairwise(samples):
        begin, end = ((each.at - began_at).total_seconds() for each in (before, after))
        limit = before.bandwidth or None
        if levels and levels[-1].value == limit:
            begin = levels.pop().begin
        levels.append(Level(begin, end, limit))
    return levels


def _writes(before: JobSample, after: JobSample, seconds: float) -> float | None:
    if before.written is None or after.written is None:
        return None
    written = after.written - before.written
    return written / seconds if written >= 0 else None  # it counts anew


def _apart(samples: Sequence[JobSample]) -> list[JobSample]:
    """Return the samples without those that follow another one so soon that a mean
    between the two would say little."""
    kept = [samples[0]]
    for each in samples[1:]:
        if (each.at - kept[-1].at).total_seconds() >= EVERY_SECONDS / 2:
            kept.append(each)
    return kept


def _some(samples: Sequence[JobSample], most: int) -> list[JobSample]:
    """Return `most` + 1 of the samples at most, even in number, the ends among them."""
    last = len(samples) - 1
    if last <= most:
        return list(samples)
    return [samples[round(last * part / most)] for part in range(most + 1)]


def ceiling(value: float) -> float:
    """Return the next round number of bytes that a scale can end with, 1 KiB at least.

    It is round in the unit that it is written in: above 500 KiB comes 1 MiB.
    """
    unit = 1024.0
    while value > 500 * unit:
        unit *= 1024
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    return next(step * unit for step in steps if value <= step * unit)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
