"""How busy the machine is: a control, with which lateness can be told from load."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Self

EACH_SECONDS = 1.0
WORK_SECONDS = 0.02


@dataclass
class Machine:
    """Notes the load average, and how much longer than its own time some work takes.

    The work is 20 ms of a processor's time, which nothing but the machine delays: with
    a processor free for it, it takes just as long, and `slow` is 1.
    """

    loads: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def slowness(self) -> float:
        """How many times as long as on an idle machine things took, on the average."""
        return sum(self.slow) / len(self.slow) if self.slow else 1.0

    def begin(self) -> Self:
        """Note, in a thread of its own, until `end`."""
        threading.Thread(target=self._note, name="machine", daemon=True).start()
        return self

    def end(self) -> None:
        self._over.set()

    def now(self) -> str:
        """In words, for whoever was late just then."""
        load, slow = self.loads[-1:] or [0.0], self.slow[-10:] or [1.0]
        return f"load {load[0]:.1f}, work takes {max(slow):.1f} times as long"

    def _note(self) -> None:
        while True:
            self.slow.append(_work())
            self.loads.append(os.getloadavg()[0])
            if self._over.wait(EACH_SECONDS):
                return

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()


def _work() -> float:
    began, mine = time.monotonic(), time.thread_time()
    while time.thread_time() - mine < WORK_SECONDS:
        pass
    return (time.monotonic() - began) / (time.thread_time() - mine)
