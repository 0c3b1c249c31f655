"""The table at the end."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.chaos.promises import Break, Promise
from bench.chaos.watch import Recovery


@dataclass
class Result:
    """What a run came to."""

    seed: int
    database: str
    guests: int
    disks: int
    seconds: float
    rounds: int
    jobs: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(
        default_factory=Counter
    )  # nothing was there to be killed
    recoveries: list[Recovery] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    compared: int = 0
    calls: int = 0
    lost_by_libvirt: int = 0
    unheard: int = 0
    loads: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    restarted: int = 0

    @property
    def broken(self) -> Counter[Promise]:
        return Counter(each.promise for each in self.breaks)

    def seconds_of(self, kind: str = "") -> list[float]:
        """The times until everything was true, after a kind of death or after any."""
        return sorted(
            each.seconds for each in self.recoveries if not kind or kind in each.deaths
        )


FIGURES = ("median", "p99", "max")


def as_json(result: Result) -> dict[str, Any]:
    times = result.seconds_of()
    return {
        "seed": result.seed,
        "database": result.database,
        "guests": result.guests,
        "disks": result.disks,
        "seconds": round(result.seconds, 1),
        "rounds": result.rounds,
        "jobs": dict(result.jobs),
        "answers": dict(result.answers),
        "kills": dict(result.kills),
        "until_true": dict(zip(FIGURES, figures(times), strict=True)),
        "compared": result.compared,
        "calls": result.calls,
        "lost_by_libvirt": result.lost_by_libvirt,
        "unheard": result.unheard,
        "load": dict(zip(FIGURES, figures(sorted(result.loads)), strict=True)),
        "slow": dict(zip(FIGURES, figures(sorted(result.slow)), strict=True)),
        "broken": {str(promise): result.broken[promise] for promise in Promise},
        "breaks": [
            {"promise": str(b.promise), "job": b.job, "sentence": b.sentence}
            for b in result.breaks
        ],
    }


def figures(times: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum of sorted times."""
    if not times:
        return 0.0, 0.0, 0.0
    p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
    return round(statistics.median(times), 2), round(p99, 2), round(times[-1], 2)


def as_text(result: Result) -> str:
    lines = [
        f"seed {result.seed}, {result.database}, {result.seconds / 60:.1f} minutes, "
        f"{result.rounds} rounds, {result.guests} guests with {result.disks} disks",
        "",
        f"jobs {result.jobs.total():25}   {_counts(result.jobs)}",
        f"acts of the operator {result.answers.total():9}   {_counts(result.answers)}",
        f"changing calls on the hosts {result.calls:2}",
        f"images compared {result.compared:14}",
        f"guests that libvirt lost {result.lost_by_libvirt:5}   "
        "(killed in a pivot; ended and started again)",
        f"finishes that nobody vouches for {result.unheard}",
        f"processes that ended themselves {result.restarted}",
        f"load of the machine   {_figures(result.loads)}",
        f"20 ms of work take, times {_figures(result.slow)}",
        "",
        f"{'killed':20} times   until all is true again (s): median    p99    max",
    ]
    for kind in sorted(result.kills):
        lines.append(_line(kind, result.kills[kind], result.seconds_of(kind)))
    lines.append(_line("all", result.kills.total(), result.seconds_of()))
    lines += ["", f"{'promise':58} breaks"]
    lines += [f"{promise:58} {result.broken[promise]:6}" for promise in Promise]
    lines += [""] if result.breaks else []
    lines += [f"job {b.job or '-'}: {b.promise}: {b.sentence}" for b in result.breaks]
    return "\n".join(lines)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))


def _figures(values: list[float]) -> str:
    found = zip(FIGURES, figures(sorted(values)), strict=True)
    return ", ".join(f"{name} {value:.2f}" for name, value in found)


def _line(kind: str, times: int, seconds: list[float]) -> str:
    median, p99, longest = figures(seconds)
    return f"{kind:20} {times:5} {median:37.2f} {p99:6.2f} {longest:6.2f}"
