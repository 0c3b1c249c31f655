"""Who acts: a person through a page, the admin or the command line, or the system."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest


@dataclass(frozen=True)
class Actor:
    """An actor as the audit log keeps it, and the rights to check."""

    name: str
    channel: str
    user: User | None = None
    address: str | None = None
    request_id: str = ""

    def may(self, permission: str) -> bool:
        """Tell whether the actor holds `permission` ("jobs.pivot_copyjob")."""
        if self.user is None:
            return self.channel in ("cli", "system")
        return self.user.has_perm(permission)


# Where somebody may act: pages, Django admin, the command line, the console itself.
CHANNELS = ("console", "admin", "cli", "system")

SYSTEM = Actor(name="system", channel="system")


def from_request(request: HttpRequest, channel: str = "console") -> Actor:
    """Return the actor behind a signed-in request."""
    user = request.user if request.user.is_authenticated else None
    return Actor(
        name=user.get_username() if user else "anonymous",
        channel=channel,
        user=user,
        address=client_address(request),
        request_id=request_id(),
    )


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address; behind a trusted proxy, the one that it names.

    None for what is no address (a Unix socket has none): the audit log, which could
    not store it, must take the entry all the same.
    """
    from django.conf import settings

    address = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.BLOCKCOPY_BEHIND_PROXY and forwarded:
        # The last one is what our own proxy saw; the others anybody may write.
        address = str(forwarded.rsplit(",", 1)[-1].strip())
    try:
        return str(ip_address(address))
    except ValueError:
        return None


def request_id() -> str:
    """Return the id that all log lines of the current request carry."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))
