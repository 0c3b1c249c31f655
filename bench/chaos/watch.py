"""Is what each job shows true on its host? And how long until it is?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench.chaos.ledger import Ledger
from bench.chaos.operators import read
from bench.chaos.plan import Place
from bench.chaos.promises import Break, Promise
from bench.chaos.scene import Scene
from bench.chaos.sight import Seen, look
from jobs.lifecycle import State
from jobs.models import CopyJob
from lab.machine import Machine

PROMISED_SECONDS = 10.0
POLL_SECONDS = 0.2
ENDING = frozenset({State.PIVOTING, State.FINISHING, State.CANCELLING})
STAYS = frozenset({State.COPIED, State.CANCELLED})


def place_of(job: CopyJob) -> Place:
    return Place(job.domain_name, job.disk)


def untrue(job: CopyJob, seen: Seen, strange: Iterable[str] = ()) -> str:
    """What the newest job of a disk says that is not so, or an empty string.

    `strange` are the destinations of strangers' copies: a disk may be on one.
    """
    if seen.unsure:
        return ""
    there = f"the host shows {_told(seen)}"
    same_run = job.libvirt_id in (None, seen.domain_id) and seen.domain_id is not None
    ours = same_run and bool(seen.mirror) and seen.mirror == job.destination
    match job.state:
        case State.STARTING if ours:
            return f"is starting, and {there}"
        case State.COPYING if not ours or seen.ready:
            return f"is copying, and {there}"
        case State.MIRRORING if not ours or not seen.ready:
            return f"is mirroring, and {there}"
        case state if state in ENDING:
            return f"is still {state}, and {there}"
        case State.PIVOTED if job.destination != seen.live and seen.domain_id:
            if not {seen.live, seen.mirror}.intersection(strange):
                return f"is pivoted, and {there}"
        case state if state in STAYS and seen.live == job.destination:
            return f"is {state}, and {there}"
    if ours and not job.active and job.destination not in strange:
        return f"has ended as {job.state}, and {there}"
    return ""


def _told(seen: Seen) -> str:
    if seen.domain_id is None:
        return f"that the guest is off, its definition names {seen.persistent}"
    mirror = "no copy"
    if seen.mirror:
        mirror = f"a copy to {seen.mirror} that is {'' if seen.ready else 'not '}ready"
    return f"run {seen.domain_id} on {seen.live} with {mirror}"


@dataclass(frozen=True)
class Recovery:
    """How long after its return everything was true; `deaths` came back together."""

    deaths: tuple[str, ...]
    seconds: float


class Watch:
    """Looks at the newest job of each disk."""

    def __init__(
        self,
        scene: Scene,
        ledger: Ledger,
        machine: Machine,
        promised: float = PROMISED_SECONDS,
    ) -> None:
        self._scene = scene
        self._machine = machine
        self._ledger = ledger
        self._promised = promised
        self.recoveries: list[Recovery] = []
        self.breaks: list[Break] = []

    def untrue(self) -> dict[tuple[int, str], str] | None:
        """What is not true now, by job and state; None while the database is away."""
        newest = read(self._newest)
        if newest is None:
            return None
        seen = look(self._scene)
        strange = {each.destination for each in self._ledger.strange}
        found = {
            (job.pk, job.state): untrue(job, seen[place_of(job)], strange)
            for job in newest
        }
        return {key: sentence for key, sentence in found.items() if sentence}

    def _newest(self) -> list[CopyJob]:
        rows: dict[Place, CopyJob] = {}
        places = sum(len(plan.disks) for plan in self._scene.cast)
        for job in CopyJob.objects.order_by("-pk")[: 4 * places]:
            rows.setdefault(place_of(job), job)
        return list(rows.values())

    def recover(self, deaths: tuple[str, ...], longest: float = 60.0) -> None:
        """Everything is back now: wait until what is untrue has been true once."""
        began = time.monotonic()
        pending: dict[tuple[int, str], str] | None = None
        late: set[tuple[int, str]] = set()
        while (passed := time.monotonic() - began) < longest:
            now = self.untrue()
            if now is not None:
                pending = {
                    key: told
                    for key, told in now.items()
                    if pending is None or key in pending
                }
            if pending is not None and not pending:
                break
            if passed > self._promised:
                self._note_late(pending or {}, late, deaths, passed)
            time.sleep(POLL_SECONDS)
        self.recoveries.append(Recovery(deaths, time.monotonic() - began))

    def _note_late(
        self,
        pending: dict[tuple[int, str], str],
        late: set[tuple[int, str]],
        deaths: tuple[str, ...],
        passed: float,
    ) -> None:
        for key, told in pending.items():
            if key not in late:
                late.add(key)
                after = f"{passed:.0f} s after {', '.join(deaths)}"
                sentence = f"{told}, {after} ({self._machine.now()})"
                self.breaks.append(Break(Promise.TRUE_SOON, key[0], sentence))
