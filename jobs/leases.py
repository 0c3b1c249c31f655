"""Which listener hears which hosts: leases in the database, heartbeats in Redis.

A lease is taken and kept by a conditional update, so two listeners never both believe
for longer than one renewal that a host is theirs; if they do, events come twice, which
does no harm. The database's clock counts, so that listeners' clocks may differ.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from redis.exceptions import RedisError

from jobs import live, processes
from jobs.hypervisor import Address
from jobs.models import Host

log = structlog.get_logger(__name__)

LEASE_SECONDS = 15
RENEW_SECONDS = 5.0
NAME_MAX = 64
_PREFIX = "blockcopy:listener:"


def default_name() -> str:
    """Return the name of this machine's (or container's) listener."""
    return socket.gethostname()[:NAME_MAX]


@dataclass(frozen=True)
class Leased:
    """A host that this listener is to hear, with all that it needs for that."""

    pk: int
    name: str
    site: str
    address: Address


class Leases:
    """The hosts of `sites` that the listener `name` holds, its fair share of them."""

    def __init__(self, name: str, sites: Sequence[str]) -> None:
        self.name = name[:NAME_MAX]
        self.sites = tuple(sites)
        self._instance = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._warned = False

    # --- Heartbeat --------------------------------------------------------------------

    def beat(self) -> None:
        """Tell the other listeners, and health checks, that this one is well."""
        try:
            before = live.client().set(
                _key(self.name), self._heartbeat(), ex=LEASE_SECONDS, get=True
            )
        except RedisError as error:
            log.warning("no heartbeat sent", error=str(error))
            return
        self._warn_of_namesake(before)
        processes.give_sign(processes.Kind.LISTENER, self.name, self.sites)

    def _heartbeat(self) -> str:
        return json.dumps({"sites": self.sites, "instance": self._instance})

    def _warn_of_namesake(self, before: Any) -> None:
        """Two of one name would share each lease instead of the hosts."""
        other = before and json.loads(before)["instance"] != self._instance
        if other and self._warned:
            log.error("another listener has this name; use --name", name=self.name)
        self._warned = True

    def fall_silent(self) -> None:
        """Take the heartbeat back."""
        processes.take_back(processes.Kind.LISTENER, self.name)
        try:
            live.client().delete(_key(self.name))
        except RedisError as error:
            log.warning("heartbeat not taken back", error=str(error))

    # --- Leases -----------------------------------------------------------------------

    def hold(self) -> dict[int, Leased]:
        """Renew what is held, take and leave up to the fair share; return what is held.

        Errors of the database rise.
        """
        self._leave(self._mine().exclude(enabled=True, site__name__in=self.sites))
        for site in self.sites:
            self._hold_share(site, Host.objects.filter(enabled=True, site__name=site))
        held = self._mine().filter(listener_until__gt=Now()).select_related("site")
        return {host.pk: _leased(host) for host in held}

    def _hold_share(self, site: str, hosts: QuerySet[Host]) -> None:
        share = -(-hosts.count() // listeners_of(site, self.name))
        mine = hosts.filter(listener=self.name)
        pks = list(mine.order_by("pk").values_list("pk", flat=True))
        mine.filter(pk__in=pks[:share]).update(listener_until=_lease_end())
        self._leave(mine.filter(pk__in=pks[share:]))
        free = hosts.filter(Q(listener_until=None) | Q(listener_until__lt=Now()))
        wanted = max(0, share - len(pks))
        for pk in list(free.values_list("pk", flat=True)[:wanted]):
            # Zero rows: another listener was first.
            free.filter(pk=pk).update(listener=self.name, listener_until=_lease_end())

    def give_back(self) -> None:
        """Leave every host to the other listeners, at once."""
        self._leave(self._mine())

    def _mine(self) -> QuerySet[Host]:
        return Host.objects.filter(listener=self.name)

    @staticmethod
    def _leave(hosts: QuerySet[Host]) -> None:
        hosts.update(listener="", listener_until=None)


def _lease_end() -> object:
    return Now() + timedelta(seconds=LEASE_SECONDS)


def _leased(host: Host) -> Leased:
    return Leased(host.pk, host.name, host.site.name, host.address)


def _key(name: str) -> str:
    return f"{_PREFIX}{name}"


def is_alive(name: str) -> bool:
    """Tell whether the listener `name` was well a moment ago; RedisError rises."""
    return bool(live.client().exists(_key(name)))


def listeners_of(site: str, myself: str) -> int:
    """Return how many living listeners serve `site`, `myself` among them.

    Without Redis each thinks that it is alone: it takes what is free, and leaves
    nothing, since what the others hold is theirs.
    """
    names = {myself}
    try:
        for key in live.client().scan_iter(match=f"{_PREFIX}*", count=1000):
            value = live.client().get(key)
            if value and site in json.loads(value)["sites"]:
                names.add(key.decode().removeprefix(_PREFIX))
    except RedisError as error:
        log.warning("other listeners are not known", error=str(error))
    return len(names)
