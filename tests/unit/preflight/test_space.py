"""Rules about room: thin and thick, promised and taken, each both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from jobs import actions, live
from jobs.hypervisor import Destination, DirectoryFacts, Evidence, Progress
from jobs.models import CopyJob, Disk, Domain
from jobs.preflight import CopyRequest, Level
from jobs.preflight.case import Case
from jobs.preflight.space import Room, sparse_stays_sparse, there_is_room
from tests.conftest import actor_of
from tests.unit.preflight.cases import (
    BASE_IMAGE,
    DISK,
    GIB,
    HOST,
    IMAGE,
    NEW,
    POOL,
    REUSED,
    case,
    evidence,
    request,
    to_file,
)

pytestmark = pytest.mark.usefixtures("redis")

RAW = to_file(format_="raw")
VOLUME = Destination("volume", pool="images", volume="copy", format="raw")


def free(available: int | None, **changes: Any) -> Evidence:
    """A directory and pool with so many bytes free."""
    folder = DirectoryFacts("/srv/images", True, "images", available, 100 * GIB, True)
    pool = replace(POOL, available=available or 0)
    return evidence(directory=folder, pool=pool, **changes)


def judge(disk: Disk, seen: Evidence, destination: Any = None, **options: Any) -> Any:
    return there_is_room(case(disk, destination, seen, **options), seen)


@pytest.mark.parametrize(
    ("available", "level", "words"),
    [
        (10 * GIB, Level.PASS, "There is room for 10 GiB (thin)"),
        (10 * GIB - 1, Level.WARN, "can grow to 10 GiB"),
        (4 * GIB, Level.WARN, "can grow to 10 GiB"),
        (4 * GIB - 1, Level.STOP, "will need at least"),
        (0, Level.STOP, "images has 0 bytes free"),
        (None, Level.WARN, "could not be looked up"),
    ],
)
def test_there_is_room(disk: Disk, available: Any, level: Level, words: str) -> None:
    told = judge(disk, free(available))
    assert told.level == level
    assert words in told.cause


@pytest.mark.parametrize(
    ("kind", "level"), [("dir", Level.WARN), ("logical", Level.STOP)]
)
def test_a_thick_volume_takes_all_at_once(disk: Disk, kind: str, level: Level) -> None:
    seen = free(5 * GIB)
    assert seen.pool is not None
    seen = replace(seen, pool=replace(seen.pool, kind=kind))
    told = judge(disk, seen, VOLUME)
    assert (told.level, told.field) == (level, "pool")


def test_the_largest_layer_is_needed_at_least(disk: Disk) -> None:
    """Layers may hide each other, so their sum would be too much to ask for."""
    seen = free(5 * GIB, chain=(replace(BASE_IMAGE, allocation=6 * GIB),))
    assert judge(disk, seen).level == Level.STOP
    shallow = judge(disk, seen, shallow=True)
    assert shallow.level == Level.WARN, "only the top is copied"


def test_what_a_reused_file_has_already_is_not_asked_for(disk: Disk) -> None:
    there = replace(REUSED, allocation=9 * GIB)
    seen = free(GIB, destination=there)
    assert judge(disk, seen, reuse_external=True).level == Level.PASS
    assert judge(disk, seen).level == Level.STOP


def test_devices_and_servers_have_no_pool(disk: Disk) -> None:
    assert judge(disk, free(0), Destination("block", "/dev/sdb", "raw")) is None


def test_what_other_rules_say_is_not_said_again(disk: Disk) -> None:
    gone = evidence(directory=DirectoryFacts("/srv/images", False))
    assert judge(disk, gone) is None
    no_pool = evidence(pool=None, directory=None)
    assert judge(disk, no_pool, VOLUME) is None


# --- Promised -------------------------------------------------------------------------


@pytest.fixture
def other_job(disk: Disk, domain: Domain, olga: User) -> CopyJob:
    """A copy of another disk, of 10 GiB with 4 allocated, to the same directory."""
    other = Disk.objects.create(
        domain=domain,
        target="vdb",
        device="disk",
        source="/srv/x",
        persistent_source="/srv/x",
        capacity=10 * GIB,
        allocation=4 * GIB,
    )
    wanted = request(other, to_file("/srv/images/other.qcow2"))
    return actions.request_copy(wanted, actor_of(olga))


def test_space_that_is_promised_is_counted(disk: Disk, other_job: CopyJob) -> None:
    told = judge(disk, free(19 * GIB))
    assert told.level == Level.WARN
    assert f"of which job {other_job.pk} will take 10 GiB" in told.cause
    told = judge(disk, free(7 * GIB))
    assert told.level == Level.STOP
    assert f"of which job {other_job.pk} will take 4 GiB" in told.cause
    assert judge(disk, free(20 * GIB)).level == Level.PASS


def test_what_is_copied_already_is_promised_no_more(
    disk: Disk, other_job: CopyJob
) -> None:
    live.store_progress({other_job.pk: Progress(3 * GIB, 10 * GIB, 0)})
    assert judge(disk, free(17 * GIB)).level == Level.PASS
    assert judge(disk, free(16 * GIB)).level == Level.WARN
    assert judge(disk, free(5 * GIB - 1)).level == Level.STOP


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "cancelled"},
        {"destination_spec": {"kind": "file", "path": "/elsewhere/x"}},
        {"destination_spec": {"kind": "block", "path": "/srv/images/x"}},
        {"destination_spec": {"kind": "volume", "pool": "slow", "volume": "x"}},
    ],
)
def test_jobs_that_take_nothing_here(
    disk: Disk, other_job: CopyJob, changes: dict[str, Any]
) -> None:
    CopyJob.objects.update(**changes)
    assert judge(disk, free(10 * GIB)).level == Level.PASS


def test_a_volume_of_the_pool_is_promised_too(disk: Disk, other_job: CopyJob) -> None:
    spec = {"kind": "volume", "pool": "images", "volume": "x"}
    CopyJob.objects.update(destination_spec=spec)
    assert judge(disk, free(19 * GIB)).level == Level.WARN


def test_ones_own_job_is_not_promised(disk: Disk, olga: User) -> None:
    job = actions.request_copy(request(disk), actor_of(olga))
    assert judge(disk, free(10 * GIB), job=job.pk).level == Level.PASS


def test_room_says_who_takes_it() -> None:
    room = Room("fast", GIB, (3, 4), 512, 1024)
    assert room.has(1024) == "fast has 1 GiB free, of which jobs 3, 4 will take 1 KiB"
    assert Room("fast", GIB).has(0) == "fast has 1 GiB free"


@given(
    available=st.integers(0, 2**50),
    capacity=st.integers(1, 2**50),
    allocation=st.integers(0, 2**50),
)
def test_levels_follow_from_the_numbers(
    available: int, capacity: int, allocation: int
) -> None:
    """Too little for what is there stops, too little to grow warns, and so on."""
    assert _level(available, capacity, allocation) == (
        Level.STOP
        if min(capacity, allocation) > available
        else Level.WARN
        if capacity > available
        else Level.PASS
    )


def _level(available: int, capacity: int, allocation: int) -> Level:
    row = Disk(domain=Domain(name="web", host=None, persistent=True), target="vda")
    seen = evidence(
        replace(DISK, capacity=capacity),
        source=replace(IMAGE, allocation=allocation),
        chain=(),
        directory=DirectoryFacts("/srv", True, "", available),
    )
    judged = Case(CopyRequest(row, to_file()), seen)
    with mock.patch("jobs.preflight.space._other_jobs", return_value=[]):
        told = there_is_room(judged, seen)
    assert told is not None
    return told.level


# --- Sparse ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "qemu", "level"),
    [
        ("dir", 7_002_000, Level.NOTICE),
        ("netfs", 7_002_000, Level.WARN),
        ("netfs", 10_001_000, Level.PASS),
    ],
)
def test_sparse_stays_sparse(disk: Disk, kind: str, qemu: int, level: Level) -> None:
    seen = evidence(
        pool=replace(POOL, kind=kind), host=replace(HOST, hypervisor_version=qemu)
    )
    told = sparse_stays_sparse(case(disk, RAW, seen), seen)
    assert told is not None
    assert told.level == level


def test_what_is_not_sparse_can_not_become_thick(disk: Disk) -> None:
    seen = evidence()
    assert sparse_stays_sparse(case(disk, to_file(NEW), seen), seen) is None, "qcow2"
    full = evidence(source=replace(IMAGE, allocation=10 * GIB))
    assert sparse_stays_sparse(case(disk, RAW, full), full) is None
    device = Destination("block", "/dev/sdb", "raw")
    assert sparse_stays_sparse(case(disk, device, seen), seen) is None
    thick = evidence(pool=replace(POOL, kind="logical"))
    assert sparse_stays_sparse(case(disk, VOLUME, thick), thick) is None
