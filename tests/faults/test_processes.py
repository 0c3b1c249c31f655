"""Each process killed with -9 in each state of a job, on both databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.kit import Console, held, wait_until
from tests.faults.parked import AFTERWARDS, Parking, Row

# For how long somebody else keeps the database to themselves.
LOCKED_SECONDS = 5


@dataclass(frozen=True)
class Death:
    """What is killed when. The host is frozen at first and goes on in between."""

    on: str  # the databases of this row
    happen: Callable[[Console, Row], None]


ROWS: dict[str, Death] = {}


def row(on: str) -> Callable[[Callable[[Console, Row], None]], None]:
    """Add a row: what happens while a job is parked in each state."""

    def add(happen: Callable[[Console, Row], None]) -> None:
        ROWS[happen.__name__] = Death(on, happen)

    return add


@row("sqlite postgresql")
def worker_between_intent_and_call(console: Console, row: Row) -> None:
    console.stack.worker.kill()
    row.thaw()
    console.stack.bring_back(console.stack.worker)


@row("sqlite postgresql")
def worker_in_the_call(console: Console, row: Row) -> None:
    """The calls take effect while nobody is there to hear the answer."""
    stuck = ("finishing", "cancelling")
    jobs = [row.jobs[state] for state in stuck]
    # Once the daemon goes on, a guest that is asked for its progress first would keep
    # the call away.
    wait_until(lambda: console.calls_under_way(*jobs))
    row.freeze_guests(*stuck)
    row.thaw_daemon()
    wait_until(lambda: all(console.calls(job)[-1] == "end" for job in jobs))
    console.stack.worker.kill()
    row.thaw()
    console.stack.bring_back(console.stack.worker)


@row("sqlite postgresql")
def worker_between_call_and_outcome(console: Console, row: Row) -> None:
    """What the listener heard of the finish outlives the worker that was told of it."""
    with held(console):
        row.thaw()
        row.until_carried_out()
        console.stack.worker.kill()
    console.stack.bring_back(console.stack.worker)


@row("sqlite postgresql")
def beat(console: Console, row: Row) -> None:
    console.stack.beat.kill()
    row.thaw()
    console.stack.bring_back(console.stack.beat)


@row("sqlite postgresql")
def listener(console: Console, row: Row) -> None:
    """Nothing depends on events: all is found out before it comes back."""
    console.stack.listener.kill()
    row.thaw()
    assert console.promises.until_true() == []
    console.stack.bring_back(console.stack.listener)


@row("sqlite postgresql")
def web(console: Console, row: Row) -> None:
    console.stack.web.kill()
    row.thaw()
    console.stack.bring_back(console.stack.web)


@row("sqlite postgresql")
def web_beat_and_listener(console: Console, row: Row) -> None:
    stack = console.stack
    for service in (stack.web, stack.beat, stack.listener):
        service.kill()
    row.thaw()
    stack.bring_back(stack.web, stack.beat, stack.listener)


@row("sqlite postgresql")
def redis(console: Console, row: Row) -> None:
    """With its data beside SQLite, without it beside PostgreSQL."""
    console.stack.redis.kill()
    row.thaw()
    console.stack.redis.start()


@row("sqlite")
def database_locked(console: Console, row: Row) -> None:
    with held(console):
        row.thaw()
        time.sleep(LOCKED_SECONDS)


@row("postgresql")
def database_killed(console: Console, row: Row) -> None:
    assert console.postgres
    row.thaw()
    console.postgres.kill()
    console.postgres.start()
    # Connections that died with it are handed to nobody.
    assert [console.olga.get("/jobs/")[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("name", ROWS)
def test_killed(name: str, console: Console, parking: Parking) -> None:
    if console.database not in ROWS[name].on:
        pytest.skip(f"not a row of {console.database}")
    with parking.row() as row:
        ROWS[name].happen(console, row)
    console.must_be_kept_soon(f"{console.database} {name}")
    assert row.states() == AFTERWARDS, console.story(*row.jobs.values())
