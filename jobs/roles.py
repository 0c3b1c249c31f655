"""The three roles, as Django groups with fixed permissions."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db.models import Model, Q

from jobs.said import say

VIEWER = "viewer"
OPERATOR = "operator"
ADMINISTRATOR = "administrator"
ROLES = (VIEWER, OPERATOR, ADMINISTRATOR)
_LABELS = {
    VIEWER: say("viewer"),
    OPERATOR: say("operator"),
    ADMINISTRATOR: say("administrator"),
}

_MODELS = (
    *("site", "host", "storagepool", "domain", "disk", "chainlink"),
    *("copyjob", "jobevent", "leftover", "auditentry"),
)
_VIEW = {f"view_{model}" for model in _MODELS}
_OPERATE = {
    *(f"{verb}_copyjob" for verb in ("start", "pivot", "finish", "cancel", "speed")),
    "sync_host",
    "test_host",
}
_ADMINISTER = {
    *(f"{verb}_{model}" for verb in ("add", "change") for model in ("site", "host")),
    "remove_leftover",
    *(f"{verb}_user" for verb in ("add", "change", "view")),
    "view_group",
}
PERMISSIONS = {
    VIEWER: _VIEW,
    OPERATOR: _VIEW | _OPERATE,
    ADMINISTRATOR: _VIEW | _OPERATE | _ADMINISTER,
}


def create_roles(**_: Any) -> None:
    """Create the groups and set their permissions; called after each migrate."""
    from django.apps import apps
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Group, Permission

    for label in ("auth", "jobs"):
        create_permissions(apps.get_app_config(label), verbosity=0)
    for role, codenames in PERMISSIONS.items():
        group, _created = Group.objects.get_or_create(name=role)
        group.permissions.set(
            Permission.objects.filter(
                content_type__app_label__in=("auth", "jobs"), codename__in=codenames
            )
        )


def role_of(user: AbstractBaseUser | AnonymousUser) -> str:
    """Return the highest role of `user`, or an empty string for none."""
    if getattr(user, "is_superuser", False):
        return ADMINISTRATOR
    if not user.is_authenticated:
        return ""
    # All of them, so that a list may have asked for its rows' groups at once.
    names = {group.name for group in cast(User, user).groups.all()}
    return next((role for role in reversed(ROLES) if role in names), "")


def role_label(role: str) -> str:
    """Return a role's name for people; "" for none."""
    return _LABELS[role] if role else ""


def is_administrator(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Tell whether `user` may enter the administration."""
    return role_of(user) == ADMINISTRATOR


class RolesBackend(ModelBackend):
    """Django's users and permissions, with fewer questions to the database: each page
    asks who reads it, what they prefer and what they may do."""

    def get_user(self, user_id: Any) -> User | None:
        """Return an active user with their preferences, or None."""
        users = User.objects.select_related("preferences")
        return users.filter(pk=user_id, is_active=True).first()

    def get_all_permissions(
        self, user_obj: AbstractBaseUser | AnonymousUser, obj: Model | None = None
    ) -> set[str]:
        """Return what a user may do by their groups and by themselves, in one query."""
        user: Any = user_obj
        if user.is_anonymous or user.is_superuser or not user.is_active or obj:
            return super().get_all_permissions(user, obj)
        if not hasattr(user, "_perm_cache"):
            theirs = Permission.objects.filter(Q(group__user=user) | Q(user=user))
            names = theirs.values_list("content_type__app_label", "codename")
            user._perm_cache = {
                f"{app}.{codename}" for app, codename in names.order_by()
            }
        found: set[str] = user._perm_cache
        return found
