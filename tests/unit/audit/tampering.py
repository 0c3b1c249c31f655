"""What somebody could do who owns the database: everything, once the guard is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from jobs import audit
from jobs.actor import SYSTEM
from jobs.audit import guard
from jobs.audit.chain import FIELDS, Keyring, Link, canonical, content, digest, sealed
from jobs.audit.log import entries
from jobs.models import AuditEntry

TABLE = "jobs_auditentry"
KEY = "k" * 32
OTHER_KEY = "o" * 32


def append(count: int, first: int = 1) -> None:
    """Append entries as the console does, each in a transaction of its own."""
    for number in range(first, first + count):
        audit.record(SYSTEM, f"act {number}", None, audit.Outcome.DONE)


@contextmanager
def guard_away() -> Iterator[None]:
    """Without the triggers, which a database's owner can take away."""
    guard.remove(connection)
    try:
        yield
    finally:
        guard.install(connection)


def execute(sql: str, *values: Any) -> None:
    """Run one statement as it is."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def edit(number: int, /, **columns: Any) -> None:
    """Change columns of an entry, and nothing else."""
    change = ", ".join(f'"{name}" = %s' for name in columns)
    with guard_away():
        execute(
            f"UPDATE {TABLE} SET {change} WHERE number = %s", *columns.values(), number
        )


def remove(number: int) -> None:
    """Delete an entry."""
    with guard_away():
        execute(f"DELETE FROM {TABLE} WHERE number = %s", number)


def renumber(first: int, by: int) -> None:
    """Move the entries from `first` on up or down by so many places."""
    with guard_away(), transaction.atomic():
        execute(f"UPDATE {TABLE} SET number = -number WHERE number >= %s", first)
        execute(f"UPDATE {TABLE} SET number = %s - number WHERE number < 0", by)


def exchange(one: int, other: int) -> None:
    """Let two entries change their places."""
    with guard_away(), transaction.atomic():
        for old, new in ((one, -1), (other, one), (-1, other)):
            execute(f"UPDATE {TABLE} SET number = %s WHERE number = %s", new, old)


def insert(number: int, last: Link | None, keys: str = "") -> None:
    """Put an entry in that is right in itself and follows `last`."""
    given = AuditEntry.objects.order_by("-id").values(*FIELDS[1]).first()
    assert given is not None
    made = sealed(
        {**given, "id": given["id"] + 1, "action": "forged"}, last, Keyring.of(keys)
    )
    told = {**made.content, "time": given["time"], "hash": made.hash, "mac": made.mac}
    assert told["number"] == number
    names = ", ".join(f'"{name}"' for name in told)
    places = ", ".join(["%s"] * len(told))
    with guard_away():
        execute(
            f"INSERT INTO {TABLE} ({names}) VALUES ({places})",
            *(str(v) if name == "time" else v for name, v in told.items()),
        )


def rewrite(first: int, keys: str = "", **columns: Any) -> None:
    """Change an entry and write all hashes from there on anew."""
    ring = Keyring.of(keys)
    edit(first, **columns)
    last = link(first - 1) if first > 1 else None
    rows = AuditEntry.objects.filter(number__gte=first).order_by("number")
    for values in list(rows.values(*FIELDS[1])):
        made = sealed(values, last, ring)
        told = made.content
        last = Link(told["number"], made.hash, told["key"])
        edit(
            told["number"],
            previous=told["previous"],
            key=told["key"],
            hash=made.hash,
            mac=made.mac,
        )


def rehash(number: int) -> None:
    """Give an entry the hash of what it holds now."""
    row = AuditEntry.objects.filter(number=number).values(*FIELDS[1]).get()
    edit(number, hash=digest(canonical(content(row))))


def link(number: int) -> Link:
    """The entry of that number, as the next one must know it."""
    row = AuditEntry.objects.filter(number=number).values_list("number", "hash", "key")
    return Link(*row.get())  # type: ignore[arg-type]


def read() -> list[dict[str, Any]]:
    """All entries as they are hashed."""
    return [entry.content for entry in entries(AuditEntry.objects.all())]
