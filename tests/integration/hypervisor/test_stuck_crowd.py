"""Guests whose QEMU does not answer, up to twenty in one instant, beside healthy ones
on one host: libvirt has twenty workers for everybody."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.hypervisor.asking import MOST_OPEN
from jobs.hypervisor.belief import Doubt
from lab.calls import questions_to, recording
from lab.crowd import start_crowd
from lab.host import PrivateHost
from tests.integration.hypervisor.tracker import PERIOD, Tracker

pytestmark = pytest.mark.integration

HEALTHY, STUCK = 6, 20
# How much later than usual healthy guests' numbers may come, and anybody's answer.
DELAY_SECONDS = 2.0
FROZEN_SECONDS = 8.0


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    """A host with many guests that run, each with a mirror."""
    directory: Path = tmp_path_factory.mktemp("rowan")
    with PrivateHost(directory, "rowan", configuration=recording(directory)) as host:
        start_crowd(host, STUCK + HEALTHY)
        for name in names_on(host):
            host.virsh("resume", name)
        yield host


def names_on(host: PrivateHost) -> list[str]:
    return sorted(host.virsh("list", "--name").split())


@contextmanager
def frozen(
    host: PrivateHost, names: Collection[str], apart: float = 0.0
) -> Iterator[None]:
    """Stopped so many seconds apart; in one instant, as far as one process can."""
    try:
        for name in names:
            host.kill_guest(name, signal.SIGSTOP)
            time.sleep(apart)
        yield
    finally:
        for name in names:
            host.kill_guest(name, signal.SIGCONT)


def others_are_answered(host: PrivateHost, seconds: float) -> None:
    """For so long the daemon answers everybody soon."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        host.virsh("list")
        assert time.monotonic() - began < DELAY_SECONDS
        time.sleep(0.2)


@pytest.mark.parametrize("number", [1, 3, STUCK])
def test_stuck_guests_hide_no_other(crowd: PrivateHost, number: int) -> None:
    names = names_on(crowd)
    stopped = names[:number]
    # Of so many not all can be asked; those that live are told by processor time.
    healthy = names[number if number < STUCK else STUCK :]
    with Tracker(crowd) as tracker:
        tracker.until_told(names)
        before = questions_to(crowd)
        since = time.monotonic()
        with frozen(crowd, stopped):
            others_are_answered(crowd, FROZEN_SECONDS)
            oldest = tracker.oldest(healthy, since)
            asked = questions_to(crowd) - before
        waiting = {name: asked[name] for name in stopped if asked[name]}
        print(f"{number} stuck, {len(waiting)} asked: numbers {oldest:.1f} s old")
        assert oldest < PERIOD + DELAY_SECONDS
        assert set(waiting.values()) <= {1}, waiting
        assert len(waiting) <= MOST_OPEN[Doubt.GRAVE]
        tracker.until_told(names)


def test_one_after_the_other(crowd: PrivateHost) -> None:
    """As when their storage fails: each answered not long before it stops."""
    names = names_on(crowd)
    healthy = names[STUCK:]
    with Tracker(crowd) as tracker:
        tracker.until_told(names)
        since = time.monotonic()
        with frozen(crowd, names[:STUCK], apart=0.9):
            others_are_answered(crowd, FROZEN_SECONDS)
            oldest = tracker.oldest(healthy, since)
        print(f"{STUCK} stuck one after the other: numbers {oldest:.1f} s old")
        assert oldest < PERIOD + DELAY_SECONDS
        tracker.until_told(names)


def test_killed_workers_leave_workers_to_others(crowd: PrivateHost) -> None:
    """What was asked by one that was killed still waits, which the next one is told by
    nobody but the host."""
    names = names_on(crowd)
    stopped, healthy = names[:STUCK], names[STUCK:]
    with Tracker(crowd) as tracker:
        tracker.until_told(names)
        before = questions_to(crowd)
        with frozen(crowd, stopped):
            others_are_answered(crowd, 4)
            for _ in range(3):
                tracker.kill()
                with Tracker(crowd) as tracker:
                    others_are_answered(crowd, 4)
                    tracker.until_told(healthy)
            asked = questions_to(crowd) - before
    waiting = {name: asked[name] for name in stopped if asked[name]}
    print(f"{len(waiting)} asked; looks: {len(tracker.looks)}")
    assert set(waiting.values()) <= {1}, waiting
    assert len(waiting) <= MOST_OPEN[Doubt.GRAVE]
    with Tracker(crowd) as tracker:
        tracker.until_told(names)
