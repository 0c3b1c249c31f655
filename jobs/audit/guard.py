"""The database's own refusal to change or delete an audit entry, whoever asks.

Triggers on both databases let an entry be appended without a place in the chain, and
be given the next place once; nothing else. Who owns the tables can take the triggers
away: that the chain and its checkpoints bring to light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps as now
from django.db import connections

from jobs.audit.chain import GENESIS
from jobs.audit.sealing import SEAL, TABLE

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

REFUSED = "The audit log is append-only"
NO_CHANGE = f"{REFUSED}: entries are never changed."
NO_DELETION = f"{REFUSED}: entries are never deleted."
NO_PLACE = f"{REFUSED}: a new entry gets the next place in the chain, at its commit."

TRIGGERS = {
    "postgresql": ("audit_append", "audit_delete", "audit_truncate", "audit_update"),
    "sqlite": ("audit_append", "audit_delete", "audit_update"),
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers in place, anew if they are there."""
    remove(connection)
    made = _postgresql() if connection.vendor == "postgresql" else _sqlite(connection)
    with connection.cursor() as cursor:
        for statement in made:
            cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away: for a migration back, and for tests to clean up."""
    postgresql = connection.vendor == "postgresql"
    table = f" ON {TABLE}" if postgresql else ""
    with connection.cursor() as cursor:
        for name in TRIGGERS[connection.vendor]:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{table}")


def missing(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the names of triggers that are not there, or switched off."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) "
                "AND tgenabled = 'A'",
                [TABLE],
            )
        else:
            cursor.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' "
                "AND tbl_name = %s",
                [TABLE],
            )
        there = {name for (name,) in cursor.fetchall()}
    return set(TRIGGERS[connection.vendor]) - there


def reinstall(using: str, apps: Any = now, **_: Any) -> None:
    """Put triggers back that a migration lost: SQLite rebuilds tables without them.

    Called after every migration, also after one back to before there was a chain.
    """
    names = {field.name for field in apps.get_model("jobs", "AuditEntry")._meta.fields}
    connection = connections[using]
    if "number" in names and missing(connection):
        install(connection)


# --- PostgreSQL -----------------------------------------------------------------------


def _postgresql() -> list[str]:
    """ENABLE ALWAYS: also where session_replication_role silences other triggers."""
    statements = [_REFUSE, _APPEND, _UPDATE]
    for event, level, function in (
        ("DELETE", "STATEMENT", "audit_refuse"),
        ("TRUNCATE", "STATEMENT", "audit_refuse"),
        ("INSERT", "ROW", "audit_append"),
        ("UPDATE", "ROW", "audit_update"),
    ):
        name = "audit_append" if event == "INSERT" else f"audit_{event.lower()}"
        statements += [
            f"CREATE TRIGGER {name} BEFORE {event} ON {TABLE} "
            f"FOR EACH {level} EXECUTE FUNCTION {function}()",
            f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {name}",
        ]
    return statements


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path FROM CURRENT AS $$ {body} $$"
    )


def _raise(message: str) -> str:
    return (
        f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';"
    )


_REFUSE = _function("audit_refuse", f"BEGIN {_raise(NO_DELETION)} END")
_APPEND = _function(
    "audit_append",
    f"BEGIN IF NEW.number IS NOT NULL THEN {_raise(NO_PLACE)} END IF; RETURN NEW; END",
)
_PLACES = ", ".join(f"'{name}'" for name in SEAL)
_UPDATE = _function(
    "audit_update",
    f"""
    DECLARE last record;
    BEGIN
      IF OLD.number IS NOT NULL OR to_jsonb(OLD) - ARRAY[{_PLACES}]
          IS DISTINCT FROM to_jsonb(NEW) - ARRAY[{_PLACES}] THEN
        {_raise(NO_CHANGE)}
      END IF;
      SELECT number, hash INTO last FROM {TABLE}
        WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1;
      IF NEW.number IS DISTINCT FROM coalesce(last.number, 0) + 1
          OR NEW.previous IS DISTINCT FROM coalesce(last.hash, '{GENESIS}') THEN
        {_raise(NO_PLACE)}
      END IF;
      RETURN NEW;
    END""",  # noqa: S608
)


# --- SQLite ---------------------------------------------------------------------------


def _sqlite(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, TABLE)
    kept = [f'"{column.name}"' for column in columns if column.name not in SEAL]
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in kept)
    last = f"FROM {TABLE} WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1"
    next_number = f"coalesce((SELECT number {last}), 0) + 1"
    previous = f"coalesce((SELECT hash {last}), '{GENESIS}')"
    # An INSERT OR REPLACE deletes without any trigger being asked.
    there = f"EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)"  # noqa: S608
    return [
        _trigger(
            "audit_append", "INSERT", (f"NEW.number IS NOT NULL OR {there}", NO_PLACE)
        ),
        _trigger("audit_delete", "DELETE", ("1", NO_DELETION)),
        _trigger(
            "audit_update",
            "UPDATE",
            (f"OLD.number IS NOT NULL OR {changed}", NO_CHANGE),
            (
                f"NEW.number IS NOT {next_number} OR NEW.previous IS NOT {previous}",
                NO_PLACE,
            ),
        ),
    ]


def _trigger(name: str, event: str, *refusals: tuple[str, str]) -> str:
    body = " ".join(
        f"SELECT RAISE(ABORT, '{message}') WHERE {condition};"
        for condition, message in refusals
    )
    return f"CREATE TRIGGER {name} BEFORE {event} ON {TABLE} BEGIN {body} END"
