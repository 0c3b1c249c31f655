"""People who never were, with what each of them keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from jobs.made_up.loading import load
from jobs.models import Preferences, SavedView
from jobs.roles import ADMINISTRATOR, OPERATOR, VIEWER

_NAMES = (
    *("olga", "victor", "ada", "otto", "mei", "tariq", "zoë", "ingrid", "pavel"),
    *("noor", "kwame", "lucia", "sven", "amara", "hiro", "élodie", "yusuf", "greta"),
)
_VIEWS = (
    ("Waiting for me", "state=waiting"),
    ("Failed today", "state=failed-or-lost&within=24h"),
    ("Databases", "q=db&sort=-asked"),
    ("All that run, by host", "state=active&sort=host"),
)


@dataclass(frozen=True)
class Person:
    """A user, and which of the roles they have."""

    pk: int
    name: str
    role: str

    @property
    def acts(self) -> bool:
        """Whether they may start and end copies."""
        return self.role != VIEWER


def write(count: int, password: str) -> list[Person]:
    """Write so many people; nobody can sign in without a password."""
    persons = [_person(number) for number in range(1, count + 1)]
    kept = make_password(password or None)
    load(User, (_user(person, kept) for person in persons))
    groups = dict(Group.objects.values_list("name", "pk"))
    load(
        User.groups.through,
        (
            {"id": each.pk, "user_id": each.pk, "group_id": groups[each.role]}
            for each in persons
        ),
    )
    load(Preferences, ({"user_id": each.pk, "time_zone": "UTC"} for each in persons))
    load(SavedView, _views(persons))
    return persons


def _person(number: int) -> Person:
    role = {1: ADMINISTRATOR, 2: VIEWER}.get(number % 10, OPERATOR)
    again, which = divmod(number - 1, len(_NAMES))
    name = f"{_NAMES[which]}{again or ''}.made-up"
    return Person(number, name, role)


def _user(person: Person, password: str) -> dict[str, Any]:
    return {
        "id": person.pk,
        "username": person.name,
        "last_name": "(made up)",
        "password": password,
    }


def _views(persons: list[Person]) -> Iterator[dict[str, Any]]:
    number = 0
    for person in persons:
        for name, query in _VIEWS:
            number += 1
            yield {
                "id": number,
                "user_id": person.pk,
                "name": name,
                "query": query,
            }
