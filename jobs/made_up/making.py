"""Making it all up, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from jobs import audit
from jobs.actor import Actor
from jobs.made_up import copies, fleet, log, people, records
from jobs.made_up.size import Size
from jobs.models import AuditEntry, CopyJob, Domain, Host, Leftover, StoragePool, search

# What a database holds once somebody has begun to use it.
_SIGNS = (Host, StoragePool, Domain, CopyJob, Leftover, AuditEntry, User)


class InUse(Exception):
    """The database holds something."""


def make(
    size: Size, actor: Actor, password: str = "", tell: Callable[[str], None] = print
) -> None:
    """Fill an empty database; InUse, and nothing is done, if it is none.

    With a `password` the made-up people can sign in.
    """
    with transaction.atomic():
        _must_be_empty()
        search.drop_indexes(connection)
        chance, now = Random(size.seed), timezone.now()  # noqa: S311 (no secret)
        tell(f"{size.people:,} people")
        persons = people.write(size.people, password)
        tell(f"{size.hosts:,} hosts, {size.domains:,} domains, {size.disks:,} disks")
        made = fleet.plan(size, chance, now)
        tell(f"{size.past:,} copies of the past, {size.active:,} active ones")
        told = copies.plan(made, persons, size, chance, now)
        fleet.write(made)
        records.write(told, now)
        tell(f"{size.entries:,} audit entries")
        log.write(told, persons, size.entries, now)
        tell("the indexes of searches")
        # PostgreSQL makes no index while it still owes the checks of foreign keys.
        connection.check_constraints()
        search.make_indexes(connection.alias)
        intent = ", ".join(f"{name} {count}" for name, count in vars(size).items())
        audit.record(actor, "make up a fleet", None, audit.Outcome.DONE, intent=intent)
    _tidy()


def _must_be_empty() -> None:
    found = {model: model._default_manager.count() for model in _SIGNS}
    there = [
        f"{count:,} {model._meta.verbose_name_plural}"
        for model, count in found.items()
        if count
    ]
    if there:
        raise InUse(
            f"The database holds {', '.join(there)}. What is made up goes into an "
            "empty one only."
        )


def _tidy() -> None:
    """Leave the database as its own housekeeping would, some minutes later."""
    vacuums = connection.vendor == "postgresql" and not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)" if vacuums else "ANALYZE")
