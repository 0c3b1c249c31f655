"""What can go wrong while a worker or a page is at work, at a chosen instruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

from jobs import live
from jobs.hypervisor import HostBusy, HostUnreachable, Refused

LOCKS = "blockcopy:lock:*"
CHANGING = frozenset(
    {"start", "pivot", "end", "set_speed", "repair_persistent", "freeze", "thaw"}
)


class Killed(BaseException):
    """kill -9: nothing that would have been done afterwards is done."""


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong, at the call to the host with the number `at`.

    `kind` is "die" (there), "die in the database" (at its query with that number),
    "refuse", "busy", "silent" (nothing was done), "lost answer" (it was), or the name
    of what somebody else does at that moment. `locks_stay`: the locks of who was
    killed are not gone at once.
    """

    kind: str = ""
    at: int = 0
    locks_stay: bool = False


class Fate:
    """Lets a trouble come over what is done. `meddle` is asked to do what is named."""

    def __init__(self, meddle: Callable[[str], None]) -> None:
        self._meddle = meddle
        self._trouble = Trouble()
        self._count = 0
        self._dead = False
        self._immune = 0

    @contextmanager
    def over(self, trouble: Trouble) -> Iterator[None]:
        """Let `trouble` come over the block; who was killed is swallowed."""
        self._trouble, self._count, self._dead = trouble, 0, False
        held: dict[str, Any] = {}
        try:
            with connection.execute_wrapper(self._query):
                yield
        except Killed:
            connection.rollback()  # the database sees a connection that broke
            held = dict.fromkeys(self._held) if trouble.locks_stay else {}
        finally:
            self._trouble, self._dead = Trouble(), False
        for name in held:
            live.client().set(name, "of a dead one")

    @contextmanager
    def none(self) -> Iterator[None]:
        """Nothing goes wrong in the block, and nothing of it counts."""
        self._immune += 1
        try:
            yield
        finally:
            self._immune -= 1

    def at_call(self, when: str, verb: str) -> None:
        if self._immune:
            return
        self._require_life()
        assert not connection.in_atomic_block, f"{verb} called within a transaction"
        kind = self._trouble.kind
        early = self._count < self._trouble.at
        self._count += kind != "die in the database"
        if not kind or kind == "die in the database" or early:
            return
        self._strike(kind, when, verb)

    def _strike(self, kind: str, when: str, verb: str) -> None:
        if kind == "die":
            self._die()
        elif kind == "lost answer":
            if when == "after":
                self._trouble = Trouble()
                raise HostUnreachable("The connection broke before the answer came.")
        elif kind in ("refuse", "busy"):
            if when == "before" and verb in CHANGING:
                self._trouble = Trouble()
                raise Refused("no", code=1) if kind == "refuse" else HostBusy(code=68)
        elif kind == "silent":
            if when == "before":
                self._trouble = Trouble()
                raise HostUnreachable("Connection refused", code=38)
        else:
            self._trouble = Trouble()
            with self.none():
                self._meddle(kind)

    def _query(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        if not self._immune:
            self._require_life()
            if self._trouble.kind == "die in the database":
                self._count += 1
                if self._count > self._trouble.at:
                    self._die()
        return execute(sql, params, many, context)

    def _require_life(self) -> None:
        if self._dead:
            raise Killed

    def _die(self) -> None:
        self._dead = True
        self._held = list(live.client().scan_iter(LOCKS))
        raise Killed
