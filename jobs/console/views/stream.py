"""The event stream of a browser tab: it says what changed, never how.

The page then fetches the fragment itself, so that rights are checked and markup is
made in one place. No database connection is held while a stream stands.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import cast

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpResponseForbidden, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from jobs import hearing
from jobs.console.page import Request
from jobs.console.preferences import preferences_of
from jobs.hearing import Wake
from jobs.lifecycle import ENDED, State
from jobs.models import Preferences
from jobs.names import short
from jobs.said import localized

News = Preferences.News

TOPIC = re.compile(r"(jobs|hosts|checks|(job|host|domain)-\d{1,18})\Z")
MOST_TOPICS = 50
# Progress moves a region at most so often; a change of state at once.
PROGRESS_SECONDS = 0.9
BEAT_SECONDS = 15.0
PULSE_SECONDS = 3.0

LEVELS = {News.WAITING: "decide", News.FAILED: "bad", News.ENDED: "good"}


async def stream(request: Request) -> HttpResponseBase:
    """Stream the events of `?topics=job-12 hosts` to one who may see jobs."""
    user = await request.auser()
    if not await user.ahas_perm("jobs.view_copyjob"):
        return HttpResponseForbidden(_("Your role does not allow this."))
    asked = request.GET.get("topics", "").split()
    topics = frozenset(filter(TOPIC.match, asked[:MOST_TOPICS]))
    sender = Sender(
        topics, await sync_to_async(preferences_of)(user), translation.get_language()
    )
    # Middleware read the session in this request's own thread; the stream may stand
    # for hours and must not keep that thread's connection.
    await sync_to_async(connections.close_all)()
    return StreamingHttpResponse(
        events(sender),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def events(sender: Sender) -> AsyncIterator[str]:
    """Yield the server-sent events of one stream; ends when Redis goes away.

    "beat" when the stream begins and after 15 seconds without another; "pulse" each
    few seconds, so that a line that is dead is told from one that is silent; a topic's
    name when it changed ("checks" with the key of the request that a host has
    answered); "news" of a job that a person wants to know about wherever they are.
    """
    yield "retry: 2000\n\n"
    async with aclosing(hearing.wakes()) as wakes:
        with suppress(RedisError):  # the browser polls meanwhile and comes back
            async for wake in wakes:
                text = sender.quiet() if wake is None else sender.tell(wake)
                if text:
                    yield text


class Sender:
    """Turns wake-ups into the events of one stream, for one reader."""

    def __init__(
        self, topics: frozenset[str], reader: Preferences, language: str | None = None
    ) -> None:
        self.topics = topics
        self.reader = reader
        self.language = language
        self.sent = -BEAT_SECONDS
        self.pulsed = 0.0
        self.progress_sent: dict[str, float] = {}

    def quiet(self) -> str:
        """Return what is said where there is nothing to tell: that the stream stands;
        may be empty."""
        now = time.monotonic()
        if now - self.sent >= BEAT_SECONDS:
            self.sent = self.pulsed = now
            return event("beat")
        if now - self.pulsed >= PULSE_SECONDS:
            self.pulsed = now
            return event("pulse")
        return ""

    def tell(self, wake: Wake) -> str:
        """Return what `wake` means to this stream; may be empty."""
        named = [topic for topic in topics_of(wake) if topic in self.topics]
        if wake["kind"] == "progress":
            named = [topic for topic in named if self._due(topic)]
        data = {"key": wake["key"]} if wake["kind"] == "check" else {}
        text = "".join(event(topic, json.dumps(data)) for topic in named)
        text += self._news(wake)
        if not text:
            return self.quiet()
        self.sent = self.pulsed = time.monotonic()
        return text

    def _news(self, wake: Wake) -> str:
        """Return the news in `wake`, unless the page itself shows that job."""
        if wake["kind"] != "job" or f"job-{wake['job']}" in self.topics:
            return ""
        news = news_of(wake)
        by = cast("int | None", wake["by"])
        if news is None or not self.reader.wants(news, by):
            return ""
        with translation.override(self.language):
            detail = {
                **told(wake, news),
                "toast": self.reader.toasts,
                "notify": self.reader.notifications,
            }
        return event("news", json.dumps(detail))

    def _due(self, topic: str) -> bool:
        now = time.monotonic()
        if now - self.progress_sent.get(topic, -PROGRESS_SECONDS) < PROGRESS_SECONDS:
            return False
        self.progress_sent[topic] = now
        return True


def topics_of(wake: Wake) -> list[str]:
    """Return the topics that a wake-up touches."""
    if wake["kind"] == "check":
        return ["checks"]
    host = f"host-{wake['host']}"
    if wake["kind"] == "host":
        return [host, "hosts"]
    if wake["kind"] == "progress":
        moved = cast(list[int], wake["jobs"])
        return ["jobs", host, *(f"job-{pk}" for pk in moved)]
    return [f"job-{wake['job']}", "jobs", host, f"domain-{wake['domain']}"]


def event(name: str, data: str = "{}") -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {data}\n\n"


def news_of(wake: Wake) -> News | None:
    """Return what is news in a job's wake-up: its end, or that it waits for a decision
    from now on."""
    state = State(str(wake["state"]))
    if not wake["moved"]:
        return None
    if state == State.MIRRORING and wake["waits"]:
        return News.WAITING
    if state in (State.FAILED, State.LOST):
        return News.FAILED
    return News.ENDED if state in ENDED else None


def told(wake: Wake, news: News) -> dict[str, object]:
    """Return a job's news in words, with where to read more."""
    names = {"disk": wake["disk"], "domain": short(str(wake["name"]))}
    if news == News.WAITING:
        text = _("%(disk)s of %(domain)s: in sync, waits for a decision") % names
    else:
        words = {**names, "state": localized(State(str(wake["state"])).label)}
        text = _("%(disk)s of %(domain)s: %(state)s") % words
    return {
        "text": text,
        "more": _("on %(host)s") % {"host": short(str(wake["on"]))},
        "url": reverse("job", args=[wake["job"]]),
        "job": wake["job"],
        "level": LEVELS[news],
    }
