"""A listener in a thread of the test, with the leases that the test gives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from jobs.leases import Leased
from jobs.listener import Listener, Subscribe


class GivenLeases:
    """Leases without a database: a test says what is held."""

    def __init__(self, *hosts: Leased) -> None:
        self.held = {host.pk: host for host in hosts}
        self.beats = 0
        self.broken = False
        self.given_back = False

    def beat(self) -> None:
        self.beats += 1

    def hold(self) -> dict[int, Leased]:
        if self.broken:
            raise OperationalError("the database is away")
        return dict(self.held)

    def give_back(self) -> None:
        self.given_back = True

    def fall_silent(self) -> None:
        self.beats = 0


class Running:
    """A listener, and what it asked of the workers, each with its time."""

    def __init__(self, subscribe: Subscribe, *hosts: Leased) -> None:
        self.leases = GivenLeases(*hosts)
        self.listener = Listener(self.leases, subscribe)  # type: ignore[arg-type]
        self.sent: list[tuple[str, tuple[Any, ...], str]] = []
        self.times: list[float] = []
        self.thread = threading.Thread(target=self.listener.run, daemon=True)

    def send_task(
        self, name: str, args: tuple[Any, ...], queue: str, **_: object
    ) -> None:
        """Stand in for Celery's `send_task`."""
        self.times.append(time.time())
        self.sent.append((name.rpartition(".")[2], tuple(args), queue))

    def asked(self, task: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of `task`."""
        return [args for name, args, _queue in self.sent if name == task]

    def end(self) -> None:
        """Stop it; it must end soon."""
        self.listener.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


def until(question: Callable[[], object], timeout: float = 5) -> None:
    """Wait until `question` is answered with yes; fail the test if it never is."""
    end = time.monotonic() + timeout
    while not question():
        if time.monotonic() > end:
            pytest.fail("it did not come about")
        time.sleep(0.002)
