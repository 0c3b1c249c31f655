"""Nobody at work over a start time: the copy is late, and it is begun once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.kit import Console, doubled, wait_until
from tests.faults.parked import Parking

# From the request to the start, and how long nobody is at work after that.
AHEAD, ASLEEP = timedelta(seconds=20), 3.0


def scheduled(console: Console, parking: Parking) -> tuple[int, datetime]:
    """A copy that is to start in a moment, and when."""
    start_at = (datetime.now(UTC) + AHEAD).replace(microsecond=0)
    guest = parking.free_guests(1)[0]
    told = {"start": "later", "start_time": f"{start_at:%H:%M:%S}", "zone": "UTC"}
    job = parking.copy(guest, **told)
    assert console.states(job) == ["requested"]
    return job, start_at


def sleep_over(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()) + ASLEEP)


@pytest.mark.parametrize("asleep", ["worker and beat", "beat", "redis"])
def test_nobody_at_work(asleep: str, console: Console, parking: Parking) -> None:
    job, start_at = scheduled(console, parking)
    stack = console.stack
    services: tuple[Any, ...] = {
        "worker and beat": (stack.worker, stack.beat),
        "beat": (stack.beat,),
        "redis": (stack.redis,),
    }[asleep]
    for service in services:
        service.kill()
    sleep_over(start_at)
    assert console.states(job) == ["requested"]
    for service in services:
        service.start()
    console.wait_for({job: "mirroring"})
    assert console.calls(job) == ["start"]
    console.must_be_kept()


def test_two_of_everything(console: Console, parking: Parking) -> None:
    """Two beats and two workers see its time come; one of them takes it up."""
    job, start_at = scheduled(console, parking)
    with doubled(console.stack):
        sleep_over(start_at)
        console.wait_for({job: "mirroring"})
        assert console.calls(job) == ["start"]
        console.must_be_kept()


def test_withdrawn_while_nobody_is_at_work(console: Console, parking: Parking) -> None:
    job, start_at = scheduled(console, parking)
    console.stack.worker.kill()
    sleep_over(start_at)
    console.olga.act(job, "cancel")
    console.stack.worker.start()
    wait_until(lambda: console.stack.worker.said(" ready."))
    time.sleep(ASLEEP)
    assert console.states(job) == ["cancelled"]
    assert console.calls(job) == []
    console.must_be_kept()
