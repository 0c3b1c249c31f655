"""What the bench itself did: what it asked of the console, and did behind its back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Answer(StrEnum):
    """What an operator knows of an act afterwards."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # it was sent, and no clear answer came
    NOT_SENT = "not sent"


@dataclass(frozen=True)
class Asked:
    """An act of the operator on a job (0: a start that no number is known of)."""

    verb: str
    job: int
    answer: Answer
    destination: str = ""
    bandwidth: int = 0


@dataclass(frozen=True)
class Strange:
    """A stranger's call of virsh, between two epoch seconds. `verb` as in calls.py."""

    verb: str
    domain: str
    disk: str
    began: float
    ended: float
    destination: str = ""


@dataclass
class Ledger:
    """Appended to by several threads, read when all is at rest."""

    asked: list[Asked] = field(default_factory=list)
    strange: list[Strange] = field(default_factory=list)
    http: Counter[str] = field(default_factory=Counter)
    lost_by_libvirt: int = 0
    restarted: int = 0
    # Files that the bench itself put there, for copies that reuse them.
    made: set[str] = field(default_factory=set)
    # Disks that a stranger moved away from by a copy of their own: no job left them.
    abandoned: set[str] = field(default_factory=set)
    # When each guest's processor or QEMU was last tampered with, by name.
    disturbed: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)
            self.http[asked.answer] += 1

    @contextmanager
    def stranger(
        self, verb: str, domain: str, disk: str = "", destination: str = ""
    ) -> Iterator[None]:
        """Whatever comes of it: a call that failed may have taken effect."""
        began = time.time()
        try:
            yield
        finally:
            strange = Strange(verb, domain, disk, began, time.time(), destination)
            with self._lock:
                self.strange.append(strange)

    def disturb(self, guest: str) -> None:
        with self._lock:
            self.disturbed[guest] = self.disturbed.get(guest, 0) + 1

    def count(self, job: int, verb: str, answer: Answer) -> int:
        """How often a verb on a job was answered so."""
        return sum(
            (asked.job, asked.verb, asked.answer) == (job, verb, answer)
            for asked in self.asked
        )
