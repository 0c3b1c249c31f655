"""Words and steps that the tests of `blockcopy job` share."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.transition import move

TO = "/srv/images/web-copy.qcow2"
START = ("job", "start", "alder", "web", "vda")


def the_job() -> CopyJob:
    return CopyJob.objects.latest("pk")


def becomes(*states: State, **fields: Any) -> Any:
    """Return a step in which the newest job goes through `states`."""

    def step() -> None:
        job = the_job()
        for state in states:
            assert move(job, state, f"It is {state.label}.", actor=SYSTEM, **fields)

    return step


def mirroring(job: CopyJob) -> CopyJob:
    move(job, State.MIRRORING, "In sync.", actor=SYSTEM, ready_at=timezone.now())
    return job
