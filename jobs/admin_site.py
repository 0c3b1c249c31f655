"""The admin site: open to superusers and to the role administrator."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from jobs.roles import is_administrator


class ConsoleAdminSite(AdminSite):
    """Django admin under the console's name and its roles."""

    site_header = "Blockcopy Console administration"
    site_title = "Blockcopy Console"
    index_title = "Administration"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let active superusers and administrators in."""
        return request.user.is_active and is_administrator(request.user)
