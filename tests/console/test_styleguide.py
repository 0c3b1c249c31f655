"""The styleguide: for those who make the console, with every state on it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from jobs.lifecycle import State
from tests.conftest import signed_in
from tests.console.rows import text_of


def test_an_installation_has_no_styleguide(ada: User) -> None:
    assert signed_in(ada).get("/styleguide/").status_code == 404


def test_every_state_is_shown_and_nothing_is_kept(
    ada: User, settings: Any, django_assert_max_num_queries: Any
) -> None:
    settings.DEBUG = True
    client = signed_in(ada)
    with django_assert_max_num_queries(6) as asked:
        text = text_of(client.get("/styleguide/"))
    for state in State:
        assert f"</svg>{state.label}</span>" in text
    assert "<img src=x" not in text
    assert not [each for each in asked if not each["sql"].startswith("SELECT")]


def test_whoever_has_no_role_sees_none(otto: User, settings: Any) -> None:
    settings.DEBUG = True
    assert signed_in(otto).get("/styleguide/").status_code == 403
