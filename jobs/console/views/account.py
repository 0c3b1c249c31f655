"""Signing in and out, and what a person prefers."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import user_login_failed
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, resolve_url
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from jobs.console.page import Request, wants_fragment
from jobs.console.templatetags.console import APPEARANCES

YEAR = 365 * 24 * 3600  # seconds


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

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Tell of a name that can't be one: it never came to a comparison."""
        if form.has_error("username") and (name := form.data.get("username")):
            user_login_failed.send(
                __name__, credentials={"username": name}, request=self.request
            )
        return super().form_invalid(form)


class SignOut(LogoutView):
    """Ends the session, by POST only."""


@require_POST
@login_not_required
def preferences(request: Request) -> HttpResponse:
    """Keep the appearance in a cookie: it holds on the sign-in page too."""
    chosen = request.POST.get("appearance", "")
    if chosen not in APPEARANCES:
        return HttpResponseBadRequest("appearance must be light, dark or system")
    response = HttpResponse(status=204) if request.htmx else redirect(_back(request))
    response.set_cookie("appearance", chosen, max_age=YEAR, samesite="Lax")
    return trigger_client_event(response, "appearance", {"chosen": chosen})


def _back(request: Request) -> str:
    """Return the page that the request came from, if it is one of ours."""
    address = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(address, {request.get_host()}):
        return address
    return resolve_url("overview")
