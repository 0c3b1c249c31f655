"""What is done and what dies, drawn by one `random.Random`: same seed, same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lab.guest import Format

MIB = 1024 * 1024
HOSTS = ("alder", "birch")
NBD_SERVERS = 2
DISK_SIZE = 24 * MIB

Kind = Literal["qcow2", "raw", "volume", "reuse", "shallow", "nbd"]
Policy = Literal["wait", "pivot", "finish"]
VerbName = Literal["pivot", "finish", "cancel"]


@dataclass(frozen=True)
class GuestPlan:
    """A guest of the cast: its disks' formats, and what lies below each of them."""

    name: str
    host: str
    writing: bool
    disks: tuple[Format, ...]
    backing: tuple[Format, ...] = ()


@dataclass(frozen=True)
class Place:
    """One disk of one guest."""

    guest: str
    target: str


@dataclass(frozen=True)
class Start:
    """A copy that the operator asks for. `number` makes its destination unique.

    Where a copy runs on `place` already it is a free disk, if there is one.
    """

    place: Place
    number: int
    kind: Kind
    policy: Policy
    bandwidth: int
    granularity: int
    synchronous: bool
    total_limit: int
    server: int
    twice: bool


@dataclass(frozen=True)
class Act:
    """A verb on one of the active jobs; `twice`: the button is clicked twice."""

    which: int
    verb: VerbName
    twice: bool


@dataclass(frozen=True)
class Speed:
    which: int
    bandwidth: int


@dataclass(frozen=True)
class Adopt:
    """Take over a stranger's copy, if there is one just then."""

    which: int


Deed = Start | Act | Speed | Adopt


@dataclass(frozen=True)
class Kill:
    """Something dies `after` seconds and comes back `down` seconds later.

    `kind` is a key of KINDS, `which` chooses among several of its kind.
    """

    kind: str
    which: int
    after: float
    down: float
    place: Place
    number: int


@dataclass(frozen=True)
class Round:
    """Deeds, each at its second of the round, and what dies meanwhile."""

    deeds: tuple[tuple[float, Deed], ...]
    kills: tuple[Kill, ...]


# What can die, how often in proportion, and for how long at most (seconds). Those of 0
# seconds come back by themselves.
KINDS: dict[str, tuple[int, float]] = {
    "web killed": (2, 2.0),
    "worker killed": (3, 3.0),
    "worker frozen": (3, 9.0),  # longer than its locks hold
    "beat killed": (2, 3.0),
    "listener killed": (2, 3.0),
    "redis killed": (4, 2.0),
    "redis emptied": (4, 2.0),
    "database away": (5, 4.0),
    "libvirtd killed": (6, 2.0),
    "libvirtd frozen": (6, 4.0),
    "qemu killed": (4, 1.0),
    "qemu frozen": (5, 4.0),
    "qemu reset": (4, 0.0),
    "qemu suspended": (5, 3.0),
    "nbd killed": (3, 1.0),
    "nbd frozen": (3, 3.0),
    "stranger copies": (4, 0.0),
    "stranger aborts": (4, 0.0),
    "stranger pivots": (4, 0.0),
    "stranger throttles": (3, 0.0),
}


def cast(guests: int) -> tuple[GuestPlan, ...]:
    """So many guests on the two hosts, of every sort."""
    sorts: tuple[tuple[bool, tuple[Format, ...], tuple[Format, ...]], ...] = (
        (True, ("qcow2",), ()),
        (False, ("qcow2", "raw"), ()),
        (True, ("qcow2", "raw"), ()),
        (False, ("qcow2",), ("raw",)),
        (False, ("raw",), ()),
        (True, ("qcow2",), ("qcow2", "qcow2")),
        (False, ("raw", "qcow2"), ()),
        (False, ("qcow2",), ()),
    )
    return tuple(
        GuestPlan(f"guest-{number}", HOSTS[number % 2], *sorts[number % len(sorts)])
        for number in range(guests)
    )


def places_of(guests: tuple[GuestPlan, ...]) -> tuple[Place, ...]:
    return tuple(
        Place(guest.name, f"vd{'abcd'[number]}")
        for guest in guests
        for number in range(len(guest.disks))
    )


class Plan:
    """An endless row of rounds. The draws never depend on what happens."""

    def __init__(self, seed: int, guests: int) -> None:
        self.seed = seed
        self.guests = cast(guests)
        self.places = places_of(self.guests)
        self._random = random.Random(seed)
        self._number = 0

    def __iter__(self) -> Iterator[Round]:
        while True:
            yield self.draw()

    def draw(self) -> Round:
        """The next round: four to ten deeds, one to four deaths."""
        dice = self._random
        deeds = [(dice.uniform(0, 3), self._deed()) for _ in range(dice.randint(4, 10))]
        kills = tuple(map(self._kill, self._kinds(dice.choice((1, 2, 3, 4)))))
        deeds.sort(key=lambda pair: pair[0])
        return Round(tuple(deeds), kills)

    def _kinds(self, count: int) -> list[str]:
        """So many kinds, none of them twice."""
        left = {kind: often for kind, (often, _) in KINDS.items()}
        drawn = []
        for _ in range(count):
            [kind] = self._random.choices(list(left), list(left.values()))
            drawn.append(kind)
            del left[kind]
        return drawn

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _kill(self, kind: str) -> Kill:
        dice, longest = self._random, KINDS[kind][1]
        return Kill(
            kind,
            which=dice.randrange(64),
            after=dice.uniform(0, 2),
            down=dice.uniform(0, longest),
            place=dice.choice(self.places),
            number=self._next(),
        )

    def _deed(self) -> Deed:
        dice = self._random
        place, which = dice.choice(self.places), dice.randrange(64)
        match dice.choices(("start", "act", "speed", "adopt"), (10, 7, 2, 2))[0]:
            case "start":
                return self._start(place)
            case "act":
                verb: VerbName = dice.choice(("pivot", "pivot", "finish", "cancel"))
                return Act(which, verb, twice=dice.random() < 0.25)
            case "speed":
                return Speed(which, dice.choice((0, MIB, 4 * MIB, 64 * MIB)))
        return Adopt(which)

    def _start(self, place: Place) -> Start:
        dice = self._random
        kinds: tuple[Kind, ...] = ("qcow2", "raw", "volume", "reuse", "nbd", "shallow")
        kind = dice.choices(kinds, (4, 2, 2, 2, 2, 2))[0]
        policies: tuple[Policy, ...] = ("wait", "pivot", "finish")
        return Start(
            place,
            self._next(),
            kind,
            policy=dice.choices(policies, (4, 4, 3))[0],
            bandwidth=dice.choice((0, 0, 0, 2 * MIB, 8 * MIB)),
            granularity=dice.choice((0, 0, 65536, 1048576)),
            synchronous=dice.random() < 0.2,
            total_limit=dice.choice((0, 0, 0, 0, 5)),
            server=dice.randrange(NBD_SERVERS),
            twice=dice.random() < 0.2,
        )
