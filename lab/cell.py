"""Processes in namespaces of their own, which end with whoever started them."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# Process 1 of a cell. It carries out what its parent writes to it, text by text with a
# null character after each, and answers each with the exit status. It ends when its
# standard input does, which the kernel sees to even if the parent is killed; the cell's
# other processes end with it. It must be a shell, not a sleeper: whoever is process 1
# has to reap orphans.
_PROCESS_ONE = """
hostname "$1"
drop() { exec setpriv --ambient-caps -all --inh-caps -all -- "$@"; }
while IFS= read -r -d '' text; do eval "$text"; echo "$?"; done
eval "$2"
"""


class LabError(Exception):
    """Something of the lab could not be had; the text is one sentence for people."""


def quoted(command: Sequence[str | Path]) -> str:
    """`command` as a text for a shell."""
    return shlex.join(str(word) for word in command)


class Cell:
    """User, process, host-name and mount namespaces under a process 1 that obeys.

    Works for root and for any user who may create user namespaces. Whoever runs in it
    is never root: root is mapped to "nobody", anyone else to themselves, and files
    belong to whoever started the cell either way.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        *,
        folder: Path | None = None,
        farewell: str = ":",
    ) -> None:
        """`name` is also the host name that its processes see.

        They have the variables of `environment`, PATH and LANG, no others, and begin in
        `folder`. `farewell` is a shell text that runs when the cell's parent has gone.
        """
        self.name = name
        self._environment = {"PATH": PATH, "LANG": "C.UTF-8", **environment}
        self._folder = folder
        self._farewell = farewell
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start process 1. Does nothing if it runs."""
        if self.running:
            return
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=self._environment,
            cwd=self._folder,
            start_new_session=True,  # a Ctrl-C at the terminal is for the parent only
        )
        try:
            self.run(":", timeout=10)
        except LabError as error:
            raise LabError(
                "This machine does not let us create user namespaces "
                "(see docs/install.md)."
            ) from error

    def _command(self) -> list[str]:
        mapping = ["--map-current-user"]
        if os.geteuid() == 0:
            mapping = ["--map-user=65534", "--map-group=65534"]
        return [
            *("unshare", "--user", *mapping, "--pid", "--uts", "--mount"),
            *("--ipc", "--keep-caps", "--fork", "--kill-child=KILL", "--mount-proc"),
            *("bash", "-c", _PROCESS_ONE, "process-one", self.name, self._farewell),
        ]

    def run(self, text: str, *, timeout: float = 30) -> int:
        """Let process 1 evaluate a shell text; return its exit status.

        The text must keep off the standard input and output, which carry the answers.
        LabError if there is no answer within `timeout` seconds; the cell is then over.
        """
        with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise LabError(f"{self.name} is not running.")
            try:
                process.stdin.write(text.encode() + b"\0")
                answer = _read_line(process.stdout, timeout)
            except OSError:
                answer = b""
        if not answer:
            self.stop()
            raise LabError(f"{self.name} gave no answer and was ended.")
        return int(answer)

    def run_unprivileged(self, command: Sequence[str | Path], log: Path) -> int:
        """Run a command to its end, without capabilities; its words go to `log`."""
        return self.run(f"( drop {quoted(command)} ) {_to(log)}", timeout=120)

    def spawn(self, command: Sequence[str | Path], log: Path) -> int:
        """Start a command in the background; return its process id in the cell."""
        pid_file = log.with_suffix(".pid")
        tell = f"echo $! > {shlex.quote(str(pid_file))}"
        self.run(f"( drop {quoted(command)} ) {_to(log)} & {tell}")
        pid = int(pid_file.read_text())
        pid_file.unlink()
        return pid

    def signal(self, pid: int, number: signal.Signals) -> bool:
        """Signal one process by its id in the cell (-1: all); False if none is."""
        return self.run(f"kill -{number.name[3:]} -- {pid} 2>/dev/null") == 0

    def stop(self) -> None:
        """End every process of the cell at once. Returns when they are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()  # unshare --kill-child takes process 1 along
            process.wait(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _to(log: Path) -> str:
    return f"</dev/null >>{shlex.quote(str(log))} 2>&1"


def _read_line(pipe: IO[bytes], timeout: float) -> bytes:
    """One line, or nothing at the end of the pipe or of `timeout` seconds."""
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(timeout):
                return b""
            piece = os.read(pipe.fileno(), 64)
            if not piece:
                return b""
            line += piece
    return line
