"""Who is at work: each process says so in Redis every few seconds; why it matters.

The signs are real evidence: a worker's comes from its consumer's own heartbeat, beat's
from a tick that left for the broker, the tick's from one that a worker carried out, a
listener's from the thread that keeps its leases. They stand in one hash, so that a page
reads them all with one bounded request and nobody has to be asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from jobs.models import Host
from jobs.said import say

log = structlog.get_logger(__name__)

KEY = "blockcopy:processes"
SIGN_SECONDS = 3.0  # between two signs of one process
ALIVE_SECONDS = 15.0
FORGOTTEN_SECONDS = 24 * 3600.0
PATIENCE = 1.0  # seconds that anybody waits for Redis here


class Kind(StrEnum):
    """What can be at work. TICK is no process but what beat and worker do together."""

    REDIS = "redis"
    WORKER = "worker"
    BEAT = "beat"
    TICK = "tick"
    LISTENER = "listener"


LABELS = {
    Kind.REDIS: "Redis",
    Kind.WORKER: say("Worker"),
    Kind.BEAT: say("Beat"),
    Kind.TICK: say("Regular look"),
    Kind.LISTENER: say("Listener"),
}
# What it means when it is missing.
_MEANINGS = {
    Kind.REDIS: say(
        "Nothing reaches a worker until Redis answers. No job is lost: the copies go "
        "on on their hosts, and are found there again."
    ),
    Kind.WORKER: say(
        "Nothing starts or moves until a worker runs. Copies that run go on on their "
        "hosts, unseen."
    ),
    Kind.BEAT: say(
        "No host is looked at by itself until beat runs: numbers stand still, and only "
        "events and people move a job."
    ),
    Kind.TICK: say(
        "Beat asks for it and no worker has carried it out: all their threads may be "
        "waiting for hosts that hang."
    ),
    Kind.LISTENER: say(
        "No events are heard until a listener runs: what happens on a host is noticed "
        "by the next look, a second or more later."
    ),
}


def _meaning(kind: Kind, site: str) -> str:
    """What it means that it is missing, at `site` if that is not empty."""
    if site and kind == Kind.WORKER:
        return say(
            "Nothing starts or moves at %(site)s until a worker runs at %(site)s. "
            "Copies that run go on on their hosts, unseen.",
            site=site,
        )
    if site and kind == Kind.LISTENER:
        return say(
            "No events are heard at %(site)s until a listener runs: what happens on a "
            "host is noticed by the next look, a second or more later.",
            site=site,
        )
    return _MEANINGS[kind]


@dataclass(frozen=True)
class Sign:
    """The last sign of one process. `at` in seconds since the epoch."""

    kind: Kind
    name: str
    at: float
    sites: tuple[str, ...] = ()

    @property
    def age(self) -> float:
        """Seconds since the sign was given."""
        return max(0.0, time.time() - self.at)

    @property
    def alive(self) -> bool:
        return self.age < ALIVE_SECONDS


@dataclass(frozen=True)
class Process:
    """One thing that has to be at work, and whether it is.

    `alive` is None where nobody can know; `at` is the newest sign's epoch second, None
    without any; `meaning` says what it means that it is missing, else it is empty.
    """

    kind: Kind
    label: str
    alive: bool | None
    count: int = 0
    at: float | None = None
    meaning: str = ""

    @property
    def missing(self) -> bool:
        return self.alive is False

    @property
    def seen_at(self) -> datetime | None:
        """When the newest sign was given."""
        return None if self.at is None else datetime.fromtimestamp(self.at, tz=UTC)


# --- Giving signs ------------------------------------------------------------------

_given: dict[str, float] = {}


def give_sign(kind: Kind, name: str, sites: Iterable[str] = ()) -> None:
    """Say that the process `name` is at work; said too often, it is thinned out."""
    field = f"{kind}:{name}"
    now = time.monotonic()
    if now - _given.get(field, -SIGN_SECONDS) < SIGN_SECONDS:
        return
    _given[field] = now
    sign = json.dumps({"at": time.time(), "sites": list(sites)})
    try:
        _client(settings.REDIS_URL).hset(KEY, field, sign)
    except RedisError as error:
        log.warning("no sign given", process=field, error=str(error))


def take_back(kind: Kind, name: str) -> None:
    """Say that the process `name` ends in good order: it will not be missed."""
    _given.pop(f"{kind}:{name}", None)
    try:
        _client(settings.REDIS_URL).hdel(KEY, f"{kind}:{name}")
    except RedisError as error:
        log.warning("sign not taken back", process=name, error=str(error))


@cache
def _client(url: str) -> redis.Redis:
    """Return a client that gives up soon: a page must not wait for these."""
    return redis.Redis.from_url(
        url,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )


# --- Reading them ------------------------------------------------------------------


def at_work() -> list[Process]:
    """Return what has to be at work for the enabled hosts, and whether it is.

    One request to Redis, PATIENCE seconds at the most, and one query.
    """
    hosts = Host.objects.filter(enabled=True).order_by()
    return judge(signs(), set(hosts.values_list("site__name", flat=True)))


def signs() -> list[Sign] | None:
    """Return the signs, newest first; None when Redis does not answer in time."""
    try:
        found = _client(settings.REDIS_URL).hgetall(KEY)
    except RedisError:
        return None
    known = [sign for key, value in found.items() if (sign := _sign(key, value))]
    recent = [sign for sign in known if sign.age < FORGOTTEN_SECONDS]
    return sorted(recent, key=lambda sign: sign.age)


def _sign(key: bytes | str, value: bytes | str) -> Sign | None:
    field = key.decode(errors="replace") if isinstance(key, bytes) else key
    kind, _, name = field.partition(":")
    try:
        given = json.loads(value)
        return Sign(Kind(kind), name, float(given["at"]), tuple(given["sites"]))
    except (ValueError, TypeError, KeyError):
        return None  # given by another version of the console


def judge(found: list[Sign] | None, sites: Collection[str]) -> list[Process]:
    """Return what has to be at work for hosts at `sites`, and whether it is.

    What only follows from something else that is missing is not known, not missing.
    """
    if found is None:
        others = (kind for kind in Kind if kind != Kind.REDIS)
        return [_missing(Kind.REDIS), *(_unknown(kind) for kind in others)]
    processes = [Process(Kind.REDIS, LABELS[Kind.REDIS], alive=True, count=1)]
    for kind in (Kind.WORKER, Kind.BEAT, Kind.TICK, Kind.LISTENER):
        of_kind = [sign for sign in found if sign.kind == kind]
        whole = not any(process.missing for process in processes)
        if kind == Kind.TICK and not (whole or any(s.alive for s in of_kind)):
            processes.append(_unknown(kind))
            continue
        processes.append(_process(kind, of_kind))
        if kind in (Kind.WORKER, Kind.LISTENER) and processes[-1].alive:
            processes += _unserved(kind, of_kind, sites)
    return processes


def _process(kind: Kind, found: list[Sign]) -> Process:
    alive = sum(sign.alive for sign in found)
    at = max((sign.at for sign in found), default=None)
    if not alive:
        return _missing(kind, at=at)
    return Process(kind, LABELS[kind], alive=True, count=alive, at=at)


def _unserved(kind: Kind, found: list[Sign], sites: Collection[str]) -> list[Process]:
    """Return what is missing at those sites that none of the living serves."""
    served = {site for sign in found if sign.alive for site in sign.sites}
    return [_missing(kind, site) for site in sorted(set(sites) - served)]


def _missing(kind: Kind, site: str = "", at: float | None = None) -> Process:
    label = LABELS[kind]
    if site:
        label = say("%(process)s at %(site)s", process=label, site=site)
    return Process(kind, label, alive=False, at=at, meaning=_meaning(kind, site))


def _unknown(kind: Kind) -> Process:
    return Process(kind, LABELS[kind], alive=None)
