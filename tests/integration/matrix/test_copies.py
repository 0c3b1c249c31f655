"""Every option × every destination that runs here, on real libvirt, by the engine.

Each pair of an option, a destination, an ending and a kind of guest is in some row. A
guest that rests has the same on both sides, by qemu-img; one that writes sees no error
and reads back what it wrote, from the new place too, and after it was switched off and
has booted from its persistent definition.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.actor import Actor
from jobs.hypervisor import CopyOptions
from jobs.lifecycle import ENDED, State, WhenReady
from jobs.models import CopyJob, Disk, Host, Leftover
from jobs.models.job import AtLimit
from jobs.preflight import CopyRequest
from lab.bootsector import lost_blocks
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.tls import Authority
from tests.conftest import actor_of
from tests.integration.conftest import remove
from tests.integration.engine.conftest import lab_host, real_host
from tests.integration.matrix.copy_places import (
    KINDS,
    PASSPHRASE,
    POOL,
    SIZE,
    Ground,
    Place,
)
from tests.integration.matrix.pairs import Row, pairwise
from tests.workers import Workers, workers

__all__ = ["lab_host", "real_host", "workers"]

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

SPAN = MIB
NO, YES = "no", "yes"
FACTORS = {
    "place": list(KINDS),
    "ending": ["pivot", "pivot when ready", "finish", "finish when ready", "cancel"],
    "guest": ["rests", "writes"],
    "shallow": [NO, YES],
    "reuse": [NO, YES],
    "synchronous_writes": [NO, YES],
    "bandwidth": [NO, YES],
    "granularity": [NO, YES],
    "buf_size": [NO, YES],
}
# For places whose keys alone take seconds each.
QUICK_ENDINGS = ("pivot", "finish when ready")
VALUES = {"bandwidth": 256 * MIB, "granularity": 64 * 1024, "buf_size": MIB}
# So slow that the copy is under way for seconds.
CREEPING = CopyOptions(bandwidth=MIB, buf_size=MIB)


def possible(row: Row) -> bool:
    """Whether there is such a copy at all; preflight's own tests refuse the others."""
    place = KINDS[row["place"]] if "place" in row else None
    shallow, reuse = row.get("shallow"), row.get("reuse")
    if shallow == YES and (reuse == YES or (place and not place.shallow)):
        return False  # shallow into a reused file has rows of its own
    if place and place.slow and row.get("ending", "pivot") not in QUICK_ENDINGS:
        return False
    if place is None or reuse is None:
        return True
    return place.reuse == "may" or (place.reuse == "must") == (reuse == YES)


ROWS = pairwise(FACTORS, possible)


def test_every_pair_that_can_be_is_in_a_row() -> None:
    """Judged without the code that chose the rows."""
    everything: Iterator[Row] = (
        dict(zip(FACTORS, values, strict=True)) for values in product(*FACTORS.values())
    )
    pairs = {pair for row in everything if possible(row) for pair in pairs_of(row)}
    assert pairs == {pair for row in ROWS for pair in pairs_of(row)}


def pairs_of(row: Row) -> Iterator[frozenset[tuple[str, str]]]:
    return (frozenset(pair) for pair in combinations(row.items(), 2))


def name_of(row: Row) -> str:
    chosen = [name for name, value in row.items() if value == YES]
    return "-".join([row["place"], row["ending"], row["guest"], *chosen])


# --- The ground -------------------------------------------------------------------


@dataclass
class Stage:
    """One guest with a backing file, and the place that its disk is copied to."""

    host: Host
    guest: Guest
    ground: Ground
    operator: Actor
    workers: Workers

    @property
    def source(self) -> Path:
        return self.guest.disks[0].path

    def copy(
        self, kind: str, options: CopyOptions, **more: Any
    ) -> tuple[CopyJob, Place]:
        """Ask for a copy and let the workers start it."""
        place = KINDS[kind].make(self.ground, options.reuse_external)
        tasks.sync_host(self.host.pk)
        disk = Disk.objects.get(domain__name=self.guest.name, target="vda")
        accepted = more.pop("accepted", frozenset()) | KINDS[kind].accepted
        reason = "made for this copy" if accepted else ""
        wanted = CopyRequest(
            disk, place.destination, options, accepted=accepted, reason=reason, **more
        )
        return actions.request_copy(wanted, self.operator), place

    def until(self, job: CopyJob, *states: State) -> CopyJob:
        """Sweep until it is in one of `states`; another end is a failure at once."""
        self.workers.until(job, *states, *ENDED, pause=0.01)
        assert job.state in states, f"{job.state}: {job.failure}"
        return job

    def identical(self, place: Place) -> bool:
        command = ["qemu-img", "compare", "-U", "-f", "qcow2"]
        *options, image = place.reads
        done = subprocess.run(
            [*command, *options, self.source, image],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0

    def lost(self, place: Place) -> list[int]:
        """What the guest wrote and the place does not hold, once the guest is off."""
        raw = self.ground.folder / "read.raw"
        *options, image = ["-f" if word == "-F" else word for word in place.reads]
        command = ["qemu-img", "convert", "-U", *options, "-O", "raw", image]
        subprocess.run([*command, str(raw)], check=True)
        return lost_blocks(raw, SPAN)


@pytest.fixture(scope="module")
def certificates(
    lab_host: PrivateHost, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A server's, of an authority that the host trusts."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue(lab_host.certificates, "client")
    return authority.issue(tmp_path_factory.mktemp("server"), "server")


@pytest.fixture(scope="module")
def secret(lab_host: PrivateHost) -> str:
    lab_host.define_pool(POOL)
    return lab_host.define_secret(PASSPHRASE, "matrix")


MakeStage = Callable[..., Stage]


@pytest.fixture
def make_stage(
    lab_host: PrivateHost,
    real_host: Host,
    olga: User,
    workers: Workers,
    tmp_path: Path,
    certificates: Path,
    secret: str,
) -> Iterator[MakeStage]:
    with ExitStack() as ends:

        def make(*, writing: bool, data: int = MIB) -> Stage:
            name = f"m{uuid.uuid4().hex[:8]}"
            path = lab_host.images / f"{name}.qcow2"
            disk = GuestDisk(path, SIZE, data=data, backing=("qcow2",))
            guest = define_and_start(
                lab_host, name, [disk], writing=writing, pause=0.002, span=SPAN
            )
            ground = Ground(lab_host, tmp_path, name, secret, certificates, ends)
            ends.callback(remove, guest)
            if writing:
                guest.log.wait_for_writes()
            return Stage(real_host, guest, ground, actor_of(olga), workers)

        yield make


# --- Each option × each destination -----------------------------------------------


def options_of(row: Row) -> CopyOptions:
    flags = {name: row[name] == YES for name in ("shallow", "synchronous_writes")}
    numbers = {name: n for name, n in VALUES.items() if row[name] == YES}
    return CopyOptions(reuse_external=row["reuse"] == YES, **flags, **numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_copy(make_stage: MakeStage, row: Row) -> None:
    stage = make_stage(writing=row["guest"] == "writes")
    act, _, by_policy = row["ending"].partition(" ")
    when = WhenReady(act) if by_policy else WhenReady.WAIT
    job, place = stage.copy(row["place"], options_of(row), when_ready=when)
    if not by_policy:
        stage.until(job, State.MIRRORING)
        actions.perform(actions.VERBS[act], job, stage.operator)
    ended = {"pivot": State.PIVOTED, "finish": State.COPIED}
    stage.until(job, ended.get(act, State.CANCELLED))
    if row["guest"] == "writes":
        check_writing(stage, place, act)
    else:
        check_resting(stage, place)
    check_place(stage, job, place, pivoted=act == "pivot")


def check_resting(stage: Stage, place: Place) -> None:
    """Whatever the ending was: the mirror was ready, and nobody wrote since."""
    assert stage.identical(place)


def check_writing(stage: Stage, place: Place, act: str) -> None:
    log = stage.guest.log
    log.wait_for_writes(2)
    if act == "pivot":
        stage.guest.destroy()
        assert stage.lost(place) == []
        stage.guest.start()
        log.wait_for_boot(2)
        log.wait_for_writes(2)
    else:
        assert stage.lost(place) == []
    assert (log.errors, log.mismatches) == (0, 0)


def check_place(stage: Stage, job: CopyJob, place: Place, *, pivoted: bool) -> None:
    """The guest is where it should be, by both definitions, and what is left over is
    in the ledger."""
    old, new = str(stage.source), job.destination
    tasks.sync_host(stage.host.pk)
    disk = Disk.objects.get(domain__name=stage.guest.name, target="vda")
    here, there = (new, old) if pivoted else (old, new)
    assert (disk.source, disk.persistent_source) == (here, here)
    assert disk.mirror == ""
    assert Leftover.objects.get(job=job).location == there


# --- Shallow into a reused file ---------------------------------------------------


@pytest.mark.parametrize("writing", [False, True])
def test_shallow_into_a_reused_file(make_stage: MakeStage, writing: bool) -> None:
    """Over the very backing file that the source has; any other is refused."""
    stage = make_stage(writing=writing)
    base = stage.source.with_name(f"{stage.source.stem}.base1.qcow2")
    reused = stage.ground.image("qcow2", SIZE, "-b", str(base), "-F", "qcow2")
    place = KINDS["file-qcow2"].make(stage.ground, False)
    tasks.sync_host(stage.host.pk)
    disk = Disk.objects.get(domain__name=stage.guest.name, target="vda")
    options = CopyOptions(shallow=True, reuse_external=True)
    wanted = CopyRequest(disk, place.destination, options, WhenReady.PIVOT)
    job = actions.request_copy(wanted, stage.operator)
    stage.until(job, State.PIVOTED)
    assert place.destination.path == str(reused)
    if writing:
        check_writing(stage, place, "pivot")
    else:
        check_resting(stage, place)
    chain = subprocess.run(
        ["qemu-img", "info", "-U", reused], check=True, capture_output=True, text=True
    )
    assert str(base) in chain.stdout


# --- Endings before the copy is ready ---------------------------------------------

# What such a limit is warned of.
TOO_SHORT = frozenset({"limits_make_sense"})
UNDER_WAY = ["file-qcow2", "volume-qcow2", "nbd-unix"]


@pytest.fixture
def creeping(make_stage: MakeStage) -> Callable[..., tuple[Stage, CopyJob]]:
    """A copy that takes seconds, of a guest that writes."""

    def copy(kind: str, **more: Any) -> tuple[Stage, CopyJob]:
        stage = make_stage(writing=True, data=6 * MIB)
        options = CopyOptions(
            bandwidth=CREEPING.bandwidth,
            buf_size=CREEPING.buf_size,
            reuse_external=KINDS[kind].reuse == "must",
        )
        job, _ = stage.copy(kind, options, **more)
        return stage, stage.until(job, State.COPYING)

    return copy


Creeping = Callable[..., tuple[Stage, CopyJob]]


def check_unmoved(stage: Stage) -> None:
    assert stage.guest.source() == str(stage.source)
    stage.guest.log.wait_for_writes(2)
    assert (stage.guest.log.errors, stage.guest.log.mismatches) == (0, 0)


@pytest.mark.parametrize("kind", UNDER_WAY)
def test_cancel_under_way(creeping: Creeping, kind: str) -> None:
    stage, job = creeping(kind)
    actions.perform(actions.CANCEL, job, stage.operator)
    stage.until(job, State.CANCELLED)
    check_unmoved(stage)
    assert Leftover.objects.get(job=job).kind == Leftover.Kind.PARTIAL


@pytest.mark.parametrize("kind", UNDER_WAY)
def test_a_limit_that_cancels(creeping: Creeping, kind: str) -> None:
    limit = {"total_limit": 1, "accepted": TOO_SHORT}
    stage, job = creeping(kind, at_limit=AtLimit.CANCEL, **limit)
    stage.until(job, State.CANCELLED)
    assert job.flagged == "It was not ready 1s after its start."
    check_unmoved(stage)


@pytest.mark.parametrize("kind", UNDER_WAY)
def test_a_limit_that_tells(creeping: Creeping, kind: str) -> None:
    """And leaves the copy to people, who let it go on without its bandwidth."""
    limit = {"total_limit": 1, "accepted": TOO_SHORT}
    stage, job = creeping(kind, when_ready=WhenReady.PIVOT, **limit)
    stage.workers.until_true(
        lambda: bool(CopyJob.objects.get(pk=job.pk).flagged), lambda: str(job)
    )
    job.refresh_from_db()
    assert job.state == State.COPYING
    actions.set_speed(job, 0, stage.operator)
    stage.until(job, State.PIVOTED)
    assert job.flagged
    assert job.bandwidth == 0
