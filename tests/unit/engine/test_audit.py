"""The audit log only grows."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from jobs import audit
from jobs.actor import SYSTEM
from jobs.models import AuditEntry, Host
from jobs.models.audit import AuditLogIsAppendOnly
from tests.conftest import PASSWORD


@pytest.fixture
def entry(host: Host) -> AuditEntry:
    return audit.record(SYSTEM, "sync", host, audit.Outcome.DONE)


def test_an_entry_keeps_text_of_its_object(entry: AuditEntry, host: Host) -> None:
    assert (entry.object_type, entry.object_id) == ("host", str(host.pk))
    assert entry.object_text == "alder"


def test_no_entry_can_be_changed_or_deleted(entry: AuditEntry) -> None:
    entry.detail = "something else"
    with pytest.raises(AuditLogIsAppendOnly):
        entry.save()
    with pytest.raises(AuditLogIsAppendOnly):
        entry.delete()
    entries = AuditEntry.objects.filter(pk=entry.pk)
    with pytest.raises(AuditLogIsAppendOnly):
        entries.update(actor="nobody")
    with pytest.raises(AuditLogIsAppendOnly):
        entries.delete()
    with pytest.raises(AuditLogIsAppendOnly):
        AuditEntry.objects.bulk_update([entry], ["actor"])
    assert AuditEntry.objects.get().detail == ""


def test_no_entry_is_overwritten_by_one_with_its_number(entry: AuditEntry) -> None:
    forged = AuditEntry(pk=entry.pk, actor="nobody", action="sync", outcome="done")
    with pytest.raises(IntegrityError), transaction.atomic():
        forged.save()
    with pytest.raises(AuditLogIsAppendOnly):
        AuditEntry.objects.bulk_create([forged], update_conflicts=True)
    assert AuditEntry.objects.get().actor == "system"


def test_signing_in_and_failing_to(olga: User) -> None:
    client = Client()
    assert not client.login(username="olga", password="wrong")
    assert client.login(username="olga", password=PASSWORD)
    client.logout()
    acts = AuditEntry.objects.order_by("id").values_list("action", "actor", "outcome")
    assert list(acts) == [
        ("sign in", "olga", "refused"),
        ("sign in", "olga", "done"),
        ("sign out", "olga", "done"),
    ]
