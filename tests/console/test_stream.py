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

from jobs import hearing
from jobs.console.views import stream
from jobs.console.views.stream import Sender, events
from jobs.hearing import Wake
from jobs.models import Preferences
from tests.console.fleet_rows import HOSTILE_NAMES

JOB: Wake = {
    "kind": "job",
    "job": 12,
    "host": 3,
    "domain": 5,
    "state": "copying",
    "moved": True,
    "waits": True,
    "disk": "vda",
    "name": "web",
    "on": "alder",
    "by": 7,
}
PROGRESS: Wake = {"kind": "progress", "host": 3, "jobs": [12, 13]}
HOST: Wake = {"kind": "host", "host": 3}
CHECK: Wake = {"kind": "check", "key": "c0ffee"}
BEAT = "event: beat\ndata: {}\n\n"


def sender(*topics: str, **chosen: Any) -> Sender:
    """Return the sender of the stream of user 7, who has `chosen`."""
    return Sender(frozenset(topics), Preferences(user_id=7, **chosen), "en")


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
        return [text async for text in events(sender("jobs", "hosts", "job-12"))]

    monkeypatch.setattr(hearing, "wakes", given)
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
    assert named(sender(*topics).tell(wake)) == topics
    assert named(sender("job-1", "host-33", tell_ended=False).tell(wake)) == ["beat"]


def test_a_check_says_which_question_was_answered() -> None:
    text = sender("checks").tell(CHECK)
    assert text == 'event: checks\ndata: {"key": "c0ffee"}\n\n'


def test_progress_is_said_at_most_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    told = sender("jobs")
    assert named(told.tell(PROGRESS)) == ["jobs"]
    assert told.tell(PROGRESS) == ""
    assert named(told.tell(JOB)) == ["jobs"], "a change of state is said at once"
    now += 1.0
    assert named(told.tell(PROGRESS)) == ["jobs"]


def test_a_stream_that_has_nothing_to_say_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line that is dead must not look like one that is silent."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    idle = sender("job-99")
    assert idle.quiet() == BEAT, "so it begins"
    now += 1
    assert idle.tell(JOB) == idle.quiet() == ""
    now += 3
    assert named(idle.quiet()) == ["pulse"]
    now += 3
    assert named(idle.tell(JOB)) == ["pulse"], "others' traffic is none"
    now += 9
    assert idle.tell(JOB) == BEAT


def news(wake: Wake, *topics: str, **chosen: Any) -> Any:
    """Return what is told as news; None if nothing is."""
    text = sender(*topics, **chosen).tell(wake)
    return json.loads(text.split("data: ")[1]) if named(text) == ["news"] else None


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
    assert news({**JOB, "state": state}) == {
        "text": f"vda of web: {words}",
        "more": "on alder",
        "url": reverse("job", args=[12]),
        "job": 12,
        "level": level,
        "toast": True,
        "notify": False,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"state": "copying"},
        {"state": "mirroring", "waits": False},
        {"state": "mirroring", "moved": False},
    ],
)
def test_nothing_else_is_told_on_every_page(change: dict[str, object]) -> None:
    assert named(sender("jobs").tell({**JOB, **change})) == ["jobs"]


def test_a_job_s_own_page_gets_no_news_of_it() -> None:
    told = sender("job-12").tell({**JOB, "state": "pivoted"})
    assert named(told) == ["job-12"]


@pytest.mark.parametrize(
    ("choice", "state"),
    [
        ("tell_waiting", "mirroring"),
        ("tell_failed", "failed"),
        ("tell_failed", "lost"),
        *(("tell_ended", state) for state in ("pivoted", "copied", "cancelled")),
    ],
)
def test_news_that_a_person_does_not_want(choice: str, state: str) -> None:
    wake = {**JOB, "state": state}
    assert news(wake, **{choice: True})
    assert news(wake, **{choice: False}) is None
    others = {"tell_waiting", "tell_failed", "tell_ended"} - {choice}
    assert news(wake, **dict.fromkeys(others, False))


@pytest.mark.parametrize(("by", "is_told"), [(7, True), (8, False), (None, False)])
def test_news_of_one_s_own_copies_only(by: int | None, is_told: bool) -> None:
    wake = {**JOB, "state": "failed", "by": by}
    assert bool(news(wake, told_of="mine")) == is_told
    assert news(wake, told_of="all")


def test_news_say_how_the_person_wants_them() -> None:
    wake = {**JOB, "state": "failed"}
    told = news(wake, toasts=False, notifications=True)
    assert (told["toast"], told["notify"]) == (False, True)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_turn_nothing_in_the_news(name: str) -> None:
    text = news({**JOB, "state": "failed", "name": name})["text"]
    assert text.startswith("vda of ")
    assert text.endswith(": failed")
    if not name.isascii():
        assert f"\u2068{name}\u2069" in text


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


def read(answer: Any) -> None:
    """Read a stream to its end."""

    async def to_its_end() -> None:
        async for _ in answer.streaming_content:
            pass

    asyncio.run(to_its_end())


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

    async def nothing(told: Sender) -> AsyncIterator[str]:
        taken.append(told.topics)
        yield ""

    monkeypatch.setattr(stream, "events", nothing)
    read(asked(victor, "topics=jobs+job-12+job-x+../etc+news+beat"))
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


@pytest.mark.django_db(transaction=True)
def test_a_stream_knows_its_reader(
    victor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Sender] = []

    async def nothing(told: Sender) -> AsyncIterator[str]:
        taken.append(told)
        yield ""

    monkeypatch.setattr(stream, "events", nothing)
    Preferences.objects.create(user=victor, told_of="mine", language="de")
    read(asked(victor))
    assert (taken[0].reader.user_id, taken[0].reader.told_of) == (victor.pk, "mine")
    assert taken[0].language == "de"
