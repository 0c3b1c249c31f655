"""NBD servers for copies that go over a network."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Self

from lab.guest import Format
from lab.service import Service
from lab.sockets import SocketFolder, free_port

_SOCKET = "nbd.sock"
_LOOPBACK = "127.0.0.1"


class NbdServer:
    """A qemu-nbd that serves one image, on a loopback port or on a Unix socket.

    `image` is what it serves, of `format`, to as many clients as come and as long as it
    runs; `export` is the name of that. `port` 0 takes a free one. `certificates` is a
    folder with those of a server (see Authority): then clients need theirs too.
    `directory` is for its log and its socket. `service` can be killed and frozen.
    """

    def __init__(
        self,
        directory: Path,
        image: Path,
        *,
        format: Format = "raw",
        export: str = "",
        unix: bool = False,
        port: int = 0,
        certificates: Path | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.export = export
        self._sockets = SocketFolder(self.directory / "run", _SOCKET)
        self.port = None if unix else port or free_port()
        words = [*self._listening(), *_secured(certificates), "--export-name", export]
        self.service = Service(
            "nbd",
            [
                "qemu-nbd",
                "--persistent",
                "--shared=0",
                "--format",
                format,
                *words,
                image,
            ],
            log=self.directory / "nbd.log",
            farewell=self._sockets.farewell,
        )

    @property
    def name(self) -> str:
        """The host name of a server on a port."""
        return "" if self.port is None else _LOOPBACK

    @property
    def socket(self) -> str:
        """The path of a server on a Unix socket."""
        return str(self._sockets.path / _SOCKET) if self.port is None else ""

    @property
    def uri(self) -> str:
        """The URI for QEMU's tools, without TLS."""
        if self.port is None:
            return f"nbd+unix:///{self.export}?socket={self.socket}"
        return f"nbd://{self.name}:{self.port}/{self.export}"

    def _listening(self) -> list[str]:
        if self.port is None:
            return ["--socket", self.socket]
        return ["--bind", _LOOPBACK, "--port", str(self.port)]

    def start(self) -> Self:
        """Start the server; returns when it listens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._sockets.make()
        with contextlib.suppress(FileNotFoundError):
            Path(self.socket or "/nonexistent").unlink()
        self.service.start()
        self.service.wait_until(self.listens)
        return self

    def listens(self) -> bool:
        """Whether somebody takes connections there."""
        family = socket.AF_UNIX if self.port is None else socket.AF_INET
        with socket.socket(family) as client:
            client.settimeout(1)
            place = self.socket if self.port is None else (self.name, self.port)
            return client.connect_ex(place) == 0

    def stop(self) -> None:
        self.service.stop()
        self._sockets.remove()

    def kill(self) -> None:
        """Kill the server with -9, as when its machine dies."""
        self.service.kill()

    def freeze(self) -> None:
        """Stop the server with SIGSTOP: it still listens, and answers nobody."""
        self.service.freeze()

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self.service.thaw()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _secured(certificates: Path | None) -> list[str]:
    if certificates is None:
        return []
    tls = f"tls-creds-x509,id=tls,endpoint=server,dir={certificates}"
    return ["--object", tls, "--tls-creds", "tls"]
