"""What is told of copies besides their rows: events and samples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from jobs.lifecycle import ENDED, State
from jobs.made_up import copies
from jobs.made_up.copies import Told
from jobs.made_up.loading import Row, load
from jobs.models import CopyJob, JobDefinition, JobEvent, JobSample, Leftover

# Samples of each active copy, and of each fiftieth past one.
SAMPLES = 60


def write(told: list[Told], now: datetime) -> None:
    """Write the copies with all that is told of them."""
    load(CopyJob, map(copies.job_row, told))
    load(JobEvent, _events(told))
    load(JobSample, _samples(told, now))
    load(JobDefinition, copies.definition_rows(told))
    load(Leftover, copies.leftover_rows(told, now))


def _events(told: list[Told]) -> Iterator[Row]:
    number = 0
    for each in told:
        for event in _events_of(each):
            number += 1
            yield {"id": number, "job_id": each.pk, **event}


def _events_of(told: Told) -> Iterator[Row]:
    old = State.QUEUED
    yield _event(told.asked, "", old, f"Requested by {told.person}.", told.person)
    if told.begun is not None:
        yield _event(told.begun, old, State.STARTING, "The start was asked for.")
        yield _event(told.begun, State.STARTING, State.COPYING, "The copy runs.")
        old = State.COPYING
    if told.ready is not None:
        yield _event(told.ready, old, State.MIRRORING, "Source and copy are in sync.")
        old = State.MIRRORING
    if told.verb and told.ending is not None:
        words = f"{told.verb.capitalize()} asked for by {told.person}."
        yield _event(told.ending, old, told.state, words, told.person)
    if told.state in ENDED and told.ended is not None:
        bad = bool(told.failure)
        yield _event(told.ended, old, told.state, told.detail, level=bad)


def _event(
    time: datetime,
    old: str,
    new: State,
    message: str,
    actor: str = "system",
    *,
    level: bool = False,
) -> Row:
    return {
        "time": time,
        "level": JobEvent.Level.ERROR if level else JobEvent.Level.INFO,
        "old_state": old,
        "new_state": new,
        "actor": actor,
        "message": message,
    }


def _samples(told: list[Told], now: datetime) -> Iterator[Row]:
    number = 0
    for each in told:
        if each.begun is None or (each.ended is not None and each.pk % 50):
            continue
        size = each.disk["capacity"]
        ready, last = each.ready or each.ended or now, each.ended or now
        for step in range(SAMPLES):
            number += 1
            at = each.begun + (last - each.begun) * step / SAMPLES
            part = min(1.0, (at - each.begun) / max(ready - each.begun, copies.MOMENT))
            wave = 1 + 0.1 * (step % 7)
            end = size + step * 2**20
            yield {
                "id": number,
                "job_id": each.pk,
                "at": at,
                "current": int(end * part / wave) if part < 1 else end,
                "end": end,
                "bandwidth": 0,
                "written": step * 2**21,
            }
