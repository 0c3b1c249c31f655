"""Rules about what is overwritten, and about shallow copies, each both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    ImageFacts,
    Secret,
    Server,
)
from jobs.models import Disk, Domain
from jobs.preflight import CopyRequest, Level
from jobs.preflight.case import Case
from jobs.preflight.reuse import (
    exact,
    reused_backing_is_kept,
    reused_encryption_is_declared,
    reused_format_is_declared,
    reused_is_there,
    reused_size_is_exact,
)
from jobs.preflight.shallow import (
    declared_backing_is_the_sources,
    shallow_backing_is_the_sources,
    shallow_is_possible,
)
from tests.unit.preflight.cases import (
    BASE,
    DISK,
    NEW,
    REUSED,
    SIZE,
    case,
    evidence,
    to_file,
)

DEVICE = Destination("block", "/dev/sdb", "raw")
BLOCK = ImageFacts("/dev/sdb", True, "block", "raw", SIZE, SIZE)
EXPORT = Destination(
    "network", protocol="nbd", name="x", servers=(Server("nbd"),), format="raw"
)
UNSEEN = ImageFacts(NEW, None)
RAW = to_file(format_="raw")


def judge(
    rule: Any, disk: Disk, there: ImageFacts, destination: Any = None, **options: Any
) -> Any:
    """What `rule` says; a file is reused unless told otherwise."""
    given_kind = (destination or to_file()).kind
    options.setdefault("reuse_external", given_kind == "file")
    seen = evidence(destination=there)
    return rule(case(disk, destination, seen, **options), seen)


@pytest.mark.parametrize(
    ("destination", "there", "level", "words"),
    [
        (None, REUSED, Level.PASS, "is there"),
        (None, UNSEEN, Level.STOP, "could not be looked up"),
        (None, ImageFacts(NEW, False), Level.STOP, "There is nothing at"),
        (None, replace(REUSED, kind="dir"), Level.STOP, "is a directory, not a file"),
        (None, replace(REUSED, kind="block"), Level.STOP, "a block device, not a file"),
        (DEVICE, BLOCK, Level.PASS, "is there"),
        (DEVICE, replace(BLOCK, exists=None), Level.WARN, "could not be looked up"),
        (DEVICE, replace(BLOCK, exists=False), Level.STOP, "There is nothing at"),
        (DEVICE, replace(BLOCK, kind="file"), Level.STOP, "a file, not a block device"),
        (EXPORT, ImageFacts("nbd://nbd", None), Level.WARN, "could not be looked up"),
    ],
)
def test_reused_is_there(
    disk: Disk, destination: Any, there: Any, level: Level, words: str
) -> None:
    told = judge(reused_is_there, disk, there, destination)
    assert told.level == level
    assert words in told.cause


def test_a_device_must_have_the_exact_size_only_if_it_is_raw(disk: Disk) -> None:
    unseen = replace(BLOCK, exists=None)
    assert "no less and no more" in judge(reused_is_there, disk, unseen, DEVICE).remedy
    formatted = replace(DEVICE, format="qcow2")
    told = judge(reused_is_there, disk, unseen, formatted)
    assert "no less and no more" not in told.remedy


@pytest.mark.parametrize(
    ("there", "level"),
    [
        (REUSED, Level.PASS),
        (replace(REUSED, format="raw"), Level.STOP),
        (replace(REUSED, format="vmdk"), Level.STOP),
        (replace(REUSED, format=""), Level.STOP),
    ],
)
def test_reused_format_is_declared(disk: Disk, there: Any, level: Level) -> None:
    told = judge(reused_format_is_declared, disk, there)
    assert (told.level, told.field) == (level, "format")


def test_nothing_is_declared_of_a_new_file(disk: Disk) -> None:
    new = {"reuse_external": False}
    for rule in (
        reused_is_there,
        reused_format_is_declared,
        reused_size_is_exact,
        reused_encryption_is_declared,
        shallow_backing_is_the_sources,
        reused_backing_is_kept,
    ):
        assert judge(rule, disk, REUSED, **new) is None


@pytest.mark.parametrize(
    ("destination", "there", "level", "words"),
    [
        (None, REUSED, Level.PASS, "the disk's size"),
        (None, replace(REUSED, capacity=SIZE - 512), Level.STOP, "must be the same"),
        (None, replace(REUSED, capacity=SIZE + 512), Level.STOP, "must be the same"),
        (None, replace(REUSED, capacity=0), Level.STOP, "has 0 bytes"),
        (None, replace(REUSED, capacity=None), Level.STOP, "could not be looked up"),
        (DEVICE, replace(BLOCK, capacity=None), Level.WARN, "could not be looked up"),
        (DEVICE, BLOCK, Level.PASS, "the disk's size"),
    ],
)
def test_reused_size_is_exact(
    disk: Disk, destination: Any, there: Any, level: Level, words: str
) -> None:
    told = judge(reused_size_is_exact, disk, there, destination)
    assert told.level == level
    assert words in told.cause


def test_a_larger_raw_destination_is_offered_a_slice(disk: Disk) -> None:
    larger = replace(REUSED, format="raw", capacity=SIZE + 512)
    told = judge(reused_size_is_exact, disk, larger, RAW)
    assert (told.level, told.field) == (Level.STOP, "slice_size")
    assert f"slice size {SIZE}" in told.remedy
    followed = replace(RAW, slice_size=SIZE)
    assert judge(reused_size_is_exact, disk, larger, followed).level == Level.PASS


@pytest.mark.parametrize(
    ("changes", "room", "level", "field"),
    [
        ({"slice_size": SIZE}, SIZE, Level.PASS, "slice_size"),
        ({"slice_size": SIZE - 512}, SIZE, Level.STOP, "slice_size"),
        ({"slice_size": SIZE + 512}, 2 * SIZE, Level.STOP, "slice_size"),
        ({"slice_size": SIZE, "slice_offset": 512}, SIZE, Level.STOP, "slice_offset"),
        ({"slice_size": SIZE, "slice_offset": 512}, None, Level.WARN, "slice_size"),
        ({"slice_size": SIZE, "format": "qcow2"}, SIZE, Level.WARN, "slice_size"),
    ],
)
def test_slices(
    disk: Disk, changes: dict[str, Any], room: Any, level: Level, field: str
) -> None:
    there = replace(BLOCK, capacity=room)
    told = judge(reused_size_is_exact, disk, there, replace(DEVICE, **changes))
    assert (told.level, told.field) == (level, field)


def test_a_device_that_libvirt_formats_may_be_larger(disk: Disk) -> None:
    formatted = replace(DEVICE, format="qcow2")
    assert judge(reused_size_is_exact, disk, BLOCK, formatted) is None


@given(size=st.integers(0, 2**62), capacity=st.integers(1, 2**62))
def test_only_the_very_same_size_passes(size: int, capacity: int) -> None:
    """Any difference at all makes the copy fail after its start."""
    domain = Domain(name="web", host=None, persistent=True)
    row = Disk(domain=domain, target="vda")
    disk = replace(DISK, capacity=capacity)
    there = replace(REUSED, format="raw", capacity=size)
    seen = evidence(disk, destination=there)
    wanted = CopyRequest(row, RAW, CopyOptions(reuse_external=True))
    told = reused_size_is_exact(Case(wanted, seen), seen)
    assert told is not None
    assert (told.level == Level.PASS) == (size == capacity)


@pytest.mark.parametrize(
    ("encrypted", "secret", "level"),
    [
        (False, None, Level.PASS),
        (True, Secret(usage="web"), Level.PASS),
        (True, None, Level.STOP),
        (False, Secret(usage="web"), Level.STOP),
    ],
)
def test_reused_encryption_is_declared(
    disk: Disk, encrypted: bool, secret: Secret | None, level: Level
) -> None:
    there = replace(REUSED, encrypted=encrypted)
    wanted = to_file(encryption=secret)
    told = judge(reused_encryption_is_declared, disk, there, wanted)
    assert (told.level, told.field) == (level, "encryption")


def test_reused_backing_is_kept(disk: Disk) -> None:
    told = judge(reused_backing_is_kept, disk, replace(REUSED, backing="/srv/x"))
    assert told.level == Level.NOTICE
    assert "/srv/x" in told.cause
    assert judge(reused_backing_is_kept, disk, REUSED) is None


# --- Shallow --------------------------------------------------------------------------


def test_shallow_is_possible(disk: Disk) -> None:
    told = shallow_is_possible(case(disk, seen=evidence(), shallow=True))
    assert told is not None
    assert told.level == Level.NOTICE
    assert told.cause == f"The copy shares {BASE} with the source."
    assert shallow_is_possible(case(disk, seen=evidence())) is None


def test_shallow_says_how_much_it_shares(disk: Disk) -> None:
    longer = replace(DISK, chain=(*DISK.chain, ChainLink("/srv/o", "file", "raw")))
    told = shallow_is_possible(case(disk, seen=evidence(longer), shallow=True))
    assert told is not None
    assert f"{BASE} and 1 more below it" in told.cause


@pytest.mark.parametrize(
    ("facts", "destination", "words"),
    [
        (DISK, RAW, "needs a format with a backing file"),
        (replace(DISK, chain=()), to_file(), "vda has no backing file to share."),
        (
            replace(DISK, chain=(ChainLink("rbd:///x", "network", "raw"),)),
            Destination("volume", pool="images", volume="x"),
            "which a network serves",
        ),
    ],
)
def test_shallow_is_impossible(
    disk: Disk, facts: Any, destination: Any, words: str
) -> None:
    told = shallow_is_possible(case(disk, destination, evidence(facts), shallow=True))
    assert told is not None
    assert told.level == Level.STOP
    assert words in told.cause


RIGHT = replace(REUSED, backing=BASE, backing_format="qcow2")


@pytest.mark.parametrize(
    ("there", "level"),
    [
        (RIGHT, Level.PASS),
        (replace(RIGHT, backing=""), Level.STOP),
        (replace(RIGHT, backing="/srv/images/base2.qcow2"), Level.STOP),
        (replace(RIGHT, backing="json:{}"), Level.STOP),
        (replace(RIGHT, backing_format="raw"), Level.STOP),
        (replace(RIGHT, backing_format=""), Level.STOP),
        (replace(RIGHT, exists=None, capacity=None), Level.STOP),
    ],
)
def test_shallow_backing_is_the_sources(disk: Disk, there: Any, level: Level) -> None:
    told = judge(shallow_backing_is_the_sources, disk, there, shallow=True)
    assert told.level == level
    if level == Level.STOP:
        assert "corrupt" in told.cause


@given(st.text(max_size=60), st.sampled_from(["", "raw", "qcow2", "qed"]))
def test_no_other_backing_file_passes(backing: str, format_: str) -> None:
    row = Disk(domain=Domain(name="web", host=None, persistent=True), target="vda")
    there = replace(RIGHT, backing=backing, backing_format=format_)
    seen = evidence(destination=there)
    options = CopyOptions(shallow=True, reuse_external=True)
    told = shallow_backing_is_the_sources(
        Case(CopyRequest(row, to_file(), options), seen), seen
    )
    assert told is not None
    assert (told.level == Level.PASS) == ((backing, format_) == (BASE, "qcow2"))


@pytest.mark.parametrize(
    ("declared", "shallow", "level"),
    [
        (to_file(BASE), True, Level.PASS),
        (to_file(BASE), False, Level.STOP),
        (to_file("/srv/other.qcow2"), True, Level.STOP),
        (to_file(BASE, "raw"), True, Level.STOP),
    ],
)
def test_declared_backing_is_the_sources(
    disk: Disk, declared: Destination, shallow: bool, level: Level
) -> None:
    told = declared_backing_is_the_sources(
        case(disk, to_file(backing=declared), shallow=shallow)
    )
    assert told is not None
    assert told.level == level
    assert declared_backing_is_the_sources(case(disk)) is None


def test_exact_sizes_are_told_twice_only_where_they_are_rounded() -> None:
    assert exact(512) == "512 bytes"
    assert exact(2**20 + 512) == "1 MiB (1049088 bytes)"
    assert exact(None) == "an unknown size"
