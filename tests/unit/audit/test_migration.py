"""A log from before there was a chain is chained as it is, in the order of its ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from jobs.audit import guard
from jobs.audit.log import verify
from jobs.models import AuditEntry
from tests.unit.audit.tampering import KEY, append

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = ("jobs", "0004_fingerprints_of_leftovers")


@pytest.fixture
def old_log() -> Iterator[Any]:
    """The model of the audit entries of the release before; the newest again after."""
    call_command("migrate", *BEFORE, verbosity=0)
    state = MigrationExecutor(connection).loader.project_state([BEFORE])
    yield state.apps.get_model("jobs", "AuditEntry")
    call_command("migrate", verbosity=0)


def test_entries_from_before_are_chained(old_log: Any, settings: Any) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    hostile = "=1\x1b[31m “é” \u202e \\ 🦀"
    for number in (1, 2, 5, 6, 40):  # PostgreSQL leaves gaps
        old_log.objects.create(
            id=number,
            actor="olga",
            channel="console",
            address="2001:db8::7" if number % 2 else None,
            action="sync",
            outcome="done",
            detail=hostile,
        )
    before = list(old_log.objects.order_by("id").values())
    call_command("migrate", verbosity=0)
    found = verify()
    assert found.intact, found.sentence
    assert (found.entries, found.vouched) == (5, 5)
    now = AuditEntry.objects.order_by("number")
    assert list(now.values(*before[0])) == before
    assert not guard.missing(connection)
    # PostgreSQL's sequence does not know of ids that were given.
    if connection.vendor == "sqlite":
        append(1)
        assert verify().entries == 6


def test_back_and_forth_again(old_log: Any) -> None:
    call_command("migrate", verbosity=0)
    append(3)
    before = list(AuditEntry.objects.order_by("id").values())
    call_command("migrate", *BEFORE, verbosity=0)
    old_log.objects.filter(pk=before[0]["id"]).update(detail="")  # no guard there
    call_command("migrate", verbosity=0)
    assert list(AuditEntry.objects.order_by("id").values()) == before
