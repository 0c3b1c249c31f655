"""The admin site: open to superusers and to the role administrator."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from jobs.roles import is_administrator


class ConsoleAdminSite(AdminSite):
    """Django admin under the console's name, its roles and its one sign-in page."""

    site_header = _("Blockcopy Console administration")
    site_title = _("Blockcopy Console")
    index_title = _("Administration")
    # Beside it, a list would be cut off on a laptop; the index leads everywhere.
    enable_nav_sidebar = False

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        # What is deleted at all is deleted one by one, with its audit entry.
        self.disable_action("delete_selected")

    def has_permission(self, request: HttpRequest) -> bool:
        """Let active superusers and administrators in."""
        return request.user.is_active and is_administrator(request.user)

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the console's sign-in page; whoever is signed in may not enter."""
        index = reverse("admin:index", current_app=self.name)
        if self.has_permission(request):
            return HttpResponseRedirect(index)
        if request.user.is_authenticated:
            raise PermissionDenied(_("The administration is for administrators."))
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME, index))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Change one's own password; the audit entry is in the same transaction."""
        # The app's models are not loaded yet when this module is.
        from jobs import audit
        from jobs.actor import from_request

        with transaction.atomic():
            response = super().password_change(request, extra_context)
            if request.method == "POST" and response.status_code == 302:
                actor = from_request(request, channel="admin")
                user = actor.user
                audit.record(actor, "change password", user, audit.Outcome.DONE)
        return response
