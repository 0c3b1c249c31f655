"""Who comes and goes, and who tried to, is in the audit log, whatever was typed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import user_login_failed
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import AuditEntry
from tests.conftest import PASSWORD


@pytest.fixture
def only() -> Any:
    """Return the one entry that there must be."""
    return AuditEntry.objects.get


def sign_in(name: str, password: str = PASSWORD) -> Client:
    client = Client()
    client.post(reverse("login"), {"username": name, "password": password})
    return client


def test_sign_in_and_out(olga: User) -> None:
    client = sign_in("olga")
    client.post(reverse("logout"))

    entries = AuditEntry.objects.order_by("id")
    assert list(entries.values_list("actor", "actor_id", "action", "outcome")) == [
        ("olga", olga.pk, "sign in", "done"),
        ("olga", olga.pk, "sign out", "done"),
    ]
    first = entries[0]
    assert (first.channel, first.address) == ("console", "127.0.0.1")
    assert first.request_id
    assert (first.object_type, first.object_text) == ("user", "olga")


@pytest.mark.parametrize("name", ["olga", "nobody"])
def test_a_failed_try_is_told_without_the_password(
    olga: User, only: Any, name: str
) -> None:
    sign_in(name, "a wrong guess")

    entry = only()
    assert (entry.actor, entry.actor_id) == (name, None)
    assert (entry.action, entry.outcome) == ("sign in", "refused")
    assert "a wrong guess" not in str(vars(entry))


def test_a_disabled_user_is_refused(olga: User, only: Any) -> None:
    User.objects.update(is_active=False)

    client = sign_in("olga")

    assert only().outcome == "refused"
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("o" * 151, "o" * 149 + "…"),
        ("o" * 100_000, "o" * 149 + "…"),
        ("ol\x00ga", "ol�ga"),
        ("\x1b[2Jolga\r\nada", "�[2Jolga��ada"),
        ("\u202eaglo", "�aglo"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("'; DROP TABLE jobs_auditentry; --", "'; DROP TABLE jobs_auditentry; --"),
        ("  olga  ", "olga"),
    ],
)
def test_whatever_is_typed_as_a_name_leaves_one_legible_entry(
    db: None, only: Any, typed: str, shown: str
) -> None:
    sign_in(typed)

    entry = only()
    assert entry.outcome == "refused"
    assert entry.actor == shown


def test_no_name_at_all_is_no_try(db: None) -> None:
    sign_in("")

    assert not AuditEntry.objects.exists()


def test_a_try_without_a_request_is_told_too(db: None, only: Any) -> None:
    user_login_failed.send("a backend", credentials={}, request=None)

    entry = only()
    assert (entry.actor, entry.address) == ("anonymous", None)
