"""The event stream of a browser tab: it says what changed, never how.

The page then fetches the fragment itself, so that rights are checked and markup is
made in one place. No database connection is held while a stream stands.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from typing import cast

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpResponseForbidden, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from redis.exceptions import RedisError

from jobs import live
from jobs.console.page import Request
from jobs.lifecycle import ENDED, State

TOPIC = re.compile(r"(jobs|hosts|checks|(job|host|domain)-\d{1,18})\Z")
MOST_TOPICS = 50
# Progress moves a region at most so often; a change of state at once.
PROGRESS_SECONDS = 0.9
BEAT_SECONDS = 15.0

Wake = dict[str, object]


async def stream(request: Request) -> HttpResponseBase:
    """Stream the events of `?topics=job-12 hosts` to one who may see jobs."""
    user = await request.auser()
    if not await user.ahas_perm("jobs.view_copyjob"):
        return HttpResponseForbidden("Your role does not allow this.")
    asked = request.GET.get("topics", "").split()
    topics = frozenset(filter(TOPIC.match, asked[:MOST_TOPICS]))
    # Middleware read the session in this request's own thread; the stream may stand
    # for hours and must not keep that thread's connection.
    await sync_to_async(connections.close_all)()
    return StreamingHttpResponse(
        events(topics),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def events(topics: frozenset[str]) -> AsyncIterator[str]:
    """Yield the server-sent events for `topics`; ends when Redis goes away.

    "beat" when the stream begins and at least each 15 seconds, a topic's name when it
    changed ("checks" with the key of the request that a host has answered), "toast"
    for a job that a person may want to know about wherever they are.
    """
    sender = Sender(topics)
    yield "retry: 2000\n\n"
    try:
        async for wake in live.wakes():
            text = sender.beat() if wake is None else sender.tell(wake)
            if text:
                yield text
    except RedisError:
        return  # the browser polls meanwhile and comes back


class Sender:
    """Turns wake-ups into the events of one stream."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.sent = 0.0
        self.progress_sent: dict[str, float] = {}

    def beat(self) -> str:
        """Return the event that says: the stream stands."""
        self.sent = time.monotonic()
        return event("beat")

    def tell(self, wake: Wake) -> str:
        """Return what `wake` means to this stream; may be empty."""
        named = [topic for topic in topics_of(wake) if topic in self.topics]
        if wake["kind"] == "progress":
            named = [topic for topic in named if self._due(topic)]
        data = {"key": wake["key"]} if wake["kind"] == "check" else {}
        text = "".join(event(topic, json.dumps(data)) for topic in named)
        text += self._toast(wake)
        if text:
            self.sent = time.monotonic()
        elif time.monotonic() - self.sent > BEAT_SECONDS:
            return self.beat()
        return text

    def _toast(self, wake: Wake) -> str:
        """Return the toast for `wake`, unless the page itself shows that job."""
        if wake["kind"] != "job" or f"job-{wake['job']}" in self.topics:
            return ""
        return toast(wake) if wake["moved"] else ""

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


def toast(wake: Wake) -> str:
    """Return the toast for a job that ended or waits for a decision, else nothing."""
    state = State(str(wake["state"]))
    if state == State.MIRRORING and wake["waits"]:
        words, level = "in sync, waits for a decision", "decide"
    elif state in ENDED:
        words = str(state.label)
        level = "bad" if state in (State.FAILED, State.LOST) else "good"
    else:
        return ""
    detail = {
        "text": f"{wake['name']}: {words}",
        "url": reverse("job", args=[wake["job"]]),
        "level": level,
    }
    return event("toast", json.dumps(detail))
