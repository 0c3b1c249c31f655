"""Which guests of a host are believed to answer, while others hang.

A question to a guest that hangs is never taken back: it keeps one of the workers that
libvirt has for everybody. So when two that were believed to answer do not, all are
doubted who have not shown since that they live. A guest shows it by an answer, and by
the processor time that its QEMU takes, which libvirt tells without asking it. None of
this decides anything about a job.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum

# Guests of a host that are remembered in this process.
REMEMBERED = 4096
# Who answered within the last seconds is not looked at before it is asked again.
JUST_NOW_SECONDS = 4.0


class Doubt(IntEnum):
    """What speaks for a guest since others hang."""

    NONE = 0  # it answered, or nobody hangs
    SOME = 1  # it took processor time
    GRAVE = 2  # nothing


@dataclass
class _Guest:
    """When a guest was asked, answered and was alive for certain, in monotonic seconds;
    the processor time (ns) that it had taken, and when that was read."""

    asked: float = 0.0
    answered: float = 0.0
    alive: float = 0.0
    used: int = 0
    read: float = 0.0


class Belief:
    """What was seen of one host's guests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for what is kept of silence
        self._guests: dict[str, _Guest] = defaultdict(_Guest)
        # When a question was put that is not answered, to guests that were believed.
        self._surprises: dict[str, float] = {}
        # For whom somebody else waits, and when that was seen.
        self._occupied: dict[str, float] = {}
        self._all_since = 0.0
        # The last surprise but one: one guest that hangs makes nobody else doubtful.
        self._since = 0.0

    def note_asked(self, uuid: str, moment: float) -> None:
        self._guests[uuid].asked = moment

    def note_answer(self, uuid: str) -> None:
        self._guests[uuid].answered = time.monotonic()

    def note_used(self, uuid: str, used: int, moment: float) -> None:
        """Processor time, read at `moment`. Whoever took some since it was read before
        was alive after that."""
        guest = self._guests[uuid]
        if guest.read and used > guest.used:
            guest.alive = guest.read
        guest.used, guest.read = used, moment

    def note_silence(self, uuid: str, moment: float) -> bool:
        """It was asked then and is silent. Returns whether that is a surprise."""
        with self._lock:
            surprise = self.doubt(uuid) == Doubt.NONE
            if surprise:
                self._surprises[uuid] = moment
                self._reckon()
        return surprise

    def note_occupied(self, uuid: str, since: float | None) -> None:
        """Somebody else's question waits for it since then, or none does."""
        with self._lock:
            self._occupied.pop(uuid, None)
            if since is not None:
                self._occupied[uuid] = time.monotonic()
                self._surprises[uuid] = since
                self._reckon()

    def doubt_all(self) -> None:
        """Until silence is forgotten the next time."""
        with self._lock:
            self._all_since = time.monotonic()
            self._reckon()

    def forget_silence(self, waits_for: Callable[[str], bool]) -> None:
        """Of guests for whom nobody waits any more."""
        seen = time.monotonic() - JUST_NOW_SECONDS
        with self._lock:
            self._occupied = {u: at for u, at in self._occupied.items() if at > seen}
            self._surprises = {
                uuid: moment
                for uuid, moment in self._surprises.items()
                if uuid in self._occupied or waits_for(uuid)
            }
            self._all_since = 0.0
            self._reckon()

    def _reckon(self) -> None:
        newest = sorted([0.0, 0.0, *self._surprises.values()])
        self._since = max(newest[-2], self._all_since)

    @property
    def occupied(self) -> Collection[str]:
        """Guests for whom somebody else waits."""
        return tuple(self._occupied)

    def doubt(self, uuid: str) -> Doubt:
        guest = self._guests[uuid]
        if guest.answered >= self._since:
            return Doubt.NONE
        return Doubt.SOME if guest.alive >= self._since else Doubt.GRAVE

    def needs_a_look(self, uuid: str) -> bool:
        """Whether it had better be looked at before it is asked."""
        just_now = time.monotonic() - JUST_NOW_SECONDS
        return self._guests[uuid].answered < max(self._since, just_now)

    def in_turn(self, uuids: Iterable[str], doubt: Doubt) -> list[str]:
        """Those of so much doubt; who was not asked for longest comes first."""
        fitting = [uuid for uuid in uuids if self.doubt(uuid) == doubt]
        return sorted(fitting, key=lambda uuid: self._guests[uuid].asked)

    def __len__(self) -> int:
        return len(self._guests)


_beliefs: dict[str, Belief] = {}


def belief_of(host: str) -> Belief:
    """What this process has seen of a host, by its address, if it is not too much."""
    known = _beliefs.get(host)
    if known is None or len(known) > REMEMBERED:
        known = _beliefs[host] = Belief()
    return known
