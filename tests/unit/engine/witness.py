"""A host in memory that remembers what was true when, and who asked for each call.

For the stateful test: every call of a worker passes `point`, where it may be killed,
refused or overtaken, and then `asked`, which fails if nobody asked for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs.hypervisor import CopyOptions, Destination, Identity, Started
from tests.fakes import FakeCopy, FakeDomain, FakeHypervisor

Place = tuple[str, str]  # a domain's UUID and a disk's target


@dataclass(frozen=True)
class Seen:
    """The truth about one disk. `persistent` is None for a transient domain."""

    domain_id: int | None
    live: str
    persistent: str | None
    destination: str = ""
    ready: bool = False

    @property
    def both(self) -> str:
        """The place that every definition there is names, or an empty string."""
        if self.domain_id is None:
            return self.persistent or ""
        return self.live if self.persistent in (None, self.live) else ""

    @property
    def names(self) -> set[str]:
        """Where the guest runs, or would run when it is started."""
        named = {self.persistent or ""}
        return named if self.domain_id is None else named | {self.live}


@dataclass(frozen=True)
class Ended:
    """How a mirror ended: "pivot", "end", "fail" or "stop"."""

    how: str
    ready: bool


@dataclass
class Event:
    """A block job's event, as the listener hears it at the epoch second `at`."""

    uuid: str
    disk: str
    status: str
    at: float


Moment = dict[Place, Seen]
_STATUS = {"pivot": "completed", "end": "canceled", "fail": "failed"}


@dataclass
class WitnessedHost(FakeHypervisor):
    """`moments` are what was true since they were last cleared, in their order.

    `ended` is how the last mirror to a place ended, `owner` who began the one that
    stands: a job's number, or 0 for a stranger.
    """

    moments: list[Moment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ended: dict[tuple[str, str, str], Ended] = field(default_factory=dict)
    owner: dict[Place, int] = field(default_factory=dict)
    point: Callable[[str, str], None] = lambda when, verb: None
    asked: Callable[[str, Identity], int] = lambda verb, identity: 0
    _under_way: list[tuple[str, Identity]] = field(default_factory=list)

    # --- What is true ----------------------------------------------------------------

    def now(self) -> Moment:
        return {
            (domain.uuid, disk.target): Seen(
                domain.domain_id,
                disk.source,
                disk.persistent_source if domain.persistent else None,
                disk.copy.destination if disk.copy else "",
                disk.copy is not None and disk.copy.ready == "yes",
            )
            for domain in self.domains.values()
            for disk in domain.disks.values()
        }

    def remember(self, how: str = "") -> None:
        """Note what is true now; a mirror that is gone ended in the way `how`."""
        before, now = self.moments[-1] if self.moments else {}, self.now()
        self.moments.append(now)
        for place, old in before.items():
            new = now.get(place)
            if old.destination and (new is None or not new.destination):
                self._note_end(place, old, how)
            elif new and new.ready and not old.ready:
                self._tell(place, "ready")

    def _note_end(self, place: Place, old: Seen, how: str) -> None:
        self.owner.pop(place, None)
        self.ended[*place, old.destination] = Ended(how, old.ready)
        if how in _STATUS:  # a guest that stops takes its copies with it, silently
            self._tell(place, _STATUS[how])

    def _tell(self, place: Place, status: str) -> None:
        self.events.append(Event(*place, status, time.time()))

    def forget(self) -> None:
        """Begin a new step of the test."""
        self.moments = [self.now()]

    # --- What others do to it --------------------------------------------------------

    def strangers_copy(self, place: Place, destination: str) -> None:
        self.files.add(destination)
        self.put_copy(*place, FakeCopy(destination))
        self.owner[place] = 0
        self.remember()

    def strangers_pivot(self, place: Place) -> None:
        disk = self.domains[place[0]].disks[place[1]]
        if disk.copy is None or disk.copy.ready != "yes":
            return
        if self.domains[place[0]].follows and disk.persistent_source == disk.source:
            disk.persistent_source = disk.copy.destination
        disk.source, disk.copy = disk.copy.destination, None
        self.remember("pivot")

    def strangers_end(self, place: Place) -> None:
        self.fail_copy(*place)
        self.remember("end")

    def power_off(self, uuid: str) -> None:
        domain = self.domains[uuid]
        self.stop(uuid)
        for disk in domain.disks.values():
            disk.source = disk.persistent_source  # the one definition that is left
        self.remember("stop")

    def come_back(self, domain: FakeDomain) -> None:
        """Define and start a domain that may have vanished or stopped."""
        self.domains[domain.uuid] = domain
        self.boot(domain.uuid)
        self.remember()

    # --- Hypervisor ------------------------------------------------------------------

    def start(
        self,
        domain_uuid: str,
        disk: str,
        destination: Destination,
        options: CopyOptions,
    ) -> Started:
        wanted = Identity(domain_uuid, 0, disk, destination.location)
        with self._calling("start", wanted):
            return super().start(domain_uuid, disk, destination, options)

    def set_speed(self, identity: Identity, bytes_per_second: int) -> int:
        with self._calling("set_speed", identity):
            return super().set_speed(identity, bytes_per_second)

    def pivot(self, identity: Identity) -> None:
        with self._calling("pivot", identity):
            super().pivot(identity)

    def end(self, identity: Identity) -> None:
        with self._calling("end", identity):
            super().end(identity)

    def repair_persistent(self, identity: Identity, source: str) -> bool:
        with self._calling("repair_persistent", identity):
            return super().repair_persistent(identity, source)

    def freeze(self, domain_uuid: str) -> int:
        with self._calling("freeze", Identity(domain_uuid, 0, "", "")):
            return super().freeze(domain_uuid)

    def thaw(self, domain_uuid: str) -> int:
        with self._calling("thaw", Identity(domain_uuid, 0, "", "")):
            return super().thaw(domain_uuid)

    @contextmanager
    def _calling(self, verb: str, identity: Identity) -> Iterator[None]:
        self._under_way.append((verb, identity))
        try:
            yield
        finally:
            self._under_way.pop()

    def _begin(self, verb: str, uuid: str = "") -> None:
        self.point("before", verb)
        super()._begin(verb, uuid)
        if self._under_way and self._under_way[-1][0] == verb:
            self._job = self.asked(*self._under_way[-1])

    def _finish(self, verb: str) -> None:
        if verb == "start":
            _, wanted = self._under_way[-1]
            self.owner[wanted.domain_uuid, wanted.disk] = self._job
        self.remember(verb)
        self.point("after", verb)
        super()._finish(verb)
