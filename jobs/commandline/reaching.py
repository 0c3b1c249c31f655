"""Answering for a job: at once, or when what was asked for is reached."""

from __future__ import annotations

from jobs.commandline.answer import Answer, Call
from jobs.commandline.display import display
from jobs.commandline.records import job_record
from jobs.commandline.waiting import Goal, follow
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob


def reached(call: Call, job: CopyJob, goal: Goal, asked: str) -> Answer:
    """Answer `asked` at once, or with --wait when the job reached `goal`."""
    if not call.options.wait:
        return Answer(job_record(job), asked)
    return followed(call, job, goal)


def followed(call: Call, job: CopyJob, goal: Goal) -> Answer:
    """Answer when the job reached `goal`; Failure when it can't any more."""
    shown = display(as_json=call.options.json)
    there = follow(job.pk, goal, shown, call.options.timeout)
    return Answer(job_record(there), _ended(there))


def _ended(job: CopyJob) -> str:
    told = f"Job {job.pk}: {State(job.state).label}."
    open_choice = job.state == State.MIRRORING and job.when_ready == WhenReady.WAIT
    hint = f"Decide: blockcopy job pivot|finish|cancel {job.pk}." if open_choice else ""
    return " ".join(filter(None, [told, job.left_behind, job.flagged, hint]))
