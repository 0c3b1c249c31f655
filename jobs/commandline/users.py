"""`blockcopy user …`: add, list."""

from __future__ import annotations

import getpass
import os
import sys

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from jobs import accounts
from jobs.commandline.answer import Answer, Call, Failure
from jobs.commandline.records import user_record
from jobs.commandline.text import table
from jobs.roles import role_of

PASSWORD_VARIABLE = "BLOCKCOPY_PASSWORD"  # noqa: S105 (a name, not a password)


def add(call: Call) -> Answer:
    """Add a user with a role, or give role and password to the one that exists."""
    name: str = call.options.name
    exists = User.objects.filter(username=name).exists()
    password = _password(name, needed=not exists)
    try:
        user = accounts.set_up_user(name, call.options.role, password, call.actor)
    except ValidationError as error:
        raise Failure(" ".join(error.messages)) from error
    return Answer(user_record(user), f"User {name} ({role_of(user)}) is set up.")


def _password(name: str, *, needed: bool) -> str:
    """Return the password from the environment, else from standard input.

    On a terminal it is asked for, and only for a new user.
    """
    if password := os.environ.get(PASSWORD_VARIABLE, ""):
        return password
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    elif needed:
        password = getpass.getpass(f"Password of {name}: ")
    if needed and not password:
        raise Failure(
            f"There is no password: put it into {PASSWORD_VARIABLE}, or on standard "
            "input."
        )
    return password


def list_all(call: Call) -> Answer:
    """List the users and their roles."""
    if not call.actor.may("auth.view_user"):
        raise Failure(f"The role of {call.actor.name} does not allow to see this.")
    users = User.objects.order_by("username").prefetch_related("groups")
    records = [user_record(user) for user in users]
    names = ("user", "role", "superuser", "active", "last_login")
    rows = [[record[name] for name in names] for record in records]
    return Answer(records, table([name.upper() for name in names], rows))
