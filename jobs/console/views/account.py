"""Signing in and out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import user_login_failed
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from jobs.console.page import Request, wants_fragment
from jobs.console.preferences import preferences_of, remember


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The sign-in page. A fragment asked for without a session leads here whole."""

    template_name = "console/login.html"
    redirect_authenticated_user = True

    request: Request

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if wants_fragment(self.request):
            here = self.request.htmx.current_url_abs_path or "/"
            address = f"{resolve_url('login')}?{urlencode({'next': here})}"
            return HttpResponseClientRedirect(address)
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Have this browser look as the person likes it, from now on."""
        response = super().form_valid(form)
        remember(response, preferences_of(self.request.user))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Tell of a name that can't be one: it never came to a comparison."""
        if form.has_error("username") and (name := form.data.get("username")):
            user_login_failed.send(
                __name__, credentials={"username": name}, request=self.request
            )
        return super().form_invalid(form)


class SignOut(LogoutView):
    """Ends the session, by POST only."""
