"""Workers without a broker: what was dispatched is carried out when a test says so."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from celery import current_app
from django.conf import settings

from jobs import live, tasks
from jobs.lifecycle import State
from jobs.models import CopyJob, Host


class Workers:
    """The tasks that were asked for and not yet run, in their order."""

    def __init__(self) -> None:
        self.inbox: list[tuple[str, tuple[object, ...]]] = []

    def send_task(self, name: str, args: tuple[object, ...] = (), **_: object) -> None:
        """Stand in for Celery's `send_task`."""
        self.inbox.append((name.rpartition(".")[2], tuple(args)))

    def work(self) -> None:
        """Run everything in the inbox, and what that asks for in turn."""
        while self.inbox:
            name, args = self.inbox.pop(0)
            getattr(tasks, name)(*args)

    def sweep(self) -> None:
        """Do what one tick of the clock does, however soon after the last one."""
        for pk in Host.objects.values_list("pk", flat=True):
            live.taken_up(f"observe:{pk}")
        tasks.tick()
        self.work()

    def until(
        self, job: CopyJob, *states: State, timeout: float = 30, pause: float = 0.05
    ) -> CopyJob:
        """Sweep until the job is in one of `states`; fails with its history if not."""
        self.until_true(
            lambda: CopyJob.objects.get(pk=job.pk).state in states,
            lambda: f"{list(job.events.values_list('message', flat=True))}",
            timeout,
            pause,
        )
        job.refresh_from_db()
        return job

    def until_true(
        self,
        question: Callable[[], bool],
        story: Callable[[], str],
        timeout: float = 30,
        pause: float = 0.05,
    ) -> None:
        """Sweep until `question` is answered with yes."""
        end = time.monotonic() + timeout
        while not question():
            if time.monotonic() > end:
                pytest.fail(f"did not come about in {timeout} s: {story()}")
            time.sleep(pause)
            self.sweep()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch, redis: None) -> Workers:
    """Workers that work when told to; a host's turn to be looked at for strangers,
    which goes by the clock, does not come."""
    monkeypatch.setattr(settings, "BLOCKCOPY_SWEEP_SECONDS", 10**10)
    made = Workers()
    monkeypatch.setattr(current_app, "send_task", made.send_task)
    return made
