"""The event stream: who gets one, what is said on it, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient
from django.urls import reverse
from redis.exceptions import ConnectionError as RedisAway

from jobs import live
from jobs.console.views import stream
from jobs.console.views.stream import Sender, Wake, events

JOB: Wake = {
    "kind": "job",
    "job": 12,
    "host": 3,
    "domain": 5,
    "state": "copying",
    "moved": True,
    "waits": True,
    "name": "vda of web",
}
PROGRESS: Wake = {"kind": "progress", "host": 3, "jobs": [12, 13]}
HOST: Wake = {"kind": "host", "host": 3}
CHECK: Wake = {"kind": "check", "key": "c0ffee"}
BEAT = "event: beat\ndata: {}\n\n"


def named(text: str) -> list[str]:
    """Return the names of the events in `text`."""
    return [line[7:] for line in text.splitlines() if line.startswith("event: ")]


def heard(monkeypatch: pytest.MonkeyPatch, *wakes: Wake | None) -> list[str]:
    """Return the events that `wakes` make on a stream of everything."""

    async def given() -> AsyncIterator[Wake | None]:
        for wake in wakes:
            yield wake
        raise RedisAway

    async def listen() -> list[str]:
        topics = frozenset({"jobs", "hosts", "job-12"})
        return [text async for text in events(topics)]

    monkeypatch.setattr(live, "wakes", given)
    return asyncio.run(listen())


# --- What is said --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wake", "topics"),
    [
        (JOB, ["job-12", "jobs", "host-3", "domain-5"]),
        (PROGRESS, ["jobs", "host-3", "job-12", "job-13"]),
        (HOST, ["host-3", "hosts"]),
        (CHECK, ["checks"]),
    ],
)
def test_a_wake_up_touches_topics(wake: Wake, topics: list[str]) -> None:
    assert named(Sender(frozenset(topics)).tell(wake)) == topics
    assert named(Sender(frozenset({"job-1", "host-33"})).tell(wake)) == ["beat"]


def test_a_check_says_which_question_was_answered() -> None:
    text = Sender(frozenset({"checks"})).tell(CHECK)
    assert text == 'event: checks\ndata: {"key": "c0ffee"}\n\n'


def test_progress_is_said_at_most_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    sender = Sender(frozenset({"jobs"}))
    assert named(sender.tell(PROGRESS)) == ["jobs"]
    assert sender.tell(PROGRESS) == ""
    assert named(sender.tell(JOB)) == ["jobs"], "a change of state is said at once"
    now += 1.0
    assert named(sender.tell(PROGRESS)) == ["jobs"]


def test_others_traffic_does_not_make_a_stream_fall_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    sender = Sender(frozenset({"job-99"}))
    sender.beat()
    assert sender.tell(JOB) == ""
    now += 16
    assert sender.tell(JOB) == BEAT


@pytest.mark.parametrize(
    ("state", "words", "level"),
    [
        ("pivoted", "pivoted", "good"),
        ("lost", "lost", "bad"),
        ("mirroring", "in sync, waits for a decision", "decide"),
    ],
)
def test_ends_and_decisions_are_told_on_every_page(
    state: str, words: str, level: str
) -> None:
    text = Sender(frozenset()).tell({**JOB, "state": state})
    assert named(text) == ["toast"]
    detail = json.loads(text.split("data: ")[1])
    assert detail == {
        "text": f"vda of web: {words}",
        "url": reverse("job", args=[12]),
        "level": level,
    }


@pytest.mark.parametrize(
    "news",
    [
        {"state": "copying"},
        {"state": "mirroring", "waits": False},
        {"state": "mirroring", "moved": False},
    ],
)
def test_nothing_else_is_told_on_every_page(news: dict[str, object]) -> None:
    sender = Sender(frozenset({"jobs"}))
    assert named(sender.tell({**JOB, **news})) == ["jobs"]


def test_a_job_s_own_page_gets_no_toast_of_it() -> None:
    sender = Sender(frozenset({"job-12"}))
    assert named(sender.tell({**JOB, "state": "pivoted"})) == ["job-12"]


def test_a_stream_begins_with_a_beat_and_ends_with_redis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = heard(monkeypatch, None, JOB)
    assert texts[:2] == ["retry: 2000\n\n", BEAT]
    assert named(texts[2]) == ["job-12", "jobs"]
    assert len(texts) == 3


# --- Who gets one --------------------------------------------------------------------


def asked(user: User | None, query: str = "topics=jobs") -> Any:
    client = AsyncClient()
    if user is not None:
        client.force_login(user)

    async def ask() -> Any:
        return await client.get(f"/stream/?{query}")

    return asyncio.run(ask())


@pytest.mark.django_db(transaction=True)
def test_the_stream_s_ladder(
    victor: User, otto: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(None).status_code == 302
    assert asked(otto).status_code == 403
    answer = asked(victor)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/event-stream"
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
def test_only_known_topics_are_listened_to(
    victor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[frozenset[str]] = []

    async def nothing(topics: frozenset[str]) -> AsyncIterator[str]:
        taken.append(topics)
        yield ""

    monkeypatch.setattr(stream, "events", nothing)
    answer = asked(victor, "topics=jobs+job-12+job-x+../etc+toast+beat")

    async def read() -> None:
        async for _ in answer.streaming_content:
            pass

    asyncio.run(read())
    assert taken == [frozenset({"jobs", "job-12"})]


@pytest.mark.django_db(transaction=True)
def test_a_stream_holds_no_database_connection(
    victor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    really_close = connections.close_all

    def close_all() -> None:
        closed.append(True)
        really_close()

    monkeypatch.setattr(connections, "close_all", close_all)
    asked(victor)
    assert closed
