"""Saved views of the jobs page: kept, listed, renamed, deleted; each person's own."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from jobs.console.filters import JobFilter
from jobs.console.page import Request, back, needs
from jobs.console.saved import NameForm, save, tabs
from jobs.models import SavedView


@require_http_methods(["GET", "HEAD", "POST"])
@needs("jobs.view_copyjob")
def views(request: Request) -> HttpResponse:
    """GET: the reader's views. POST: keep the filter `query` under `name`."""
    if request.method == "POST":
        return _save(request)
    return _list(request)


def _list(request: Request, error: str = "", status: int = 200) -> HttpResponse:
    context = {"saved": tabs(request.user), "error": error}
    return render(request, "console/views.html", context, status=status)


def _save(request: Request) -> HttpResponse:
    form = NameForm(request.POST)
    if not form.is_valid():
        return _list(
            request,
            _("The view was not saved. Its name: %(wrong)s") % {"wrong": form.wrong},
            422,
        )
    wanted, name = (
        JobFilter(QueryDict(request.POST.get("query", ""))),
        form.clean_name(),
    )
    try:
        new = save(request.user, name, wanted)
    except ValidationError as error:
        text = " ".join(error.messages)
        return _list(
            request, _("The view was not saved. %(text)s") % {"text": text}, 422
        )
    saved = (
        _("The view “%(name)s” is saved.")
        if new
        else _("The view “%(name)s” was there, and shows this filter from now on.")
    )
    messages.success(request, saved % {"name": name})
    return redirect(wanted.address)


@require_POST
@needs("jobs.view_copyjob")
def act(request: Request, pk: int, act: str) -> HttpResponse:
    """Rename a view (to `name`) or delete it; somebody else's is not there."""
    view = get_object_or_404(SavedView, pk=pk, user_id=request.user.pk)
    if act == "delete":
        view.delete()
        messages.success(
            request, _("The view “%(view)s” is deleted.") % {"view": view.name}
        )
        return redirect(back(request, "views"))
    if act != "rename":
        raise Http404(f"There is no act {act} on a view.")
    return _rename(request, view)


def _rename(request: Request, view: SavedView) -> HttpResponse:
    form, old = NameForm(request.POST), view.name
    if not form.is_valid():
        return _list(
            request,
            _("“%(old)s” keeps its name: %(wrong)s")
            % {"old": old, "wrong": form.wrong},
            422,
        )
    view.name = form.clean_name()
    try:
        with transaction.atomic():
            view.save(update_fields=["name"])
    except IntegrityError:
        words = _("“%(old)s” keeps its name: you have a view “%(view)s” already.") % {
            "old": old,
            "view": view.name,
        }
        return _list(request, words, 422)
    messages.success(
        request,
        _("“%(old)s” is called “%(view)s” now.") % {"old": old, "view": view.name},
    )
    return redirect(back(request, "views"))
