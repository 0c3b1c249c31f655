"""A Redis of our own, on a Unix socket, with no port."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Self

from lab.cell import PATH, LabError
from lab.service import Service
from lab.sockets import SocketFolder

_SOCKET = "redis.sock"


class PrivateRedis:
    """A Redis server below `directory`; it keeps nothing on disk unless `durable`."""

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.directory = directory.absolute()
        self._sockets = SocketFolder(self.directory / "run", _SOCKET)
        self.service = Service(
            "redis",
            [*_server(), *self._options(durable)],
            log=self.directory / "redis.log",
            farewell=self._sockets.farewell,
        )

    @property
    def socket(self) -> Path:
        return self._sockets.path / _SOCKET

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def _options(self, durable: bool) -> list[str]:
        return [
            *("--port", "0", "--unixsocket", str(self.socket)),
            *("--unixsocketperm", "700", "--dir", str(self.directory)),
            *("--save", "", "--appendonly", "yes" if durable else "no"),
        ]

    def start(self) -> Self:
        """Start the server; returns when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._sockets.make()
        self.service.start()
        self.service.wait_until(self.answers)
        return self

    def answers(self) -> bool:
        """Whether the server answers a PING within a second."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def stop(self) -> None:
        self.service.stop()
        self._sockets.remove()

    def kill(self) -> None:
        """Kill it with -9; start it again with start()."""
        self.service.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _server() -> list[str]:
    """The command that starts a Redis server.

    Debian's redis-tools has the server as well, and unlike the package redis-server it
    starts none on the machine. The program goes by the name that it is called.
    """
    if shutil.which("redis-server", path=PATH):
        return ["redis-server"]
    if shutil.which("redis-check-rdb", path=PATH):
        return ["bash", "-c", 'exec -a redis-server redis-check-rdb "$@"', "redis"]
    raise LabError("There is no Redis: install the package redis-tools.")
