"""Waiting for what was asked for. Ending the waiting never ends a job."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from redis.client import PubSub
from redis.exceptions import RedisError

from jobs import live
from jobs.commandline import find
from jobs.commandline.answer import Failure, Status
from jobs.commandline.display import Display
from jobs.commandline.records import job_record
from jobs.lifecycle import ENDED, State, WhenReady
from jobs.models import CopyJob

T = TypeVar("T")
LOOK_EACH = 1.0  # seconds, should no wake-up come


@dataclass(frozen=True)
class Goal:
    """The states that were asked for, and those from which they can't be reached."""

    wanted: frozenset[State]
    hopeless: frozenset[State]

    @classmethod
    def end(cls, *wanted: State, falls_back: bool = False) -> Goal:
        """An ending. With `falls_back` a return to mirroring is a refusal."""
        back = {State.MIRRORING} if falls_back else set()
        return cls(frozenset(wanted), (ENDED | back) - frozenset(wanted))


READY = Goal(
    wanted=frozenset(
        {
            State.MIRRORING,
            State.PIVOTING,
            State.FINISHING,
            State.PIVOTED,
            State.COPIED,
        }
    ),
    hopeless=frozenset({State.CANCELLING, State.CANCELLED, State.FAILED, State.LOST}),
)
COMPLETE = Goal.end(State.PIVOTED, State.COPIED)
BY_POLICY = {
    WhenReady.WAIT: READY,
    WhenReady.PIVOT: Goal.end(State.PIVOTED),
    WhenReady.FINISH: Goal.end(State.COPIED),
}
BY_VERB = {
    "pivot": Goal.end(State.PIVOTED, falls_back=True),
    "finish": Goal.end(State.COPIED, falls_back=True),
    "cancel": Goal.end(State.CANCELLED),
}


def follow(pk: int, goal: Goal, display: Display, timeout: float | None) -> CopyJob:
    """Return job `pk` once it reached `goal`.

    Failure when it can't any more, after `timeout` seconds, and on Ctrl-C.
    """

    def look() -> CopyJob | None:
        job = find.job(pk)
        display.show(job, live.progress_of([pk]).get(pk))
        return job if job.state in goal.wanted | goal.hopeless else None

    try:
        with display:
            job = wait_until(look, timeout)
    except KeyboardInterrupt:
        raise _stopped(pk, Status.INTERRUPTED, "Stopped waiting.") from None
    if job is None:
        raise _stopped(pk, Status.TIMED_OUT, f"Not reached in {timeout:g} s.")
    if job.state in goal.hopeless:
        raise Failure(_what_came_instead(job), data=job_record(job))
    return job


def _stopped(pk: int, status: Status, why: str) -> Failure:
    job = find.job(pk)
    goes_on = "it goes on" if job.active else "it has ended"
    return Failure(
        f"{why} Job {pk} is {State(job.state).label}; {goes_on}.",
        status=status,
        data=job_record(job),
    )


def _what_came_instead(job: CopyJob) -> str:
    last = job.events.exclude(new_state="").last()
    said = job.failure or (last.message if last else "")
    told = f"Job {job.pk}: {State(job.state).label}. {said}"
    return " ".join(filter(None, [told, job.remedy, job.left_behind]))


def wait_until(look: Callable[[], T | None], timeout: float | None) -> T | None:
    """Look at each wake-up until `look` returns something; None after `timeout`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    with WakeUps() as wake_ups:
        while (found := look()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            wake_ups.wait(LOOK_EACH if left is None else min(left, LOOK_EACH))
    return found


class WakeUps:
    """What the workers tell the pages, to look sooner; without Redis just time."""

    def __init__(self) -> None:
        self._heard: PubSub | None = None

    def __enter__(self) -> Self:
        with suppress(RedisError):
            heard: PubSub = live.client().pubsub(  # type: ignore[no-untyped-call]
                ignore_subscribe_messages=True
            )
            heard.subscribe(live.CHANNEL)
            self._heard = heard
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._heard is not None:
            with suppress(RedisError):
                self._heard.close()

    def wait(self, seconds: float) -> None:
        """Return at the next wake-up, after `seconds` at the latest."""
        if self._heard is not None:
            try:
                self._heard.get_message(timeout=seconds)
            except RedisError:
                self._heard = None
            else:
                return
        time.sleep(seconds)
