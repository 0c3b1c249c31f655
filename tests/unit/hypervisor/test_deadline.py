"""Waiting that ends although the call does not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from jobs.hypervisor import NoAnswer
from jobs.hypervisor.deadline import (
    MOST_LEFT_BEHIND,
    MOST_PATIENT,
    left_behind,
    within,
)
from tests.listening import until

HOST = "qemu+unix:///session?socket=/test"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What calls wait for; opened at the end, so that no thread is left."""
    gate = threading.Event()
    yield gate
    gate.set()
    end = time.monotonic() + 5
    while left_behind(HOST) and time.monotonic() < end:
        time.sleep(0.001)
    assert left_behind(HOST) == 0


def forget(_: Future[bool]) -> None:
    """Nobody is told."""


def test_answer() -> None:
    assert within(1, (HOST, "a"), lambda: 42, lambda _: None) == 42
    assert left_behind(HOST) == 0


@pytest.mark.parametrize("error", [ValueError, TimeoutError, SystemExit])
def test_error_of_the_call_itself(error: type[BaseException]) -> None:
    def call() -> bool:
        raise error("its own")

    with pytest.raises(error, match="its own"):
        within(1, (HOST, "a"), call, forget)
    assert left_behind(HOST) == 0


def test_no_answer_in_time(gate: threading.Event) -> None:
    abandoned: list[Future[bool]] = []
    before = time.monotonic()
    with pytest.raises(NoAnswer):
        within(0.05, (HOST, "a"), gate.wait, abandoned.append)
    assert time.monotonic() - before < 1
    assert left_behind(HOST) == 1
    gate.set()
    assert abandoned[0].result(1) is True, "it is told how it ended"


def test_the_second_call_for_a_stuck_thing_is_not_begun(gate: threading.Event) -> None:
    with pytest.raises(NoAnswer):
        within(0.01, (HOST, "a"), gate.wait, forget)
    begun: list[bool] = []
    with pytest.raises(NoAnswer):
        within(5, (HOST, "a"), lambda: begun.append(True), lambda _: None)
    assert begun == []


def test_other_things_go_on(gate: threading.Event) -> None:
    with pytest.raises(NoAnswer):
        within(0.01, (HOST, "a"), gate.wait, forget)
    assert within(1, (HOST, "b"), lambda: "b", lambda _: None) == "b"


def test_it_may_be_asked_again_once_it_has_answered(gate: threading.Event) -> None:
    with pytest.raises(NoAnswer):
        within(0.01, (HOST, "a"), gate.wait, forget)
    gate.set()
    end = time.monotonic() + 5
    while left_behind(HOST) and time.monotonic() < end:
        time.sleep(0.001)
    assert within(1, (HOST, "a"), lambda: "again", lambda _: None) == "again"


def test_a_host_can_hold_only_so_many_threads(gate: threading.Event) -> None:
    for number in range(MOST_LEFT_BEHIND):
        with pytest.raises(NoAnswer):
            within(0.01, (HOST, str(number)), gate.wait, forget)
    with pytest.raises(NoAnswer, match="Too many"):
        within(5, (HOST, "one more"), gate.wait, forget)
    assert within(1, ("another host", "x"), lambda: 1, lambda _: None) == 1


def test_many_silent_daemons_hold_only_so_many_threads(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go away after a moment; what waits for a guest is not counted."""
    monkeypatch.setattr("jobs.hypervisor.deadline.BRIEF_SECONDS", 0.05)
    given_up: list[str] = []

    def ask(name: str, *, bounded: bool) -> None:
        with contextlib.suppress(NoAnswer):
            within(20, (HOST, name), gate.wait, forget, bounded=bounded)
            return
        given_up.append(name)

    silent = [f"daemon {number}" for number in range(MOST_PATIENT + 4)]
    threads = [
        threading.Thread(target=ask, args=(name,), kwargs={"bounded": False})
        for name in silent
    ]
    threads.append(
        threading.Thread(target=ask, args=("guest",), kwargs={"bounded": True})
    )
    for thread in threads:
        thread.start()
    until(lambda: len(given_up) == 4)
    assert sum(thread.is_alive() for thread in threads) == MOST_PATIENT + 1
    gate.set()
    for thread in threads:
        thread.join(5)
    assert len(given_up) == 4
    assert "guest" not in given_up
    assert within(20, (HOST, "next"), lambda: 1, lambda _: None, bounded=False) == 1
