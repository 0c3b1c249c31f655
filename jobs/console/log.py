"""A job's events as a log: a part of them on the page, all of them as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property

from django.db.models import Count, QuerySet
from django.urls import reverse

from jobs.models import CopyJob, JobEvent
from jobs.said import say

# The newest that the page shows.
MOST_EVENTS = 100

_LEVELS = JobEvent.Level
# What each choice shows: its own level and the graver ones.
LEVELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "": (say("All"), tuple(_LEVELS.values)),
    "warning": (say("Warnings and errors"), (_LEVELS.WARNING, _LEVELS.ERROR)),
    "error": (say("Errors"), (_LEVELS.ERROR,)),
}


@dataclass(frozen=True)
class Choice:
    """A level to choose, with how many events it shows."""

    label: str
    address: str
    count: int
    current: bool


@dataclass(frozen=True)
class Log:
    """The events of `job` from `level` up; a level that there is not shows all."""

    job: CopyJob
    level: str = ""

    @property
    def chosen(self) -> str:
        return self.level if self.level in LEVELS else ""

    @property
    def here(self) -> str:
        """Return the address of the job's page with this choice."""
        return self._address(self.chosen)

    def _address(self, level: str) -> str:
        page = reverse("job", args=[self.job.pk])
        return f"{page}?level={level}" if level else page

    @property
    def all(self) -> QuerySet[JobEvent]:
        """Return the chosen events, oldest first."""
        return self.job.events.filter(level__in=LEVELS[self.chosen][1])

    @cached_property
    def newest(self) -> list[JobEvent]:
        """Return those that the page shows, newest first; one query."""
        return list(self.all.order_by("-id")[:MOST_EVENTS])

    @cached_property
    def _counts(self) -> dict[str, int]:
        counted = self.job.events.order_by().values_list("level")
        return dict(counted.annotate(count=Count("pk")))

    def _count(self, level: str) -> int:
        return sum(self._counts.get(each, 0) for each in LEVELS[level][1])

    @property
    def count(self) -> int:
        """Return how many events are chosen."""
        return self._count(self.chosen)

    @property
    def choices(self) -> list[Choice]:
        """Return the levels to choose from; one query."""
        return [
            Choice(
                label, self._address(level), self._count(level), level == self.chosen
            )
            for level, (label, _) in LEVELS.items()
        ]

    @property
    def downloads(self) -> list[tuple[str, str]]:
        """Return name and address of the chosen events as files."""
        query = f"?level={self.chosen}" if self.chosen else ""
        return [
            (name, reverse("job-events", args=[self.job.pk, form]) + query)
            for form, (name, _, _) in FORMS.items()
        ]


def as_text(event: JobEvent) -> str:
    """Return an event as one line, whatever is in its words."""
    time = event.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = f"{time} {event.level} {event.actor or '-'}: {event.message}"
    return "".join(
        char if char.isprintable() else "�" for char in " ".join(words.split())
    )


def as_json(event: JobEvent) -> str:
    """Return an event as one line of JSON."""
    return json.dumps(event.record, ensure_ascii=False)


# Name, media type and line of each form that the events can be taken away in.
FORMS: dict[str, tuple[str, str, Callable[[JobEvent], str]]] = {
    "txt": (say("Text"), "text/plain", as_text),
    "jsonl": ("JSON lines", "application/x-ndjson", as_json),
}


def lines(events: Iterable[JobEvent], form: str) -> Iterable[str]:
    """Yield the lines of a file of events."""
    write = FORMS[form][2]
    return (f"{write(event)}\n" for event in events)
