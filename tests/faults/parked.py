"""Seven guests of one host, with a job in each state that an active job can be in.

The host's daemon is frozen then: calls wait in its socket, and what was asked for
meanwhile is written down and not carried out. From one time to the next the guests
take other roles, so that what is copying or mirroring already is not begun anew.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from lab.guest import MIB, Guest
from lab.host import PrivateHost
from lab.nbd import NbdServer
from tests.faults.kit import Console, make_guest, wait_until
from tests.faults.operator import Answered, Operator
from tests.promises.hosts import look

ENDINGS = {"pivoting": "pivot", "finishing": "finish", "cancelling": "cancel"}
STATES = ("queued", "starting", "copying", "mirroring", *ENDINGS)
# Where each job is once it has been seen to: what was asked for was done, and no more.
AFTERWARDS = {
    "queued": "mirroring",
    "starting": "mirroring",
    "copying": "copying",
    "mirroring": "mirroring",
    "pivoting": "pivoted",
    "finishing": "copied",
    "cancelling": "cancelled",
}
ENDED = {"pivot": "pivoted", "cancel": "cancelled"}
WRITING, RESTING = 4, 3
DATA = 24 * MIB
# Copies them in twelve minutes: it still copies in the last of the rows.
SLOW = {"bandwidth": "32 KiB", "buf_size": "64 KiB"}
SIZE = 64 * MIB


def fill(host: PrivateHost) -> list[Guest]:
    """Start the guests; some rest, so that a copy can be compared with its source."""
    with ThreadPoolExecutor(2) as side_by_side:
        writing = side_by_side.map(
            lambda n: make_guest(host, f"writer-{n}", data=DATA), range(WRITING)
        )
        resting = side_by_side.map(
            lambda n: make_guest(host, f"idle-{n}", writing=False, data=DATA),
            range(RESTING),
        )
        return [*writing, *resting]


@dataclass
class Row:
    """Jobs by the state that they were parked in."""

    console: Console
    jobs: dict[str, int]
    guests: dict[str, Guest]
    server: NbdServer

    def states(self) -> dict[str, str]:
        """Where each is by now, by the state that it was parked in."""
        found = self.console.states(*self.jobs.values())
        return dict(zip(self.jobs, found, strict=True))

    def freeze_guests(self, *states: str) -> None:
        """Stop the QEMU of the jobs parked in these states: calls wait for it."""
        self._signal(states, signal.SIGSTOP)

    def thaw_daemon(self) -> None:
        """Let the host answer, and nobody else yet."""
        for host in self.console.hosts:
            host.thaw()

    def thaw(self) -> None:
        """Let all go on: host, guests, the server of the copy that is being started."""
        self.thaw_daemon()
        self._signal(self.guests, signal.SIGCONT)
        self.server.thaw()

    def _signal(self, states: Iterable[str], number: signal.Signals) -> None:
        for guest in (self.guests[state] for state in states):
            guest.host.kill_guest(guest.name, number)

    def until_carried_out(self) -> None:
        """Wait until the host has done what was asked for, whoever knows of it."""
        wait_until(lambda: not self._mirrors() & set(ENDINGS), self._mirrors)

    def _mirrors(self) -> set[str]:
        """The parked states of the jobs whose mirrors stand."""
        shown = {
            disk.mirror for host in self.console.hosts for disk in look(host).values()
        }
        jobs = self.console.promises.rows().jobs
        return {state for state, n in self.jobs.items() if jobs[n].destination in shown}


@dataclass
class Parking:
    """Parks jobs of one console again and again; `guests` are those of `fill`."""

    console: Console
    guests: list[Guest]
    ends: ExitStack = field(default_factory=ExitStack)  # of the servers
    _of: dict[int, Guest] = field(default_factory=dict)  # by job
    _servers: dict[int, NbdServer] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def row(self) -> Iterator[Row]:
        """Bring a job into each state and freeze the host, until the row's `thaw`."""
        jobs, server = self._under_way(), self._server()
        server.freeze()
        row = Row(self.console, jobs, {}, server)
        jobs["starting"] = self._starting(self._free(jobs), server)
        self.guests[0].host.freeze()
        try:
            jobs["queued"] = self._queued(self._free(jobs))
            for state, verb in ENDINGS.items():
                self.console.olga.act(jobs[state], verb)
            row.guests |= {state: self._of[job] for state, job in jobs.items()}
            states = row.states()
            assert states == {state: state for state in jobs}, states
            yield row
        finally:
            row.thaw()

    def ready(self, count: int) -> list[int]:
        """Jobs that mirror to a file, so many of them."""
        found = [
            job for job in self._active_in("mirroring") if job not in self._servers
        ]
        free = self._free_guests(self._active())
        with ThreadPoolExecutor(3) as side_by_side:
            found += side_by_side.map(self.copy, free[: max(0, count - len(found))])
        self.console.wait_for(dict.fromkeys(found, "mirroring"))
        assert len(found) >= count, "too few guests are free"
        return found[:count]

    def free_guests(self, count: int) -> list[Guest]:
        """Guests without a job; what is in the way is brought to its end."""
        if len(self._free_guests(self._active())) < count:
            self.bring_to_ends()
        return self._free_guests(self._active())[:count]

    def bring_to_ends(self) -> None:
        """Pivot what is ready, cancel the rest, and wait until all have ended."""
        self._end(self._active())
        self.ends.close()

    def _end(self, jobs: dict[int, str]) -> None:
        wanted = {}
        for job, state in jobs.items():
            may_pivot = state == "mirroring" and job not in self._servers
            verb = "pivot" if may_pivot else "cancel"
            self.console.olga.act(job, verb)
            wanted[job] = ENDED[verb]
        self.console.wait_for(wanted)

    # --- Who takes which role ---------------------------------------------------------

    def _active(self) -> dict[int, str]:
        jobs = self.console.promises.rows().jobs
        return {n: jobs[n].state for n in self._of if jobs[n].state in AFTERWARDS}

    def _active_in(self, wanted: str) -> list[int]:
        return [job for job, state in self._active().items() if state == wanted]

    def _under_way(self) -> dict[str, int]:
        """Jobs that copy or mirror, as each role wants it; new ones where they lack,
        and none besides: a row needs all guests."""
        active = self._active()
        copying, ready = self._active_in("copying"), self._active_in("mirroring")
        # The copy to a server ends here: nothing is to be left running there.
        ready.sort(key=lambda job: job not in self._servers)
        wanted_first = ("cancelling", "pivoting", "finishing", "mirroring")
        roles = dict(zip(wanted_first, ready, strict=False))
        kept = {*roles.values(), *copying[:1]}
        self._end({job: state for job, state in active.items() if job not in kept})
        free = iter(self._free_guests(kept))
        missing = [s for s in (*ENDINGS, "mirroring") if s not in roles]
        with ThreadPoolExecutor(3) as side_by_side:
            begun = {s: side_by_side.submit(self.copy, next(free)) for s in missing}
            if not copying:
                copying = [self.copy(next(free), **SLOW)]
            roles |= {state: job.result() for state, job in begun.items()}
        roles["copying"] = copying[0]
        wanted = dict.fromkeys((roles[s] for s in (*ENDINGS, "mirroring")), "mirroring")
        self.console.wait_for({**wanted, roles["copying"]: "copying"})
        return roles

    def _free_guests(self, taken: Iterable[int]) -> list[Guest]:
        busy = {self._of[job].name for job in taken}
        return [guest for guest in self.guests if guest.name not in busy]

    def _free(self, jobs: dict[str, int]) -> Guest:
        """A guest that is in none of `jobs` and has none that is active."""
        return self._free_guests({*jobs.values(), *self._active()})[0]

    # --- Copies -----------------------------------------------------------------------

    def copy(self, guest: Guest, by: Operator | None = None, /, **fields: str) -> int:
        """Have somebody (olga) ask for a copy of a free guest's disk; its number."""
        images = guest.host.images
        to = (
            images / f"{guest.name}-{self.console.database}-{next(self._numbers)}.qcow2"
        )
        job = (by or self.console.olga).copy(guest, to, **fields)
        self._of[job] = guest
        return job

    def _server(self) -> NbdServer:
        directory = self.console.stack.directory / f"nbd-{next(self._numbers)}"
        directory.mkdir()
        image = directory / "export.raw"
        image.touch()
        os.truncate(image, SIZE)
        return self.ends.enter_context(NbdServer(directory, image, export="copy"))

    def _starting(self, guest: Guest, server: NbdServer) -> int:
        """A copy whose start hangs.

        Asked for again where the host was too slow to tell the form what to accept.
        """
        for _ in range(5):
            job = self._copy_to_server(guest, server)
            if self._begins(job):
                return job
        pytest.fail(str(self.console.story(job)))

    def _queued(self, guest: Guest) -> int:
        """A copy that waits for the host, which is frozen.

        Asked for again where the form has heard already that the host is silent.
        """
        for _ in range(5):
            with suppress(Answered):
                return self.copy(guest)
        return self.copy(guest)

    def _begins(self, job: int) -> bool:
        """Whether a start is under way, rather than refused."""
        seen = wait_until(
            lambda: {"starting", "failed"} & {*self.console.states(job)},
            lambda: self.console.story(job),
        )
        return "starting" in seen

    def _copy_to_server(self, guest: Guest, server: NbdServer) -> int:
        job = self.console.olga.copy(
            guest,
            "",
            destination_kind="network",
            protocol="nbd",
            servers=f"{server.name}:{server.port}",
            name=server.export,
            format="raw",
            reuse_external="on",
        )
        self._of[job], self._servers[job] = guest, server
        return job
