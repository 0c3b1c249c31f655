"""Showing how a job goes on while somebody waits: on standard error, never beside the
answer on standard output."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from jobs.lifecycle import State
from jobs.live import LiveProgress
from jobs.models import CopyJob
from jobs.units import bandwidth_text

LINE_EACH = 10.0  # seconds between lines that tell only of progress


class Display(Protocol):
    """Shows a job again and again while a command waits for it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, job: CopyJob, progress: LiveProgress | None) -> None:
        """Show where `job` stands."""


def display(*, as_json: bool) -> Display:
    """Return a moving bar on a terminal, else lines; nothing in a script with JSON."""
    if sys.stderr.isatty():
        return Bar()
    return Silence() if as_json else Lines()


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, job: CopyJob, progress: LiveProgress | None) -> None:
        return None


class Lines(Silence):
    """A line for each new state, and one every ten seconds of copying."""

    def __init__(self) -> None:
        self._state = ""
        self._next = 0.0

    def show(self, job: CopyJob, progress: LiveProgress | None) -> None:
        now = time.monotonic()
        if job.state == self._state and (progress is None or now < self._next):
            return
        if job.state != self._state or job.state == State.COPYING:
            print(f"job {job.pk}: {line(job, progress)}", file=sys.stderr, flush=True)
        self._state, self._next = job.state, now + LINE_EACH


class Bar(Silence):
    """A progress bar that disappears when the waiting ends."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("job {task.fields[number]}: {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: CopyJob, progress: LiveProgress | None) -> None:
        if self._task is None:
            self._task = self._progress.add_task(
                "", total=None, number=job.pk, figures=""
            )
        percent = _percent(job, progress)
        self._progress.update(
            self._task,
            description=State(job.state).label,
            total=None if percent is None else 100.0,
            completed=percent or 0.0,
            figures=_figures(job, progress),
        )


def line(job: CopyJob, progress: LiveProgress | None) -> str:
    """Return state and figures in one line."""
    return f"{State(job.state).label} {_figures(job, progress)}".rstrip()


def _percent(job: CopyJob, progress: LiveProgress | None) -> float | None:
    if job.ready_at is not None:
        return 100.0
    return progress.percent if progress else None


def _figures(job: CopyJob, progress: LiveProgress | None) -> str:
    if progress is None or progress.percent is None or job.state != State.COPYING:
        return ""
    # 100 % of what libvirt counts is not yet "in sync"; never claim it.
    rate = bandwidth_text(round(progress.rate)) if progress.rate >= 1 else ""
    done = f"{min(progress.percent, 99.9):.1f} % {rate}".rstrip()
    return ", ".join(filter(None, [done, progress.forecast.short]))
