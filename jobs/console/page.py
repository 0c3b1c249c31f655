"""What every view of the console begins and ends with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from jobs.roles import role_label, role_of
from jobs.said import localized

P = ParamSpec("P")


class Request(HttpRequest):
    """A request as HtmxMiddleware leaves it; for annotations."""

    htmx: HtmxDetails


View = Callable[Concatenate[Request, P], HttpResponse]

LIVE = "live"  # the id of the region that the stream refreshes, and of its partial


def needs(permission: str) -> Callable[[View[P]], View[P]]:
    """Let a view be reached only with `permission` ("jobs.view_copyjob"); else 403."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def checked(
            request: Request, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            if not request.user.has_perm(permission):
                raise PermissionDenied(refusal(request))
            return view(request, *args, **kwargs)

        return checked

    return decorate


def refusal(request: Request) -> str:
    """Say why a signed-in user may not see a page."""
    role = role_of(request.user)
    if not role:
        return _("Your account has no role yet. Ask an administrator to give it one.")
    words = {"role": localized(role_label(role))}
    return _("Your role, %(role)s, does not allow this page.") % words


def show(
    request: Request, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Answer with the page, or with its live region alone when that is asked for."""
    if wants(request, LIVE):
        template = f"{template}#{LIVE}"
    return render(request, template, context, status=status)


def wants(request: Request, target: str) -> bool:
    """Tell whether htmx asks for the element with the id `target` only."""
    return wants_fragment(request) and request.htmx.target == target


def wants_fragment(request: Request) -> bool:
    """Tell whether htmx asks, for a part of a page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def back(request: Request, otherwise: str = "overview") -> str:
    """Return the page that a form came from (`next`), if it is one of ours."""
    address = request.POST.get("next", "")
    here, secure = {request.get_host()}, request.is_secure()
    if url_has_allowed_host_and_scheme(address, here, require_https=secure):
        return address
    return resolve_url(otherwise)
