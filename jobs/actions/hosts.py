"""Hosts: added, changed, asked for their inventory, tried."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from jobs import audit, dispatch
from jobs.actions.refusal import Denied, NotPossible, refuse
from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.models import Host
from jobs.said import say


def sync_host(host: Host, actor: Actor) -> None:
    """Ask a worker for the host's inventory, now."""
    _host_act(host, actor, "sync", "jobs.sync_host", dispatch_sync)


def dispatch_sync(host: Host, actor: Actor) -> None:
    dispatch.sync_host(host.site.name, host.pk)


def test_host(host: Host, actor: Actor) -> None:
    """Ask a worker to try the host's address; the host's page shows the answer."""
    _host_act(host, actor, "test connection", "jobs.test_host", dispatch_test)


def dispatch_test(host: Host, actor: Actor) -> None:
    dispatch.test_host(host, actor.name)


def _host_act(
    host: Host,
    actor: Actor,
    action: str,
    permission: str,
    send: Callable[[Host, Actor], None],
) -> None:
    _must_be_allowed(actor, permission, action, host)
    if not host.enabled:
        refuse(
            actor,
            action,
            host,
            NotPossible(say("%(host)s is disabled; enable it first.", host=host)),
            "",
        )
    with transaction.atomic():
        audit.record(actor, action, host, Outcome.ASKED)
        send(host, actor)


def _must_be_allowed(actor: Actor, permission: str, action: str, host: Host) -> None:
    if not actor.may(permission):
        denied = Denied(say("Your role does not allow: %(action)s.", action=action))
        refuse(actor, action, host, denied, "")


def save_host(host: Host, actor: Actor, reason: str = "") -> None:
    """Add or change a host, then ask for its inventory.

    ValidationError (Django's) for an address that can't be.
    """
    adding = host.pk is None
    permission = "jobs.add_host" if adding else "jobs.change_host"
    action = "add host" if adding else "change host"
    _must_be_allowed(actor, permission, action, host)
    host.full_clean()
    with transaction.atomic():
        intent = _changes(host)
        host.save()
        audit.record(actor, action, host, Outcome.DONE, intent=intent, reason=reason)
        if host.enabled:
            dispatch.sync_host(host.site.name, host.pk)


_HOST_FIELDS = [
    "name",
    "site",
    "transport",
    "host_name",
    "port",
    "user",
    "mode",
    "socket",
    "enabled",
    "production",
]


def _changes(host: Host) -> str:
    old = Host.objects.filter(pk=host.pk).first()
    shown = []
    for name in _HOST_FIELDS:
        new_value = getattr(host, name)
        if old is None and new_value not in ("", None):
            shown.append(f"{name}={new_value}")
        elif old is not None and getattr(old, name) != new_value:
            shown.append(f"{name}: {getattr(old, name)} → {new_value}")
    return ", ".join(shown) or "nothing changed"
