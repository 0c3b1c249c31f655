"""Giving entries their place in the chain, as the last thing before their COMMIT."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError

from jobs.audit.chain import VERSION, Entry, Keyring, Link, sealed
from jobs.models import AuditEntry

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

# PostgreSQL's advisory lock of the chain's end; any number that nobody else uses.
CHAIN_LOCK = 0x626C6B6175646974
LOCK_TIMEOUT = 20_000  # milliseconds, as long as SQLite waits

TABLE = AuditEntry._meta.db_table
# What identifies an entry and what it tells, without its place in the chain.
SEAL = ("version", "number", "previous", "key", "hash", "mac")
TOLD = tuple(
    field.attname for field in AuditEntry._meta.fields if field.attname not in SEAL
)


class NotRecorded(DatabaseError):
    """An audit entry could not be written, so what it tells of did not happen."""


def keyring() -> Keyring:
    """Return the keys of the settings."""
    return Keyring.of(settings.BLOCKCOPY_AUDIT_KEY)


def newest(using: str = "default") -> Link | None:
    """Return the end of the chain, or None if there is no entry."""
    found = (
        AuditEntry.objects.using(using)
        .filter(number__isnull=False)
        .order_by("-number")
        .values_list("number", "hash", "key")
        .first()
    )
    return Link(*found) if found else None  # type: ignore[arg-type]


def seal(connection: BaseDatabaseWrapper, appended: Collection[int]) -> None:
    """Chain those of the entries `appended` that no savepoint took back.

    Called by the database backend within the transaction, right before its COMMIT.
    NotRecorded, upon which Django rolls the transaction back, if that is not possible.
    """
    try:
        _lock(connection)
        _seal(connection, appended)
    except NotRecorded:
        raise
    except Exception as error:
        # Whatever it is, it must be one for which Django rolls back.
        raise NotRecorded(
            f"The audit entry could not be written, so nothing was done: {error}"
        ) from error


def _lock(connection: BaseDatabaseWrapper) -> None:
    """Wait until no other transaction is between this point and its end."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), "
                "pg_advisory_xact_lock(%s)",
                [f"{LOCK_TIMEOUT}ms", CHAIN_LOCK],
            )
    # SQLite has one writer at a time, from its BEGIN IMMEDIATE on.


def _seal(connection: BaseDatabaseWrapper, appended: Collection[int]) -> None:
    last, keys = newest(connection.alias), keyring()
    if last is not None and last.key and not keys.current:
        raise NotRecorded(
            "The audit log is signed, and this process has no key to sign with, so "
            "nothing was done: set BLOCKCOPY_AUDIT_KEY as for the other processes."
        )
    rows = (
        AuditEntry.objects.using(connection.alias)
        .filter(pk__in=appended, number=None)
        .order_by("pk")
        .values(*TOLD)
    )
    entries = []
    for values in rows:
        entry = sealed(values, last, keys)
        last = Link(entry.content["number"], entry.hash, keys.current)
        entries.append(entry)
    write(connection, entries)


def write(connection: BaseDatabaseWrapper, entries: Iterable[Entry]) -> None:
    """Write the places of entries; the database lets that happen once for each."""
    columns = ", ".join(f"{connection.ops.quote_name(name)} = %s" for name in SEAL)
    with connection.cursor() as cursor:
        for entry in entries:
            told = entry.content
            cursor.execute(
                f"UPDATE {TABLE} SET {columns} WHERE id = %s AND number IS NULL",  # noqa: S608
                [
                    *(VERSION, told["number"], told["previous"], told["key"]),
                    *(entry.hash, entry.mac, told["id"]),
                ],
            )
