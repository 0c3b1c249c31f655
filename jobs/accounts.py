"""Users and their roles: every change leaves an audit entry in its transaction."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from jobs import audit
from jobs.actions import Denied
from jobs.actor import Actor
from jobs.roles import ROLES
from jobs.said import say

Outcome = audit.Outcome


def may_change(actor: Actor, user: User) -> bool:
    """Tell whether `actor` may change `user`.

    A superuser's account belongs to superusers, or any administrator could become one
    by giving it a new password.
    """
    by_superuser = actor.user is None or actor.user.is_superuser
    return actor.may("auth.change_user") and (by_superuser or not user.is_superuser)


def set_up_user(name: str, role: str, password: str, actor: Actor) -> User:
    """Make a user with one role, or give an existing one that role and password.

    An empty password leaves the one that is there. What is so already stays silent.
    Denied, or ValidationError (Django's) for an impossible name or a weak password.
    """
    user = User.objects.filter(username=name).first()
    if user is None and not actor.may("auth.add_user"):
        _deny(actor, "add user", name)
    if user is not None and not may_change(actor, user):
        _deny(actor, "change user", name)
    with transaction.atomic():
        if user is None:
            user = _add(name, password, actor)
        elif password:
            _set_password(user, password, actor)
        set_roles(user, {role}, actor)
    return user


def _add(name: str, password: str, actor: Actor) -> User:
    user = User(username=name)
    user.clean_fields(exclude=["password"])
    validate_password(password, user)
    user.set_password(password)
    user.save()
    audit.record(actor, "add user", user, Outcome.DONE)
    return user


def _set_password(user: User, password: str, actor: Actor) -> None:
    if not user.check_password(password):
        validate_password(password, user)
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(actor, "change password", user, Outcome.DONE)


def _deny(actor: Actor, action: str, name: str) -> None:
    error = Denied(
        say(
            "Your role does not allow to %(action)s %(name)s.", action=action, name=name
        )
    )
    audit.record(actor, action, None, Outcome.REFUSED, intent=name, detail=str(error))
    raise error


def set_roles(user: User, roles: Collection[str], actor: Actor) -> None:
    """Make `roles` the console's roles of `user`; other groups stay."""
    before = group_names(user)
    wanted = (before - set(ROLES)) | set(roles)
    user.groups.set(Group.objects.filter(name__in=wanted))
    record_role_change(user, before, actor)


def group_names(user: User) -> set[str]:
    """Return the names of the groups that `user` is in, roles among them."""
    return set(user.groups.values_list("name", flat=True))


def record_role_change(user: User, before: set[str], actor: Actor) -> None:
    """Append what changed in the groups of `user` since `before`, if anything did."""
    after = group_names(user)
    changes = [f"added {name}" for name in sorted(after - before)]
    changes += [f"removed {name}" for name in sorted(before - after)]
    if changes:
        audit.record(
            actor, "change role", user, Outcome.DONE, intent=", ".join(changes)
        )
