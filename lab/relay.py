"""A Unix socket that leads to another one over a network that is far away.

    python -m lab.relay LISTEN TARGET MILLISECONDS

Every byte is passed on half the given round trip after it came, as many at a time as
come: the delay of a network, not its bandwidth.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Self

from lab.service import Service

PROJECT = Path(__file__).resolve().parent.parent
CHUNK = 65536


class Relay:
    """The relay as a process, listening at `socket`."""

    def __init__(self, directory: Path, target: Path, milliseconds: float) -> None:
        self.socket = directory / "relay.sock"
        command = (str(self.socket), str(target), str(milliseconds))
        self._service = Service(
            "relay",
            [sys.executable, "-m", "lab.relay", *command],
            log=directory / "relay.log",
            folder=PROJECT,
        )

    def __enter__(self) -> Self:
        self._service.start()
        self._service.wait_until(self.socket.exists)
        return self

    def __exit__(self, *_: object) -> None:
        self._service.stop()


async def relay(listen: str, target: str, seconds: float) -> None:
    """Serve until cancelled; `seconds` is the delay in each direction."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(target)
        await asyncio.gather(
            _pass_on(reader, far_writer, seconds), _pass_on(far_reader, writer, seconds)
        )

    server = await asyncio.start_unix_server(serve, listen)
    async with server:
        await server.serve_forever()


async def _pass_on(reader: StreamReader, writer: StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            loop.call_later(seconds, _write, writer, chunk)
    loop.call_later(seconds, writer.close)


def _write(writer: StreamWriter, chunk: bytes) -> None:
    if not writer.is_closing():
        writer.write(chunk)


if __name__ == "__main__":
    listen, target, milliseconds = sys.argv[1:]
    asyncio.run(relay(listen, target, float(milliseconds) / 2000))
