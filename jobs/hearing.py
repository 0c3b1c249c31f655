"""Wake-ups for open pages, as a web process hears them: by one subscription, however
many streams stand. With one for each, every wake-up kept the process from the pages
that are fetched on its account.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from redis.exceptions import ConnectionError as RedisAway

from jobs.live import CHANNEL

Wake = dict[str, object]
# None: the subscription stands. An error: it has ended.
Listener = asyncio.Queue[Wake | BaseException | None]

SILENCE_SECONDS = 4.0
# A stream that is so far behind has lost its reader.
MOST_WAITING = 1_000


async def wakes() -> AsyncGenerator[Wake | None]:
    """Yield None once the subscription stands, then wake-ups as they come, and None
    after each few seconds of silence.

    RedisError when Redis goes away; the browser then reconnects.
    """
    loop = asyncio.get_running_loop()
    ear = _ears.get(loop)
    if ear is None or ear.deaf:
        ear = _ears[loop] = _Ear()
    listener = ear.join()
    try:
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    said = await listener.get()
            except TimeoutError:
                said = None
            if isinstance(said, BaseException):
                raise said
            yield said
    finally:
        ear.leave(listener)


class _Ear:
    """The subscription of one event loop: from the first listener to the last, or
    until Redis goes away."""

    def __init__(self) -> None:
        self.deaf = self.stands = False
        self.listeners: set[Listener] = set()
        self.task = asyncio.create_task(self._hear())
        self.task.add_done_callback(self._ended)

    def join(self) -> Listener:
        listener: Listener = asyncio.Queue()
        if self.stands:
            listener.put_nowait(None)
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)
        if not self.listeners:
            self.deaf = True
            self.task.cancel()

    async def _hear(self) -> None:
        connection = redis.asyncio.Redis.from_url(settings.REDIS_URL)
        async with connection, connection.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    self._tell(json.loads(message["data"]))
                else:
                    self.stands = True
                    self._tell(None)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.deaf = True
        if not task.cancelled():
            self._tell(task.exception() or RedisAway("The subscription has ended."))

    def _tell(self, said: Wake | BaseException | None) -> None:
        for listener in tuple(self.listeners):
            if listener.qsize() < MOST_WAITING:
                listener.put_nowait(said)
            else:
                self.listeners.discard(listener)
                listener.put_nowait(RedisAway("Too far behind."))


_ears: WeakKeyDictionary[asyncio.AbstractEventLoop, _Ear] = WeakKeyDictionary()
