"""A program that runs for long, alone in a cell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from lab.cell import Cell, LabError


class Service:
    """A program, its children and its log; stopped, killed, frozen and started alone.

    `stop_signal` asks it to end in good order. `farewell` as for Cell. It ends with
    whoever started it, in whatever way they end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        farewell: str = ":",
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._stop_signal = stop_signal
        self._cell = Cell(name, environment or {}, folder=folder, farewell=farewell)
        self._pid = 0

    @property
    def running(self) -> bool:
        if not self._cell.running:
            return False
        return self._cell.run(f"kill -0 {self._pid} 2>/dev/null") == 0

    def start(self) -> Self:
        """Start the program. Does nothing if it runs."""
        if not self.running:
            self._cell.stop()
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self._cell.start()
            self._pid = self._cell.spawn(self._command, self.log)
        return self

    def ask_to_stop(self) -> None:
        """Ask the program to end, without waiting for it."""
        if self.running:
            self._cell.signal(self._pid, self._stop_signal)

    def stop(self, grace: float = 10) -> None:
        """Ask the program to end, and after `grace` seconds end it and its children."""
        self.ask_to_stop()
        end = time.monotonic() + grace
        while self.running and time.monotonic() < end:
            time.sleep(0.02)
        self._cell.stop()

    def kill(self) -> None:
        """Kill the program and its children with -9."""
        self._cell.stop()

    def freeze(self) -> None:
        """Stop the program and its children with SIGSTOP."""
        self._cell.signal(-1, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the program and its children go on."""
        self._cell.signal(-1, signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Signal the program itself."""
        self._cell.signal(self._pid, number)

    def wait_until(self, ready: Callable[[], bool], timeout: float = 30) -> None:
        """Wait until `ready()`; LabError with the log's last line if it will not be."""
        end = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise LabError(f"{self.name} ended: {self._last_line()} ({self.log})")
            if time.monotonic() > end:
                raise LabError(f"{self.name} was not ready in {timeout} s ({self.log})")
            time.sleep(0.02)

    def said(self, words: str) -> bool:
        """Whether the log holds `words`."""
        return self.log.exists() and words in self.log.read_text(errors="replace")

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
