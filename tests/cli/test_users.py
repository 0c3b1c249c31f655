"""`blockcopy user …`: twice is as good as once, and nobody climbs."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from jobs.models import AuditEntry
from jobs.roles import OPERATOR, VIEWER, role_of
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("redis")


GOOD = "correct horse battery"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put something on standard input."""
    monkeypatch.delenv("BLOCKCOPY_PASSWORD", raising=False)

    def type_(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    type_("")
    return type_


def test_a_user_is_added_with_a_password_from_the_environment(
    blockcopy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", GOOD)

    done = blockcopy("user", "add", "olga", "--role", "operator", "--json")

    assert done.status == 0
    assert done.json["role"] == "operator"
    assert GOOD not in done.out + done.err
    user = authenticate(username="olga", password=GOOD)
    assert user is not None
    assert role_of(user) == OPERATOR
    acts = AuditEntry.objects.order_by("id").values_list("action", "intent")
    assert list(acts) == [("add user", ""), ("change role", "added operator")]


def test_or_from_standard_input(blockcopy: Run, typed: Any) -> None:
    typed(f"{GOOD}\nnot this\n")

    assert blockcopy("user", "add", "olga", "--role", "operator").status == 0
    assert authenticate(username="olga", password=GOOD)


def test_doing_it_twice_changes_nothing(
    blockcopy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", GOOD)
    words = ("user", "add", "olga", "--role", "operator")
    blockcopy(*words)
    before = (AuditEntry.objects.count(), User.objects.get().password)

    assert blockcopy(*words).status == 0

    assert (AuditEntry.objects.count(), User.objects.get().password) == before


def test_another_role_replaces_the_first(
    blockcopy: Run, olga: User, typed: Any
) -> None:
    password = olga.password

    assert blockcopy("user", "add", "olga", "--role", "viewer").status == 0

    olga.refresh_from_db()
    assert role_of(olga) == VIEWER
    assert olga.password == password
    entry = AuditEntry.objects.get(action="change role")
    assert entry.intent == "added viewer, removed operator"


def test_another_password_is_set_and_audited(
    blockcopy: Run, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", "another horse battery")

    assert blockcopy("user", "add", "olga", "--role", "operator").status == 0

    assert authenticate(username="olga", password="another horse battery")
    assert AuditEntry.objects.get().action == "change password"


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("olga", "", "no password"),
        ("olga", "short", "too short"),
        ("olga", "password", "too common"),
        ("olga-k", "olga-k99", "too similar"),
        ("ol ga", GOOD, "valid username"),
        ("o" * 151, GOOD, "at most 150"),
    ],
)
def test_a_bad_user_is_not_added(
    blockcopy: Run, typed: Any, name: str, password: str, says: str
) -> None:
    typed(password)

    done = blockcopy("user", "add", name, "--role", "operator", "--json")

    assert done.status == 1
    assert says in done.json["error"]
    assert not User.objects.exists()
    assert not AuditEntry.objects.exists()


def test_an_unknown_role_is_a_usage_error(blockcopy: Run, db: None) -> None:
    assert blockcopy("user", "add", "olga", "--role", "king").status == 2
    assert not User.objects.exists()


def test_an_administrator_does_not_take_over_a_superuser(
    blockcopy: Run, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = User.objects.create_superuser("root", password=GOOD)
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", "another horse battery")

    done = blockcopy("user", "add", "root", "--role", "viewer", "--as", "ada")

    assert done.status == 1
    root.refresh_from_db()
    assert root.check_password(GOOD)
    assert AuditEntry.objects.get(action="change user").outcome == "refused"


@pytest.mark.parametrize("name", ["olga", "victor"])
def test_others_add_no_users(
    blockcopy: Run, olga: User, victor: User, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", GOOD)

    done = blockcopy("user", "add", "eve", "--role", "administrator", "--as", name)

    assert done.status == 1
    assert not User.objects.filter(username="eve").exists()
    assert AuditEntry.objects.get(action="add user").outcome == "refused"


def test_users_are_listed_with_roles(blockcopy: Run, olga: User, otto: User) -> None:
    listed = blockcopy("user", "list", "--json").json

    assert [(one["user"], one["role"]) for one in listed] == [
        *(("olga", "operator"), ("otto", "")),
    ]
    assert not any("password" in one for one in listed)
