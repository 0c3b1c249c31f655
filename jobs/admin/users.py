"""Users and groups as Django has them, with every change in the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from jobs import accounts, audit
from jobs.admin.base import AuditedAdmin, Outcome, actor_of
from jobs.roles import ROLES, role_of

admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin[User]):
    """Users. What makes a superuser, only superusers give, and only they take away."""

    list_display = [
        *("username", "role", "first_name", "last_name", "is_active"),
        *("is_superuser", "last_login"),
    ]
    list_filter = ["is_active", "is_superuser", "groups"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email"]}),
        (
            _("Rights"),
            {
                "fields": ["is_active", "groups", "is_superuser", "user_permissions"],
                "description": _(
                    "The groups viewer, operator and administrator are the "
                    "console's roles."
                ),
            },
        ),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]

    @admin.display(description=_("role"))
    def role(self, user: User) -> str:
        return role_of(user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        allowed = super().has_change_permission(request, obj)
        if obj is None or not allowed:
            return allowed
        return accounts.may_change(actor_of(request), obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        """Tell whether `obj` may go; nobody deletes the account he or she uses."""
        return obj != request.user and super().has_delete_permission(request, obj)

    def get_readonly_fields(
        self, request: HttpRequest, obj: User | None = None
    ) -> list[str]:
        fixed = list(super().get_readonly_fields(request, obj))
        if not request.user.is_superuser:
            fixed += ["is_superuser", "user_permissions"]
        return fixed

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """Save the groups, and tell which role was given or taken."""
        before = accounts.group_names(form.instance)
        super().save_related(request, form, formsets, change)
        accounts.record_role_change(form.instance, before, actor_of(request))

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Change a user's password, with its entry in one transaction."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Tell of a new password: this hook is all that Django's own page calls."""
        if request.resolver_match and request.resolver_match.url_name == _PASSWORD_PAGE:
            audit.record(actor_of(request), "change password", obj, Outcome.DONE)
        return super().log_change(request, obj, message)


_PASSWORD_PAGE = "auth_user_password_change"  # noqa: S105 (the name of an address)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Groups. The three roles are what the console makes them, after each migrate."""

    def has_change_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return not _is_role(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return not _is_role(obj) and super().has_delete_permission(request, obj)


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in ROLES
