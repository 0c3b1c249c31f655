"""Seven guests of one host, with a job in each state that an active job can be in.

The host's daemon is frozen then: calls wait in its socket, and what was asked for
meanwhile is written down and not carried out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.guest import MIB, Guest
from lab.host import PrivateHost
from lab.nbd import NbdServer
from tests.faults.kit import NEVER_READY, Console, make_guest

# Each guest is named after the state in which its job is parked.
ENDINGS = {"pivoting": "pivot", "finishing": "finish", "cancelling": "cancel"}
STATES = ("queued", "starting", "copying", "mirroring", *ENDINGS)
# Those that rest, so that a copy can be compared with its source.
IDLE = ("finishing", "mirroring")
SIZE = 64 * MIB

_turns = itertools.count(1)


@dataclass
class Rack:
    """The host, and its guests by the state that they are for."""

    host: PrivateHost
    guests: dict[str, Guest]

    @property
    def idle(self) -> tuple[str, ...]:
        return tuple(self.guests[state].name for state in IDLE)


def fill(host: PrivateHost) -> Rack:
    """Start the guests."""
    with ThreadPoolExecutor(2) as side_by_side:
        made = side_by_side.map(
            lambda state: make_guest(
                host,
                state,
                writing=state not in IDLE,
                data=(40 if state == "copying" else 4) * MIB,
            ),
            STATES,
        )
        return Rack(host, dict(zip(STATES, made, strict=True)))


@dataclass
class Parked:
    """Jobs by the state that they were parked in."""

    console: Console
    rack: Rack
    server: NbdServer
    jobs: dict[str, int] = field(default_factory=dict)

    def states(self) -> dict[str, str]:
        """Where each is by now, by the state that it was parked in."""
        return dict(
            zip(self.jobs, self.console.states(*self.jobs.values()), strict=True)
        )

    def thaw(self) -> None:
        """Let the host answer, and the server of the copy that was being started."""
        self.rack.host.thaw()
        self.server.thaw()


@contextmanager
def parked(console: Console, rack: Rack, directory: Path) -> Iterator[Parked]:
    """Bring a job into each state and freeze the host.

    At the end every job that is still active is brought to its end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    image = directory / "export.raw"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(SIZE)
    with NbdServer(directory / "nbd", image, export="copy") as server:
        these = Parked(console, rack, server)
        turn = next(_turns)
        _begin(these, turn)
        rack.host.freeze()
        try:
            _ask(these, turn)
            yield these
        finally:
            these.thaw()
        bring_to_ends(console, [*these.jobs.values()])


def _begin(these: Parked, turn: int) -> None:
    """Copies that are under way when the host freezes."""
    console, server = these.console, these.server

    def copy(state: str) -> int:
        fields = NEVER_READY if state == "copying" else {}
        to = these.rack.host.images / f"{state}-{turn}.qcow2"
        return console.olga.copy(these.rack.guests[state], to, **fields)

    names = ("copying", "mirroring", *ENDINGS)
    with ThreadPoolExecutor(3) as side_by_side:
        these.jobs |= dict(zip(names, side_by_side.map(copy, names), strict=True))
    ready = {these.jobs[name]: "mirroring" for name in ("mirroring", *ENDINGS)}
    console.wait_for({**ready, these.jobs["copying"]: "copying"})
    server.freeze()
    these.jobs["starting"] = console.olga.copy(
        these.rack.guests["starting"],
        "",
        destination_kind="network",
        protocol="nbd",
        servers=f"{server.name}:{server.port}",
        name=server.export,
        format="raw",
        reuse_external="on",
    )
    console.wait_for({these.jobs["starting"]: "starting"})


def _ask(these: Parked, turn: int) -> None:
    """What is asked for while the host is frozen."""
    console = these.console
    for state, verb in ENDINGS.items():
        console.olga.act(these.jobs[state], verb)
    to = these.rack.host.images / f"queued-{turn}.qcow2"
    these.jobs["queued"] = console.olga.copy(these.rack.guests["queued"], to)
    assert these.states() == {state: state for state in these.jobs}


def bring_to_ends(console: Console, jobs: list[int]) -> None:
    """Pivot what is ready, cancel the rest, and wait until all have ended."""
    verbs = {"mirroring": "pivot", "copying": "cancel"}
    ends = {"pivot": "pivoted", "cancel": "cancelled"}
    wanted = {}
    for job, state in zip(jobs, console.states(*jobs), strict=True):
        if state in verbs:
            on_network = console.job(job).destination_kind == "network"
            verb = "cancel" if on_network else verbs[state]
            console.olga.act(job, verb)
            wanted[job] = ends[verb]
    console.wait_for(wanted)
