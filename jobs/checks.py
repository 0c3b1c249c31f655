"""Live checks: what a host says against a copy while its form is still being filled in.

A worker looks and leaves what it found in Redis, under a digest of the request. Losing
one costs nothing: a check is asked for again, and the start looks for itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.utils import timezone
from redis.exceptions import RedisError

from jobs import live
from jobs.preflight import Finding, findings_from_json, findings_to_json

log = structlog.get_logger(__name__)

KEPT_SECONDS = 120
# A younger result is not asked for again.
FRESH = timedelta(seconds=15)
# A check that was asked for so long ago is not awaited any more.
ASKED_SECONDS = 10.0


@dataclass(frozen=True)
class Checked:
    """What every rule said, and when the host was looked at.

    `found` is the format of what lies at the destination, "" for nothing there or
    where nobody could tell.
    """

    findings: tuple[Finding, ...]
    at: datetime
    found: str = ""

    @property
    def fresh(self) -> bool:
        """Whether it is too early to look again."""
        return timezone.now() - self.at < FRESH


def _key(key: str) -> str:
    return f"blockcopy:check:{key}"


def result(key: str) -> Checked | None:
    """What was found in the last two minutes; None if nothing was (yet), or without
    Redis."""
    try:
        kept = live.client().get(_key(key))
    except RedisError:
        return None
    if kept is None:
        return None
    told = json.loads(kept)
    found = tuple(findings_from_json(told["findings"]))
    at = datetime.fromisoformat(told["at"])
    return Checked(found, at, told["found"])


def keep(key: str, findings: Sequence[Finding], found: str = "") -> None:
    """Keep what was found (see Checked), and tell the pages that wait for it."""
    at = timezone.now().isoformat()
    told = json.dumps(
        {"findings": findings_to_json(findings), "at": at, "found": found}
    )
    live.client().set(_key(key), told, ex=KEPT_SECONDS)
    live.taken_up(f"check:{key}")
    live.wake_check(key)


def to_be_asked(key: str) -> bool:
    """Tell whether nobody looks at it now and nobody just did, and note the asking."""
    checked = result(key)
    if checked is not None and checked.fresh:
        return False
    try:
        return live.first_to_ask(f"check:{key}", ASKED_SECONDS)
    except RedisError as error:
        log.warning("no check without Redis", error=str(error))
        return False
