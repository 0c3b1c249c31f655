"""Sign-in, sign-out and failed sign-in go to the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import signals as auth
from django.http import HttpRequest

NAME_MAX = 150


def connect() -> None:
    """Register the receivers; called once when the app is ready."""
    auth.user_logged_in.connect(_signed_in, dispatch_uid="audit sign-in")
    auth.user_logged_out.connect(_signed_out, dispatch_uid="audit sign-out")
    auth.user_login_failed.connect(_refused, dispatch_uid="audit sign-in refused")


def _append(action: str, name: str, user: Any, request: Any, outcome: str) -> None:
    from jobs import audit
    from jobs.actor import Actor, client_address, request_id

    known = isinstance(request, HttpRequest)
    actor = Actor(
        name=_legible(name) or "anonymous",
        channel="admin" if known and request.path.startswith("/admin/") else "console",
        user=user,
        address=client_address(request) if known else None,
        request_id=request_id(),
    )
    audit.record(actor, action, user, audit.Outcome(outcome))


def _legible(name: str) -> str:
    """Return what was typed as a name, fit for the log: printable, 150 characters.

    Anybody can type anything here, NUL characters (which PostgreSQL does not store)
    and a terminal's control sequences among it.
    """
    shown = "".join(char if char.isprintable() else "�" for char in name)
    return shown if len(shown) <= NAME_MAX else f"{shown[: NAME_MAX - 1]}…"


def _signed_in(sender: Any, request: Any, user: Any, **_: Any) -> None:
    _append("sign in", user.get_username(), user, request, "done")


def _signed_out(sender: Any, request: Any, user: Any, **_: Any) -> None:
    if user is not None:
        _append("sign out", user.get_username(), user, request, "done")


def _refused(sender: Any, credentials: Any, request: Any = None, **_: Any) -> None:
    name = str(credentials.get("username", ""))
    _append("sign in", name, None, request, "refused")
