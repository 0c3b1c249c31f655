"""Many plain clients of the event stream, in one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence


class Streams:
    """Open event streams, one for each session. The first tells when each event came.

    `heard`: the data of each "checks" event, and the epoch second at which it came.
    """

    def __init__(self, port: int, sessions: Sequence[str]) -> None:
        self.port = port
        self.heard: dict[str, float] = {}
        self.open = 0
        self.broken = 0
        self._sessions = sessions
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_until_complete(self._all())

    async def _all(self) -> None:
        every = (self._one(each, n == 0) for n, each in enumerate(self._sessions))
        await asyncio.gather(*every)

    async def _one(self, session: str, listens: bool) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"GET /stream/?topics=jobs+hosts+checks HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept: text/event-stream\r\nCookie: sessionid=%s\r\n\r\n"
            % session.encode()
        )
        answer = await reader.readline()
        if b" 200 " not in answer:
            raise RuntimeError(f"a stream was refused: {answer.decode().strip()}")
        self.open += 1
        while line := await reader.readline():
            if listens and line.startswith(b"data:"):
                self.heard.setdefault(line[5:].strip().decode(), time.time())
        self.broken += 1

    def wait_until_open(self, patience: float = 60.0) -> None:
        """Wait until all of them stand; RuntimeError if they do not."""
        end = time.monotonic() + patience
        while self.open < len(self._sessions):
            if time.monotonic() > end:
                raise RuntimeError(f"only {self.open} streams stand")
            time.sleep(0.1)
