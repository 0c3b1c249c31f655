"""A process that looks at all guests of a host each second, as a worker does.

    python -m tests.integration.hypervisor.tracker SOCKET

After each look it prints a line: the names of those that told how far their copies are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Self

from jobs.hypervisor import Address, AddressPolicy, DomainObservation, connection
from lab.host import PrivateHost
from tests.integration.hypervisor.conftest import until

PERIOD = 1.0
# As in jobs.sweep.
PROGRESS_SECONDS = 1.5


class Tracker:
    """Such a process, and when it told of whom (monotonic seconds)."""

    def __init__(self, host: PrivateHost) -> None:
        self.looks: list[tuple[float, set[str]]] = []
        command = [sys.executable, "-m", __spec__.name, str(host.socket)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until_told(self, names: Collection[str]) -> None:
        """Wait until it has just told of all these."""
        until(lambda: bool(self.looks) and self.looks[-1][1] >= set(names))

    def oldest(self, names: Collection[str], since: float) -> float:
        """How old the numbers of any of these have become since then, in seconds."""
        moments = {
            name: [at for at, told in self.looks if name in told] for name in names
        }
        return max(
            later - earlier
            for at in moments.values()
            for earlier, later in zip(at, [*at[1:], time.monotonic()], strict=True)
            if later > since
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.looks.append((time.monotonic(), set(json.loads(line))))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def track(socket: Path) -> None:
    """Look for ever. Each look must show the mirror of every guest."""
    address = Address(transport="socket", mode="session", socket=str(socket))
    policy = AddressPolicy(socket_prefixes=(str(socket.parent),))
    names: dict[str, str] = {}
    while True:
        began = time.monotonic()
        with connection(address, policy) as hypervisor:
            domains = hypervisor.inventory().domains if not names else []
            names = names or {each.uuid: each.name for each in domains}
            for seen in hypervisor.observe_many(list(names)).values():
                assert isinstance(seen, DomainObservation)
                assert seen.disks["vda"].mirror is not None
            told = hypervisor.progress_many(
                {uuid: ["vda"] for uuid in names}, PROGRESS_SECONDS
            )
        print(json.dumps([names[uuid] for uuid in told]), flush=True)
        time.sleep(max(0.0, began + PERIOD - time.monotonic()))


if __name__ == "__main__":
    track(Path(sys.argv[1]))
