"""Folders for Unix sockets, whose paths must be short, and ports that are free."""

from __future__ import annotations

import contextlib
import random
import shlex
import shutil
import socket
import tempfile
import weakref
from pathlib import Path

from lab.cell import LabError

# sun_path in unix(7) holds 107 characters and the end mark.
LONGEST_PATH = 107
# Below the kernel's own, /proc/sys/net/ipv4/ip_local_port_range.
_PORTS = (15000, 32000)


class SocketFolder:
    """A private folder at `wanted`, or a short temporary one if that lies too deep.

    `socket` is the longest path below it at which a socket will stand. A temporary
    folder goes with `remove`, at the latest with this process; `farewell` is a line
    for the shell that does the same if this process is killed.
    """

    def __init__(self, wanted: Path, socket: str) -> None:
        self.path = wanted
        self.farewell = ":"
        self._temporary = len(f"{wanted}/{socket}") > LONGEST_PATH
        if self._temporary:
            self.path = Path(tempfile.mkdtemp(prefix="blockcopy-"))
            self.farewell = f"rm -rf -- {shlex.quote(str(self.path))}"
            weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        if len(f"{self.path}/{socket}") > LONGEST_PATH:
            raise LabError(
                f"The path {wanted} is too long for a Unix socket, and so is that of "
                f"the temporary folder {self.path}: set TMPDIR to a shorter one."
            )

    def make(self) -> None:
        """Make the folder if it is not there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on just now.

    It is none of those that the kernel gives to whoever connects, so that a server
    which was killed finds it free when it comes back.
    """
    while True:
        port = random.randint(*_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
