"""How busy the machine is: a control, with which lateness can be told from load."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field

EACH_SECONDS = 0.5
NAP_SECONDS = 0.05


@dataclass
class Machine:
    """Notes the load average, and by how much a nap of 50 ms took too long.

    Nothing is done in that nap: what it takes too long is the machine's doing.
    """

    loads: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Note, in a thread of its own, until `end`."""
        threading.Thread(target=self._note, name="machine", daemon=True).start()

    def end(self) -> None:
        self._over.set()

    def now(self) -> str:
        """In words, for a break."""
        load, late = self.loads[-1:] or [0.0], self.late[-20:] or [0.0]
        return f"load {load[0]:.1f}, a nap up to {max(late):.2f} s late just then"

    def _note(self) -> None:
        while not self._over.wait(EACH_SECONDS):
            began = time.monotonic()
            time.sleep(NAP_SECONDS)
            self.late.append(time.monotonic() - began - NAP_SECONDS)
            self.loads.append(os.getloadavg()[0])
