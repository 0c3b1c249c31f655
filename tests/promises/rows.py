"""What the console's database says, read at one moment and without the console."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg


@dataclass(frozen=True)
class Job:
    """A copy job."""

    pk: int
    state: str
    host: str
    domain: str
    domain_uuid: str
    disk: str
    source: str
    source_format: str
    destination: str
    destination_kind: str
    destination_format: str
    when_ready: str
    at_limit: str
    flagged: str
    libvirt_id: int | None
    refusals: int
    failure: str
    adopted: bool
    frozen: bool
    scheduled: bool = False


@dataclass(frozen=True)
class Line:
    """A transition as the job's history has it; `old` is empty at the beginning."""

    job: int
    at: datetime
    actor: str
    old: str
    new: str
    message: str


@dataclass(frozen=True)
class Entry:
    """An entry of the audit log about a job."""

    pk: int
    job: int
    actor: str
    action: str
    outcome: str
    detail: str

    @property
    def by_person(self) -> bool:
        return self.actor != "system"

    @property
    def by_strangers(self) -> bool:
        """Whether it tells of something that this console did not do."""
        return self.detail.endswith("Not by this console.")


@dataclass(frozen=True)
class Left:
    """A leftover that is there, of a kind of Leftover.Kind."""

    job: int
    host: str
    kind: str
    location: str


@dataclass(frozen=True)
class Database:
    """All of it at one moment, each in the order in which it was written."""

    jobs: dict[int, Job]
    lines: list[Line]
    entries: list[Entry]
    leftovers: list[Left]

    def lines_of(self, job: int) -> list[Line]:
        return [line for line in self.lines if line.job == job]

    def entries_of(self, job: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.job == job]


JOBS = """
select id, state, host_name, domain_name, domain_uuid, disk, source, source_format,
  destination, destination_kind, destination_format, when_ready, at_limit, flagged,
  libvirt_id, refusals, failure, adopted_at is not null, frozen_at is not null,
  start_at is not null
from jobs_copyjob order by id"""
LINES = """
select job_id, time, actor, old_state, new_state, message
from jobs_jobevent where new_state <> '' order by id"""
ENTRIES = """
select id, object_id, actor, action, outcome, detail
from jobs_auditentry where object_type = 'copy job' order by id"""
LEFTOVERS = """
select job_id, host_name, kind, location
from jobs_leftover where removed_at is null order by id"""

Ask = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def asking(url: str) -> Iterator[Ask]:
    """Ask the database of a DATABASE_URL of the lab, within one transaction."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            file.execute("begin")
            yield lambda sql: file.execute(sql).fetchall()
        return
    with psycopg.connect(url) as server:
        server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield lambda sql: server.execute(sql.encode()).fetchall()


def read(url: str) -> Database:
    """Read everything. The driver's own errors when it can't be read."""
    with asking(url) as ask:
        return _all(ask)


def _all(ask: Ask) -> Database:
    jobs = [Job(*row[:-3], *map(bool, row[-3:])) for row in ask(JOBS)]
    return Database(
        jobs={job.pk: job for job in jobs},
        lines=[Line(row[0], _time(row[1]), *row[2:]) for row in ask(LINES)],
        entries=[Entry(row[0], int(row[1]), *row[2:]) for row in ask(ENTRIES)],
        leftovers=[Left(*row) for row in ask(LEFTOVERS)],
    )


def _time(kept: datetime | str) -> datetime:
    """SQLite keeps Django's times as text, in UTC."""
    if isinstance(kept, datetime):
        return kept
    return datetime.fromisoformat(kept).replace(tzinfo=UTC)
