"""Users: roles and passwords change with an entry, and nobody climbs by himself."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from jobs.models import AuditEntry
from jobs.roles import ADMINISTRATOR, OPERATOR, VIEWER, role_of
from tests.conftest import PASSWORD, signed_in

NEW = "another horse battery"


def page_of(user: User, page: str = "change") -> str:
    name = f"auth_user_{page}"
    return reverse(f"admin:{name}", args=[user.pk])


def as_typed(user: User, *roles: str, **others: Any) -> dict[str, Any]:
    """The change form of a user, filled in."""
    groups = Group.objects.filter(name__in=roles).values_list("pk", flat=True)
    return {
        "username": user.username,
        "is_active": "on",
        "groups": list(groups),
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        **others,
    }


def told() -> list[tuple[str, ...]]:
    """What the audit log says, but for the cast's signing in."""
    entries = AuditEntry.objects.exclude(action="sign in").order_by("id")
    return list(entries.values_list("actor", "action", "object_text", "intent"))


def test_a_user_is_added(administration: Client) -> None:
    response = administration.post(
        reverse("admin:auth_user_add"),
        {
            **{"username": "oscar", "usable_password": "true"},
            **{"password1": NEW, "password2": NEW},
        },
    )

    assert response.status_code == 302
    oscar = User.objects.get(username="oscar")
    assert oscar.check_password(NEW)
    assert told() == [("ada", "add user", "oscar", "username:  → oscar")]


def test_a_role_that_is_given_or_taken_is_told(
    administration: Client, olga: User
) -> None:
    page = page_of(olga)
    administration.post(page, as_typed(olga, OPERATOR, ADMINISTRATOR))
    administration.post(page, as_typed(olga, VIEWER))
    administration.post(page, as_typed(olga, VIEWER))

    assert told() == [
        ("ada", "change role", "olga", "added administrator"),
        ("ada", "change role", "olga", "added viewer, removed administrator, "
         "removed operator"),
    ]  # fmt: skip
    assert role_of(olga) == VIEWER


def test_other_changes_are_told_with_before_and_after(
    administration: Client, olga: User
) -> None:
    given = as_typed(olga, OPERATOR, first_name="Olga")
    given.pop("is_active")

    administration.post(page_of(olga), given)

    assert told() == [
        ("ada", "change user", "olga", "first_name:  → Olga, is_active: True → False")
    ]


def test_a_new_password_is_told_and_not_shown(
    administration: Client, olga: User
) -> None:
    page = reverse("admin:auth_user_password_change", args=[olga.pk])

    response = administration.post(
        page, {"password1": NEW, "password2": NEW, "usable_password": "true"}
    )

    assert response.status_code == 302
    olga.refresh_from_db()
    assert olga.check_password(NEW)
    assert told() == [("ada", "change password", "olga", "")]
    assert NEW not in str(list(AuditEntry.objects.values()))


def test_ones_own_password_too(administration: Client, ada: User) -> None:
    page = reverse("admin:password_change")
    wrong = {"old_password": "no", "new_password1": NEW, "new_password2": NEW}

    assert administration.post(page, wrong).status_code == 200
    assert told() == []
    assert (
        administration.post(page, {**wrong, "old_password": PASSWORD}).status_code
        == 302
    )

    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert told() == [("ada", "change password", "ada", "")]


def test_an_administrator_makes_no_superuser(
    administration: Client, olga: User, ada: User
) -> None:
    right = Permission.objects.get(codename="delete_user")
    forged = {"is_superuser": "on", "user_permissions": [right.pk], "is_staff": "on"}

    for user, role in ((olga, OPERATOR), (ada, ADMINISTRATOR)):
        administration.post(page_of(user), as_typed(user, role, **forged))
        user.refresh_from_db()
        assert not user.is_superuser
        assert not user.user_permissions.exists()


def test_an_administrator_does_not_touch_a_superuser(
    administration: Client, sue: User
) -> None:
    password = {"password1": NEW, "password2": NEW, "usable_password": "true"}

    changed = administration.post(page_of(sue), as_typed(sue, VIEWER))
    page = reverse("admin:auth_user_password_change", args=[sue.pk])
    taken_over = administration.post(page, password)

    assert (changed.status_code, taken_over.status_code) == (403, 403)
    sue.refresh_from_db()
    assert sue.check_password(PASSWORD)
    assert not sue.groups.exists()


def test_a_superuser_makes_another(sue: User, olga: User) -> None:
    given = as_typed(olga, OPERATOR, is_superuser="on")

    signed_in(sue).post(page_of(olga), given)

    olga.refresh_from_db()
    assert olga.is_superuser
    assert told() == [("sue", "change user", "olga", "is_superuser: False → True")]


def test_only_a_superuser_deletes_a_user_and_not_himself(
    administration: Client, sue: User, olga: User
) -> None:
    sure = {"post": "yes"}
    assert administration.post(page_of(olga, "delete"), sure).status_code == 403
    client = signed_in(sue)
    assert client.post(page_of(sue, "delete"), sure).status_code == 403
    assert client.post(page_of(olga, "delete"), sure).status_code == 302

    assert not User.objects.filter(username="olga").exists()
    assert told() == [("sue", "delete user", "olga", "")]


@pytest.mark.parametrize("role", [VIEWER, OPERATOR, ADMINISTRATOR])
def test_the_roles_themselves_are_fixed(sue: User, role: str) -> None:
    group = Group.objects.get(name=role)
    client = signed_in(sue)
    rights = set(group.permissions.values_list("codename", flat=True))

    for page in ("change", "delete"):
        address = reverse(f"admin:auth_group_{page}", args=[group.pk])
        given = {"name": "king", "permissions": [], "post": "yes"}
        assert client.post(address, given).status_code == 403

    group.refresh_from_db()
    assert group.name == role
    assert set(group.permissions.values_list("codename", flat=True)) == rights


def test_another_group_is_added_with_an_entry(sue: User) -> None:
    right = Permission.objects.get(codename="sync_host")

    signed_in(sue).post(
        reverse("admin:auth_group_add"), {"name": "night", "permissions": [right.pk]}
    )

    [(actor, action, name, intent)] = told()
    assert (actor, action, name) == ("sue", "add group", "night")
    assert "Can ask a host for its inventory" in intent


def test_an_administrator_changes_no_group(administration: Client, db: None) -> None:
    response = administration.post(reverse("admin:auth_group_add"), {"name": "night"})

    assert response.status_code == 403
