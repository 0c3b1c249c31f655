"""Wake-ups as a web process hears them, from a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from jobs import hearing, live
from jobs.hearing import Wake, wakes

pytestmark = pytest.mark.usefixtures("redis")


def subscriptions() -> int:
    server: Redis = live.client()
    return int(server.pubsub_numsub(live.CHANNEL)[0][1])


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


async def standing(count: int) -> list[AsyncGenerator[Wake | None]]:
    """Return so many streams that hear."""
    streams = [wakes() for _ in range(count)]
    assert await heard(streams) == [None] * count
    return streams


async def heard(streams: list[AsyncGenerator[Wake | None]]) -> list[Wake | None]:
    return list(await asyncio.gather(*(anext(each) for each in streams)))


async def closed(streams: list[AsyncGenerator[Wake | None]]) -> None:
    for each in streams:
        await each.aclose()


async def until(there: Callable[[], bool]) -> None:
    while not there():
        await asyncio.sleep(0.01)


def test_all_streams_of_a_process_hear_by_one_subscription() -> None:
    async def scene() -> None:
        streams = await standing(30)
        streams += await standing(1)  # which comes late
        assert subscriptions() == 1
        for key in ("a", "b"):
            live.wake_check(key)
        told = [{"kind": "check", "key": key} for key in ("a", "b")]
        assert [await heard(streams) for _ in told] == [[each] * 31 for each in told]
        await closed(streams[1:])
        live.wake_check("c")
        assert await heard(streams[:1]) == [{"kind": "check", "key": "c"}]
        await closed(streams[:1])
        await until(lambda: subscriptions() == 0)
        await closed(await standing(1))

    run(scene)


def test_silence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "SILENCE_SECONDS", 0.05)

    async def scene() -> None:
        async with aclosing(wakes()) as stream:
            assert [await anext(stream) for _ in range(3)] == [None] * 3
            live.wake_check("a")
            assert await anext(stream) == {"kind": "check", "key": "a"}

    run(scene)


def test_streams_end_when_redis_goes_and_others_begin_anew() -> None:
    async def scene() -> None:
        streams = await standing(3)
        live.client().client_kill_filter(_type="pubsub")
        for each in streams:
            with pytest.raises(RedisError):
                await anext(each)
        again = await standing(2)
        assert subscriptions() == 1
        await closed(again)

    run(scene)


def test_without_redis_a_stream_ends_at_once(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"

    async def scene() -> None:
        with pytest.raises(RedisError):
            await anext(wakes())

    run(scene)


def test_a_reader_who_is_far_behind_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "MOST_WAITING", 2)

    async def scene() -> None:
        slow, quick = await standing(2)
        for key in "abcd":
            live.wake_check(key)
            assert await anext(quick) == {"kind": "check", "key": key}
        assert [(await anext(slow) or {})["key"] for _ in range(2)] == ["a", "b"]
        with pytest.raises(RedisError, match="behind"):
            await anext(slow)
        await closed([slow, quick])

    run(scene)
