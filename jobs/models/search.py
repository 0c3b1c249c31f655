"""Searching for a part of a text, in whichever of a row's columns it stands.

What is searched of a row is one expression, so that one index serves every search:
trigrams in PostgreSQL, where its extension pg_trgm is to be had. Without it, and in
SQLite, a search reads all rows.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, TypeVar, cast

import structlog
from django.apps import apps as now
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, Q, QuerySet, TextField

log = structlog.get_logger(__name__)

# What is searched, by the name of the model. None of the columns may be NULL.
SEARCHED: dict[str, tuple[str, ...]] = {
    "CopyJob": (
        *("domain_name", "disk", "host_name", "source", "destination"),
        "requested_by_name",
    ),
    "AuditEntry": (
        *("object_text", "intent", "reason", "detail", "actor", "request_id"),
    ),
    "Leftover": ("location",),
}

Row = TypeVar("Row", bound=models.Model)


class Texts(Func):
    """Columns as one text, a line for each."""

    template = "(%(expressions)s)"
    arg_joiner = " || CHR(10) || "
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        joiner = self.arg_joiner.replace("CHR", "CHAR")
        return self.as_sql(compiler, connection, arg_joiner=joiner, **extra)


def mentioning(rows: QuerySet[Row], text: str, *others: Q) -> QuerySet[Row]:
    """Keep the rows in which `text` stands anywhere in what is searched of them, and
    those that any of `others` is for."""
    texts: Any = Texts(*SEARCHED[rows.model.__name__])
    wanted = reduce(or_, others, Q(texts__icontains=text))
    return cast("QuerySet[Row]", rows.alias(texts=texts).filter(wanted))


# --- The indexes ---------------------------------------------------------------------


def make_indexes(using: str, apps: Any = now, **_: Any) -> None:
    """Make the indexes that are missing; called after every migration, so that they
    come too once the extension is there."""
    connection = connections[using]
    if connection.vendor != "postgresql" or not _has_trigrams(connection):
        return
    for name, columns in SEARCHED.items():
        model = apps.get_model("jobs", name)
        # A migration may have gone back to before a column was there.
        if set(columns) <= {field.name for field in model._meta.fields}:
            _make_index(connection, model._meta.db_table, columns)


def _has_trigrams(connection: BaseDatabaseWrapper) -> bool:
    """Have the extension, if whoever migrates may."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        if cursor.fetchone():
            return True
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError as error:
        log.warning("searches will read all rows: no pg_trgm", error=str(error).strip())
        return False
    return True


def _make_index(
    connection: BaseDatabaseWrapper, table: str, columns: tuple[str, ...]
) -> None:
    """As Django writes the search, or PostgreSQL would not see that they match."""
    quote = connection.ops.quote_name
    texts = Texts.arg_joiner.join(map(quote, columns))
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS {_index_name(connection, table)} "
            f"ON {quote(table)} USING gin (UPPER(({texts})) gin_trgm_ops)"
        )


def _index_name(connection: BaseDatabaseWrapper, table: str) -> str:
    return connection.ops.quote_name(f"{table}_texts")


def drop_indexes(connection: BaseDatabaseWrapper) -> None:
    """Take the indexes away: very many rows are written sooner without them."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for name in SEARCHED:
            table = now.get_model("jobs", name)._meta.db_table
            cursor.execute(f"DROP INDEX IF EXISTS {_index_name(connection, table)}")
