"""An act on many jobs before it is done: which can, which can't, what it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jobs.actions import RETRY, SPEED, BulkAct, to_type_for_many
from jobs.actor import Actor
from jobs.models import CopyJob
from jobs.names import short, some
from jobs.said import joined, say

# Of two jobs or more.
_SENTENCES: dict[str, Callable[..., str]] = {
    "start": lambda **words: say(
        "%(count)d copies on %(hosts)s start now, and not at the times that they were "
        "asked for: %(names)s.",
        **words,
    ),
    "pivot": lambda **words: say(
        "%(names)s will run from their destinations. The %(count)d old files stay on "
        "%(hosts)s and go stale.",
        **words,
    ),
    "finish": lambda **words: say(
        "%(count)d mirrors on %(hosts)s end: %(names)s stay on their sources, and the "
        "destinations are kept as they are at that moment.",
        **words,
    ),
    "cancel": lambda **words: say(
        "%(count)d copies on %(hosts)s end: %(names)s stay on their sources, and what "
        "was written to the destinations can't be relied on.",
        **words,
    ),
    SPEED.name: lambda **words: say(
        "%(count)d copies on %(hosts)s go on with another bandwidth, each of them "
        "with all of it: %(names)s.",
        **words,
    ),
    RETRY.name: lambda **words: say(
        "%(count)d new jobs on %(hosts)s copy %(names)s again, each to the "
        "destination that it had.",
        **words,
    ),
}


@dataclass(frozen=True)
class Unable:
    """A job on which the act is not possible, and why."""

    job: CopyJob
    why_not: str


@dataclass(frozen=True)
class Plan:
    """What `act` would do to a choice of jobs, as they are now."""

    act: BulkAct
    able: list[CopyJob]
    unable: list[Unable]

    @property
    def sentence(self) -> str:
        """Say with names and counts what it leads to; empty if it can do nothing."""
        if len(self.able) < 2:
            return joined(*map(self.act.consequence, self.able))
        hosts = list(dict.fromkeys(job.host_name for job in self.able))
        return _SENTENCES[self.act.name](
            count=len(self.able),
            names=some([f"{short(job.domain_name)} ({job.disk})" for job in self.able]),
            hosts=some(hosts),
        )

    @property
    def to_type(self) -> str:
        """What is to be typed before it is done; "" for nothing."""
        return to_type_for_many(self.act, self.able)

    @property
    def refusals(self) -> list[tuple[CopyJob, str]]:
        return [(one.job, one.why_not) for one in self.unable]

    @property
    def consequences(self) -> list[tuple[CopyJob, str]]:
        return [(job, self.act.consequence(job)) for job in self.able]


def plan_of(act: BulkAct, jobs: Iterable[CopyJob], actor: Actor) -> Plan:
    """Return what `act` can do to each of `jobs` now."""
    able, unable = [], []
    for job in jobs:
        if why_not := act.why_not(job, actor):
            unable.append(Unable(job, why_not))
        else:
            able.append(job)
    return Plan(act, able, unable)


def numbers(text: str, most: int) -> list[int]:
    """Return the job numbers of "3,1,2", each once; ValueError for anything else.

    So does a list of more than `most`.
    """
    parts = [part for part in text.split(",") if part]
    if len(parts) > most or not all(_is_number(part) for part in parts):
        raise ValueError(f"not a list of at most {most} jobs")
    return list(dict.fromkeys(map(int, parts)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 18
