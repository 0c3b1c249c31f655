"""What happens by itself, or is done by others, while the console is at work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import DateTimeField, F

from jobs import live
from jobs.models import CopyJob, Domain, Host, Leftover
from tests.fakes import FakeDomain
from tests.unit.engine.troubles import LOCKS
from tests.unit.engine.witness import Place, WitnessedHost

DATED = (CopyJob, Host, Leftover, Domain)
LOCK_SECONDS = 6

GUESTS = (
    *("becomes ready", "becomes ready", "becomes ready", "moves on", "copy fails"),
    *("restarts", "stops", "boots", "vanishes"),
)
STRANGERS = ("copies", "pivots", "ends", "undefines", "defines", "edits", "throttles")
HOSTS = ("silent", "back", "stuck", "answers", "keeps definitions", "redis emptied")


@dataclass
class Surroundings:
    """A host's guests, the people with virsh, Redis, and the clock."""

    host: WitnessedHost
    cast: dict[str, FakeDomain]
    places: list[Place]

    def happen(self, number: int, what: str) -> None:
        if what in GUESTS:
            self.guest(number, what)
        elif what in STRANGERS:
            self.stranger(number, what)
        else:
            self.host_or_redis(what, number)

    def guest(self, number: int, what: str) -> None:
        uuid, target = self.places[number % 3]
        if uuid not in self.host.domains:
            self.host.come_back(self.cast[uuid])
        domain = self.cast[uuid]
        copying = domain.disks[target].copy is not None
        match what:
            case "becomes ready" if copying:
                self.host.make_ready(uuid, target)
                self.host.remember()
            case "moves on" if copying:
                self.host.advance(uuid, target, 2**20 * number)
            case "copy fails" if copying:
                self.host.fail_copy(uuid, target)
                self.host.remember("fail")
            case "stops" | "restarts" | "vanishes" if domain.domain_id is not None:
                self.host.power_off(uuid)
        if what == "restarts" or (what == "boots" and domain.domain_id is None):
            self.host.come_back(domain)
        elif what == "vanishes" and uuid in self.host.domains:
            self.host.vanish(uuid)
            self.host.remember("stop")

    def stranger(self, number: int, what: str) -> None:
        place = self.places[number % 3]
        if place[0] not in self.host.domains:
            return
        domain = self.cast[place[0]]
        disk = domain.disks[place[1]]
        match what:
            case "copies" if disk.copy is None and domain.domain_id is not None:
                self.strangers_copy(place, number)
            case "pivots" if disk.copy is not None:
                self.host.strangers_pivot(place)
            case "ends" if disk.copy is not None:
                self.host.strangers_end(place)
            case "throttles" if disk.copy is not None:
                disk.copy.bandwidth = 2**20 * number
            case "edits":
                disk.persistent_source = "/images/third.qcow2"
            case "undefines" | "defines" if domain.domain_id is not None:
                domain.persistent = what == "defines"
                if what == "defines":
                    for one in domain.disks.values():
                        one.persistent_source = one.source
        self.host.remember()

    def strangers_copy(self, place: Place, number: int) -> None:
        """To a place of their own, or to one that a job of ours was to."""
        used = {name for seen in self.host.now().values() for name in seen.names}
        used |= {seen.destination for seen in self.host.now().values()}
        free = sorted(self.host.files - used)
        fresh = f"/images/theirs-{len(self.host.files)}.qcow2"
        again = bool(free) and number > 3
        self.host.strangers_copy(place, free[number % len(free)] if again else fresh)

    def host_or_redis(self, what: str, number: int) -> None:
        uuid, _ = self.places[number % 3]
        match what:
            case "silent" | "back":
                self.host.unreachable = what == "silent"
            case "stuck":
                self.host.stuck.add(uuid)
            case "answers":
                self.host.stuck.clear()
            case "keeps definitions":
                self.cast[uuid].follows = not self.cast[uuid].follows
            case "redis emptied":
                live.client().flushdb()

    def grow_older(self, seconds: int) -> None:
        """Make everything that was written down that much older."""
        gap = timedelta(seconds=seconds)
        for model in DATED:
            fields = [
                field.name
                for field in model._meta.get_fields()
                if isinstance(field, DateTimeField)
            ]
            older = {name: F(name) - gap for name in fields}
            model._base_manager.update(**older)
        for event in self.host.events:
            event.at -= seconds
        redis = live.client()
        dead = list(redis.scan_iter("blockcopy:asked:*"))
        if seconds >= LOCK_SECONDS:
            dead += redis.scan_iter(LOCKS)
        if dead:
            redis.delete(*dead)
