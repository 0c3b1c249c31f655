"""Guests asked side by side, of which some do not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import libvirt
import pytest

from jobs.hypervisor import HostUnreachable, Progress
from jobs.hypervisor.asking import FEW, MOST_OPEN, Answer, Round, may_be_asked
from jobs.hypervisor.belief import Doubt, belief_of
from jobs.hypervisor.deadline import left_behind
from jobs.hypervisor.link import Link
from tests.listening import until

DONE = Progress(5, 5, 0)


class Daemon:
    """A host's daemon with guests, of which those in `stuck` answer nothing while
    `gate` is closed. What is taken from `processor` grows with each look."""

    def __init__(self, uri: str, guests: int) -> None:
        self.uri = uri
        self.uuids = [f"guest-{number:02}" for number in range(guests)]
        self.stuck: set[str] = set()
        self.off: set[str] = set()
        self.busy: set[str] = set()
        self.gone = False
        self.gate = threading.Event()
        self.asked: list[str] = []
        self.waiting: set[str] = set()
        self.looks = 0

    def listAllDomains(self) -> list[Domain]:
        return [Domain(self, uuid) for uuid in self.uuids]

    def isAlive(self) -> int:
        return int(not self.gone)

    @contextmanager
    def lend(self) -> Iterator[Link]:
        yield Link(self.uri, cast("libvirt.virConnect", self))

    def answers(self, seconds: float = 5.0) -> dict[str, Answer]:
        wanted = {uuid: ["vda"] for uuid in self.uuids}
        with self.lend() as link:
            end = time.monotonic() + seconds
            return Round(link, self.lend, wanted, end).answers()


class Domain:
    def __init__(self, daemon: Daemon, uuid: str) -> None:
        self.daemon = daemon
        self.uuid = uuid

    def UUIDString(self) -> str:
        return self.uuid

    def controlInfo(self) -> list[int]:
        if self.uuid in self.daemon.waiting:
            return [libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 2000]
        return [0, 0, 0]

    def info(self) -> list[int]:
        self.daemon.looks += 1
        used = self.daemon.looks if self.uuid in self.daemon.busy else 0
        return [1, 0, 0, 1, used]

    def blockJobInfo(self, _: str, __: int) -> dict[str, Any]:
        if self.daemon.gone or self.uuid in self.daemon.off:
            raise libvirt.libvirtError("no")
        self.daemon.asked.append(self.uuid)
        if self.uuid in self.daemon.stuck:
            self.daemon.waiting.add(self.uuid)
            self.daemon.gate.wait()
            self.daemon.waiting.discard(self.uuid)
        return {"cur": 5, "end": 5, "bandwidth": 0}


@pytest.fixture
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    made = Daemon(f"qemu+unix:///session?socket=/{request.node.name}", 26)
    yield made
    made.gate.set()
    until(lambda: left_behind(made.uri) == 0)


def test_all_answer(daemon: Daemon) -> None:
    assert daemon.answers() == {uuid: {"vda": DONE} for uuid in daemon.uuids}
    assert sorted(daemon.asked) == daemon.uuids


def test_who_answered_just_now_is_not_looked_at(daemon: Daemon) -> None:
    daemon.answers()
    before = daemon.looks
    assert len(daemon.answers()) == 26
    assert daemon.looks == before


def test_one_is_stuck(daemon: Daemon) -> None:
    daemon.stuck = {"guest-03"}
    for _ in range(3):
        began = time.monotonic()
        assert set(daemon.answers()) == set(daemon.uuids) - daemon.stuck
        assert time.monotonic() - began < 2
    assert daemon.asked.count("guest-03") == 1
    assert left_behind(daemon.uri) == 1
    daemon.gate.set()
    until(lambda: left_behind(daemon.uri) == 0)
    assert len(daemon.answers()) == 26


def test_an_answer_that_is_late_counts(daemon: Daemon) -> None:
    daemon.stuck = {"guest-03"}
    threading.Timer(0.4, daemon.gate.set).start()
    assert len(daemon.answers()) == 26


def test_twenty_are_stuck_and_nothing_tells_who_lives(daemon: Daemon) -> None:
    """So many that are asked are stuck, and no more."""
    daemon.answers()
    daemon.asked.clear()
    daemon.stuck = set(daemon.uuids[:20])
    for _ in range(5):
        daemon.answers()
    waiting = [uuid for uuid in daemon.asked if uuid in daemon.stuck]
    assert len(waiting) == len(set(waiting)) == MOST_OPEN[Doubt.GRAVE]
    assert left_behind(daemon.uri) == MOST_OPEN[Doubt.GRAVE]


def test_twenty_are_stuck_and_the_others_take_processor_time(daemon: Daemon) -> None:
    daemon.answers()
    daemon.stuck = set(daemon.uuids[:20])
    daemon.busy = set(daemon.uuids[20:])
    told = set(daemon.answers()) | set(daemon.answers())
    assert told == daemon.busy
    assert set(daemon.answers()) == daemon.busy, "once is enough"


def test_when_few_more_may_be_asked_life_is_shown_first(daemon: Daemon) -> None:
    daemon.answers()
    daemon.waiting = set(daemon.uuids[: MOST_OPEN[Doubt.NONE] - FEW])
    daemon.stuck = set(daemon.uuids[:20])
    daemon.busy = set(daemon.uuids[20:])
    belief = belief_of(daemon.uri)
    for uuid in daemon.waiting:
        belief.note_occupied(uuid, time.monotonic())
    daemon.asked.clear()
    assert set(daemon.answers()) == daemon.busy
    assert set(daemon.asked) == daemon.busy


def test_what_somebody_else_waits_for_is_not_asked(daemon: Daemon) -> None:
    """As by a worker that was killed."""
    daemon.stuck = set(daemon.uuids[:20])
    daemon.waiting = set(daemon.uuids[: MOST_OPEN[Doubt.GRAVE]])
    daemon.busy = set(daemon.uuids[20:])
    told = set(daemon.answers()) | set(daemon.answers())
    assert told == daemon.busy
    assert not daemon.stuck & set(daemon.asked)


def test_a_refusal_is_no_answer(daemon: Daemon) -> None:
    daemon.off = {"guest-07"}
    assert set(daemon.answers()) == set(daemon.uuids) - daemon.off


def test_lost_connection(daemon: Daemon) -> None:
    daemon.answers()
    daemon.gone = True
    with pytest.raises(HostUnreachable):
        daemon.answers()


def test_nothing_is_begun_after_the_deadline(daemon: Daemon) -> None:
    assert daemon.answers(seconds=-1.0) == {}
    assert daemon.asked == []


def test_what_can_wait_is_asked_of_those_who_are_believed(daemon: Daemon) -> None:
    belief = belief_of(daemon.uri)
    with daemon.lend() as link:
        assert may_be_asked(link, "a")
        belief.note_occupied("a", time.monotonic())
        assert not may_be_asked(link, "a")
        for number in range(MOST_OPEN[Doubt.GRAVE]):
            belief.note_occupied(str(number), time.monotonic())
        assert not may_be_asked(link, "b")
        belief.note_answer("b")
        assert may_be_asked(link, "b")
