"""Searching for a part of a text, in whichever of a row's columns it stands, and for
places, whole or by how they begin.

What is searched of a row is one expression, so that one index serves every search:
trigrams in PostgreSQL, where its extension pg_trgm is to be had. Without it, and in
SQLite, a search reads all rows. Of jobs it is a column of their own besides, since the
newest of very many that match are found by reading, not by an index.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce
from operator import or_
from typing import Any, TypeVar, cast

import structlog
from django.apps import apps as now
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, Q, QuerySet, TextField
from django.db.models.functions import Left, Upper
from django.db.models.lookups import IContains

log = structlog.get_logger(__name__)

# What is searched, by the name of the model. None of the columns may be NULL.
SEARCHED: dict[str, tuple[str, ...]] = {
    "CopyJob": (
        *("domain_name", "disk", "host_name", "source", "destination"),
        *("requested_by_name", "reason"),
    ),
    "AuditEntry": (
        *("object_text", "intent", "reason", "detail", "actor", "request_id"),
    ),
    "Domain": ("name", "uuid"),
    "Disk": ("source",),
    "Leftover": ("location", "domain_name"),
}
# The column that holds what is searched, all in capitals, of the models that keep it.
KEPT = {"CopyJob": "searched"}
# Columns that are searched by themselves too.
ALONE: dict[str, tuple[str, ...]] = {
    "CopyJob": ("domain_name", "destination", "requested_by_name"),
}
# Columns with places that are looked for. An index has no room for the longest of them:
# it knows how they begin.
PLACES: dict[str, tuple[str, ...]] = {
    "Disk": ("source", "persistent_source", "mirror"),
    "ChainLink": ("location",),
    "Leftover": ("location",),
}
KNOWN_CHARACTERS = 255
MOST_OWNERS = 2_000

Row = TypeVar("Row", bound=models.Model)


class Texts(Func):
    """Columns as one text, a line for each."""

    template = "(%(expressions)s)"
    arg_joiner = " || CHR(10) || "
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        joiner = self.arg_joiner.replace("CHR", "CHAR")
        return self.as_sql(compiler, connection, arg_joiner=joiner, **extra)


def searched(name: str) -> models.GeneratedField:
    """Return the column that keeps what is searched of the model `name`."""
    texts = Upper(Texts(*SEARCHED[name]))
    return models.GeneratedField(
        expression=texts, output_field=TextField(), db_persist=True
    )


@TextField.register_lookup
class Mentions(IContains):
    """As `icontains`, of a column that is all in capitals already."""

    lookup_name = "mentions"

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        return str(connection.operators["icontains"] % rhs)


def mentioning(rows: QuerySet[Row], text: str, *others: Q) -> QuerySet[Row]:
    """Keep the rows in which `text` stands anywhere in what is searched of them, and
    those that any of `others` is for."""
    name = rows.model.__name__
    if kept := KEPT.get(name):
        return rows.filter(reduce(or_, others, Q(**{f"{kept}__mentions": text})))
    texts: Any = rows.alias(texts=Texts(*SEARCHED[name]))
    found = texts.filter(reduce(or_, others, Q(texts__icontains=text)))
    return cast("QuerySet[Row]", found)


def about(rows: QuerySet[Row], text: str, **owners: QuerySet[Any]) -> QuerySet[Row]:
    """Keep the rows in which `text` stands, and those that belong to any of `owners`,
    by the name of the relation.

    Owners are found first, as far as there are not too many: told which, a database
    goes by its indexes, while it takes a search for them to find any number.
    """
    others = []
    for relation, found in owners.items():
        numbers = list(found.order_by().values_list("pk", flat=True)[: MOST_OWNERS + 1])
        few = len(numbers) <= MOST_OWNERS
        wanted = numbers if few else found.order_by().values("pk")
        others.append(Q(**{f"{relation}__in": wanted}))
    return mentioning(rows, text, *others)


def lying_at(
    rows: QuerySet[Row], column: str, places: Collection[str]
) -> QuerySet[Row]:
    """Keep the rows whose `column`, one of PLACES, is one of `places`."""
    begun = {place[:KNOWN_CHARACTERS] for place in places}
    known: Any = rows.alias(**{f"{column}_begins": Left(column, KNOWN_CHARACTERS)})
    wanted = {f"{column}_begins__in": begun, f"{column}__in": set(places)}
    return cast("QuerySet[Row]", known.filter(**wanted))


def beginning(
    rows: QuerySet[Row], column: str, prefixes: Collection[str]
) -> QuerySet[Row]:
    """Keep the rows whose `column`, one of PLACES, begins with any of `prefixes`."""
    known: Any = rows.alias(**{f"{column}_begins": Left(column, KNOWN_CHARACTERS)})
    begun = (
        Q(**{f"{column}_begins__startswith": prefix[:KNOWN_CHARACTERS]})
        & Q(**{f"{column}__startswith": prefix})
        for prefix in sorted(prefixes)
    )
    return cast("QuerySet[Row]", known.filter(reduce(or_, begun, Q(pk__in=()))))


# --- The indexes ---------------------------------------------------------------------


def make_indexes(using: str, apps: Any = now, **_: Any) -> None:
    """Make the indexes that are missing; called after every migration, so that they
    come too once the extension is there."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    quote = connection.ops.quote_name
    for name, columns in PLACES.items():
        for column in columns:
            if table := _table_with(apps, name, (column,)):
                begins = f"LEFT({quote(column)}, {KNOWN_CHARACTERS}) text_pattern_ops"
                _make_index(connection, table, _by(column), f"btree ({begins})")
    if not _has_trigrams(connection):
        return
    for name, columns in SEARCHED.items():
        kept = KEPT.get(name)
        if table := _table_with(apps, name, (kept,) if kept else columns):
            # As Django writes the search, or PostgreSQL would not see that they match.
            texts = f"UPPER(({Texts.arg_joiner.join(map(quote, columns))}))"
            alone = (f"UPPER({quote(each)}::text)" for each in ALONE.get(name, ()))
            parts = (quote(kept) if kept else texts, *alone)
            trigrams = ", ".join(f"{part} gin_trgm_ops" for part in parts)
            _make_index(connection, table, _TEXTS, f"gin ({trigrams})")


def drop_indexes(connection: BaseDatabaseWrapper) -> None:
    """Take the indexes away: very many rows are written sooner without them."""
    if connection.vendor != "postgresql":
        return
    names = [(name, _TEXTS) for name in SEARCHED]
    names += [(name, _by(column)) for name in PLACES for column in PLACES[name]]
    with connection.cursor() as cursor:
        for name, end in names:
            table = now.get_model("jobs", name)._meta.db_table
            cursor.execute(f"DROP INDEX IF EXISTS {table}_{end}")


_TEXTS = "texts"


def _by(column: str) -> str:
    return f"by_{column}"


def _table_with(apps: Any, name: str, columns: tuple[str, ...]) -> str:
    """Return the model's table; "" where a migration went back to before that."""
    try:
        model = apps.get_model("jobs", name)
    except LookupError:
        return ""
    there = set(columns) <= {field.name for field in model._meta.fields}
    return str(model._meta.db_table) if there else ""


def _make_index(
    connection: BaseDatabaseWrapper, table: str, end: str, what: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS {table}_{end} ON {table} USING {what}"
        )


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
