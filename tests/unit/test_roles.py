"""What a signed-in user may do, as each page asks for it anew."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from jobs.models import Preferences
from jobs.roles import OPERATOR, PERMISSIONS, RolesBackend
from tests.conftest import signed_in

REMOVE = "jobs.remove_leftover"


def read_anew(user: User) -> User:
    found = RolesBackend().get_user(user.pk)
    assert found is not None
    return found


def test_a_role_and_what_one_user_was_given_besides(olga: User) -> None:
    theirs = read_anew(olga).get_all_permissions()
    assert {name.partition(".")[2] for name in theirs} == PERMISSIONS[OPERATOR]
    olga.user_permissions.add(Permission.objects.get(codename="remove_leftover"))
    assert read_anew(olga).get_all_permissions() == {*theirs, REMOVE}


def test_what_is_taken_away_is_gone_with_the_next_page(olga: User) -> None:
    client, page = signed_in(olga), reverse("jobs")
    assert client.get(page).status_code == 200
    olga.groups.clear()
    assert client.get(page).status_code == 403
    User.objects.filter(pk=olga.pk).update(is_active=False)
    assert client.get(page).status_code == 302


def test_nothing_for_one_thing_alone_or_for_who_may_not_sign_in(olga: User) -> None:
    group = Group.objects.get(name=OPERATOR)
    assert not read_anew(olga).has_perm("jobs.pivot_copyjob", group)
    olga.is_active = False
    assert not RolesBackend().get_all_permissions(olga)
    assert Client().get(reverse("jobs")).status_code == 302


def test_preferences_come_along(olga: User, django_assert_num_queries: type) -> None:
    Preferences.objects.create(user=olga, density="compact")
    with django_assert_num_queries(1):
        assert read_anew(olga).preferences.density == "compact"
