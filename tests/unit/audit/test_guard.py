"""The database refuses what would change the audit log, whoever asks and however."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from jobs.audit import guard
from jobs.audit.log import verify
from jobs.models import AuditEntry
from tests.unit.audit.tampering import TABLE, append, execute

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="only PostgreSQL has it"
)
on_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="only SQLite has it"
)


@pytest.fixture(autouse=True)
def _three_entries() -> None:
    append(3)


def refused(sql: str, *values: Any) -> str:
    """Run what must be refused; nothing has changed then. Returns the message."""
    before = list(AuditEntry.objects.order_by("id").values())
    with pytest.raises(DatabaseError) as refusal, transaction.atomic():
        execute(sql, *values)
    assert list(AuditEntry.objects.order_by("id").values()) == before
    return str(refusal.value)


@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE {TABLE} SET actor = 'nobody'",
        f"UPDATE {TABLE} SET hash = '' WHERE number = 3",
        f"UPDATE {TABLE} SET number = NULL, hash = '' WHERE number = 3",
        f"UPDATE {TABLE} SET number = 4 WHERE number = 3",
        f"UPDATE {TABLE} SET id = id + 100",
        f"DELETE FROM {TABLE}",
        f"DELETE FROM {TABLE} WHERE number = 3",
        f"INSERT INTO {TABLE} (id, time, actor, channel, request_id, action, "
        "object_type, object_id, object_text, intent, reason, outcome, detail, number, "
        "version, previous, key, hash, mac) SELECT id + 50, time, actor, channel, "
        "request_id, action, object_type, object_id, object_text, intent, reason, "
        f"outcome, detail, 4, version, hash, key, hash, mac FROM {TABLE} "
        "WHERE number = 3",
    ],
)
def test_raw_sql_is_refused(sql: str) -> None:
    assert guard.REFUSED in refused(sql)


@on_postgresql
@pytest.mark.parametrize(
    "sql",
    [
        f"TRUNCATE {TABLE}",
        f"TRUNCATE {TABLE} CASCADE",
        f"DELETE FROM {TABLE} WHERE false",
        f"INSERT INTO {TABLE} SELECT * FROM {TABLE} "
        "ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
        f"SET LOCAL session_replication_role = replica; DELETE FROM {TABLE}",
    ],
)
def test_ways_of_postgresql_are_refused(sql: str) -> None:
    assert guard.REFUSED in refused(sql)


@on_sqlite
@pytest.mark.parametrize(
    "sql",
    [
        f"INSERT OR REPLACE INTO {TABLE} SELECT * FROM {TABLE} WHERE number = 3",
        f"REPLACE INTO {TABLE} (id, time, actor, channel, request_id, action, "
        "object_type, object_id, object_text, intent, reason, outcome, detail, version,"
        " previous, key, hash, mac) SELECT id, time, 'nobody', channel, request_id, "
        "action, object_type, object_id, object_text, intent, reason, outcome, detail, "
        f"0, '', '', '', '' FROM {TABLE} WHERE number = 3",
        f"UPDATE OR REPLACE {TABLE} SET number = 2 WHERE number = 3",
        f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE number = 3 "
        "ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
    ],
)
def test_ways_of_sqlite_are_refused(sql: str) -> None:
    assert guard.REFUSED in refused(sql)


def test_an_entry_that_waits_for_its_place_keeps_what_it_tells() -> None:
    """Also in its own transaction nobody can change it."""
    append_and("actor = 'nobody'")
    assert AuditEntry.objects.count() == 3


def append_and(change: str, *values: Any) -> None:
    """Change an entry within its own transaction, which must be refused."""
    with transaction.atomic():
        append(1, first=4)
        with pytest.raises(IntegrityError), transaction.atomic():
            execute(f"UPDATE {TABLE} SET {change} WHERE number IS NULL", *values)
        transaction.set_rollback(True)


@pytest.mark.parametrize(("number", "previous"), [(5, None), (4, "0" * 64), (3, None)])
def test_only_the_next_place_can_be_given(number: int, previous: str | None) -> None:
    end = AuditEntry.objects.get(number=3).hash
    change = "number = %s, previous = %s, hash = 'x'"
    append_and(change, number, previous or end)
    assert AuditEntry.objects.count() == 3


def test_the_command_flush_is_refused() -> None:
    """What the tests do to clean up, no command of a console's own can do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "remove", lambda _: None)
        patch.setattr(guard, "install", lambda _: None)
        with pytest.raises(CommandError):
            call_command("flush", interactive=False)
    assert AuditEntry.objects.count() == 3


def test_missing_triggers_are_told_and_come_back_with_a_migration() -> None:
    guard.remove(connection)
    assert guard.missing(connection) == set(guard.TRIGGERS[connection.vendor])
    assert "does not refuse changes" in " ".join(verify().notes)
    call_command("migrate", verbosity=0)
    assert not guard.missing(connection)
    assert "does not refuse" not in " ".join(verify().notes)


@on_postgresql
def test_triggers_that_are_switched_off_count_as_missing() -> None:
    execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER audit_delete")
    assert guard.missing(connection) == {"audit_delete"}
    guard.reinstall("default")
    assert not guard.missing(connection)


@on_postgresql
def test_a_role_that_owns_nothing_can_only_append() -> None:
    """As docs/audit.md recommends: no way around the triggers is left."""
    execute("DROP ROLE IF EXISTS console")
    execute("CREATE ROLE console")
    execute(f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO console")
    execute(f"GRANT USAGE ON SEQUENCE {TABLE}_id_seq TO console")
    try:
        with transaction.atomic():
            execute("SET LOCAL ROLE console")
            append(1, first=4)
        assert verify().entries == 4
        for sql in (
            f"ALTER TABLE {TABLE} DISABLE TRIGGER ALL",
            f"DROP TRIGGER audit_update ON {TABLE}",
            "DROP FUNCTION audit_update() CASCADE",
            "SET LOCAL session_replication_role = replica",
            f"DELETE FROM {TABLE}",
            f"TRUNCATE {TABLE}",
            f"UPDATE {TABLE} SET actor = 'nobody'",
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                execute(f"SET LOCAL ROLE console; {sql}")
    finally:
        execute("DROP OWNED BY console")
        execute("DROP ROLE console")
    assert verify().entries == 4


@on_sqlite
def test_a_table_that_sqlite_rebuilds_is_guarded_again() -> None:
    """Django changes columns on SQLite by a new table, without its triggers."""
    old = AuditEntry._meta.get_field("detail")
    new = models.CharField(max_length=9000)
    new.set_attributes_from_name("detail")
    with connection.schema_editor() as editor:
        editor.alter_field(AuditEntry, old, new)
    assert guard.missing(connection)
    with connection.schema_editor() as editor:
        editor.alter_field(AuditEntry, new, old)
    guard.reinstall("default")
    assert not guard.missing(connection)
    assert verify().entries == 3


def test_a_test_that_flushes_leaves_the_guard_behind() -> None:
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()
    assert not guard.missing(connection)
