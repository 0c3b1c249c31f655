"""What a person prefers: the account page, the appearance by a click, the password."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from jobs import audit
from jobs.actor import from_request
from jobs.console.forms import prepare
from jobs.console.page import Request, back
from jobs.console.preferences import PreferencesForm, preferences_of, remember, zones
from jobs.console.saved import tabs
from jobs.models import Preferences


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: Request) -> HttpResponse:
    """Show what the reader has chosen, or keep what is chosen now."""
    chosen = preferences_of(request.user)
    if request.method != "POST":
        return _page(request, PreferencesForm(instance=chosen))
    form = PreferencesForm(request.POST, instance=chosen)
    if not form.is_valid():
        return _page(request, form, 422)
    form.save()
    response = redirect("account")
    remember(response, chosen)
    if not chosen.language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
    with translation.override(chosen.language or translation.get_language()):
        messages.success(request, _("Your preferences are saved."))
    return response


def _page(request: Request, form: PreferencesForm, status: int = 200) -> HttpResponse:
    sees_jobs = request.user.has_perm("jobs.view_copyjob")
    context = {
        "form": form,
        "zones": zones(),
        "sees_jobs": sees_jobs,
        "saved": tabs(request.user) if sees_jobs else [],
    }
    return render(request, "console/account.html", context, status=status)


@require_POST
@login_not_required
def preferences(request: Request) -> HttpResponse:
    """Keep the appearance, for the person and for this browser's sign-in page."""
    chosen = request.POST.get("appearance", "")
    if chosen not in Preferences.Appearance:
        return HttpResponseBadRequest("appearance must be light, dark or system")
    if request.user.is_authenticated:
        Preferences.objects.update_or_create(
            user=request.user, defaults={"appearance": chosen}
        )
    response = HttpResponse(status=204) if request.htmx else redirect(back(request))
    remember(response, Preferences(appearance=chosen))
    return trigger_client_event(response, "appearance", {"chosen": chosen})


class ChangePassword(PasswordChangeView):
    """A person's own new password; it ends their sessions elsewhere."""

    template_name = "console/password.html"
    success_url = reverse_lazy("account")

    request: Request

    def get_form(self, form_class: Any = None) -> PasswordChangeForm:
        form = super().get_form(form_class)
        prepare(form)
        return form

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        """Keep the password, with its entry in one transaction."""
        with transaction.atomic():
            response = super().form_valid(form)
            self._record(audit.Outcome.DONE)
        messages.success(
            self.request,
            _("Your password is changed. Your sessions elsewhere have ended."),
        )
        return response

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        """Tell the log of a wrong old password: somebody may be guessing it."""
        if form.has_error("old_password", "password_incorrect"):
            self._record(audit.Outcome.REFUSED)
        response = super().form_invalid(form)
        response.status_code = 422
        return response

    def _record(self, outcome: audit.Outcome) -> None:
        actor = from_request(self.request)
        audit.record(actor, "change password", actor.user, outcome)
