"""Rules about options, limits, secrets and consistency, each both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import Destination, Secret
from jobs.lifecycle import WhenReady
from jobs.models import Disk
from jobs.models.job import AtLimit
from jobs.preflight import Level
from jobs.preflight.options import (
    DEFAULT_BUFFER,
    SMALLEST_BUFFER,
    agent_answers,
    buffer_fits_bandwidth,
    consistent_only_if_finished,
    fitting_buffer,
    limits_make_sense,
    options_are_supported,
    options_make_sense,
    secrets_exist,
    zeroed_only_if_created,
)
from tests.unit.preflight.cases import HOST, POOL, SIZE, case, evidence, to_file

VOLUME = Destination("volume", pool="images", volume="copy.qcow2")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"granularity": 3000}, "granularity"),
        ({"granularity": 256}, "granularity"),
        ({"granularity": 2**27}, "granularity"),
        ({"bandwidth": -1}, "bandwidth"),
        ({"bandwidth": 2**63}, "bandwidth"),
        ({"buf_size": 2**63}, "buf_size"),
        ({"target_zeroed": True}, "target_zeroed"),
    ],
)
def test_options_that_make_no_sense(
    disk: Disk, options: dict[str, Any], field: str
) -> None:
    told = options_make_sense(case(disk, **options))
    assert (told.level, told.field) == (Level.STOP, field)
    assert told.cause


def test_options_make_sense(disk: Disk) -> None:
    fine = case(disk, granularity=65536, bandwidth=2**62, buf_size=2**20)
    assert options_make_sense(fine).level == Level.PASS


@pytest.mark.parametrize(
    ("libvirt", "qemu", "options", "needs"),
    [
        (7_000_000, 7_000_000, {"synchronous_writes": True}, "libvirt 8.0.0"),
        (8_000_000, 7_000_000, {"synchronous_writes": True}, ""),
        (9_000_000, 10_001_000, {"target_zeroed": True}, "libvirt 12.2.0"),
        (12_002_000, 10_000_000, {"target_zeroed": True}, "QEMU 10.1.0"),
        (12_002_000, 10_001_000, {"target_zeroed": True}, ""),
        (6_000_000, 4_002_000, {}, ""),
    ],
)
def test_options_are_supported(
    disk: Disk, libvirt: int, qemu: int, options: dict[str, Any], needs: str
) -> None:
    facts = replace(HOST, libvirt_version=libvirt, hypervisor_version=qemu)
    told = options_are_supported(case(disk, VOLUME, evidence(host=facts), **options))
    assert told is not None
    assert told.level == (Level.STOP if needs else Level.PASS)
    assert needs in told.cause
    disk.domain.host.libvirt_version = libvirt
    disk.domain.host.hypervisor_version = qemu
    known = options_are_supported(case(disk, VOLUME, **options))
    assert known is not None
    assert known.level == told.level
    disk.domain.host.libvirt_version = None
    assert options_are_supported(case(disk, VOLUME, **options)) is None


def test_zeroed_only_if_created(disk: Disk) -> None:
    told = zeroed_only_if_created(case(disk, VOLUME, evidence(), target_zeroed=True))
    assert told is not None
    assert told.level == Level.PASS
    logical = evidence(pool=replace(POOL, kind="logical"))
    raw = replace(VOLUME, format="raw")
    told = zeroed_only_if_created(case(disk, raw, logical, target_zeroed=True))
    assert told is not None
    assert told.level == Level.STOP
    assert zeroed_only_if_created(case(disk, VOLUME, evidence())) is None


@pytest.mark.parametrize(
    ("secret", "missing", "level"),
    [
        (Secret(usage="disk"), (), Level.PASS),
        (Secret(usage="disk"), ("disk",), Level.STOP),
    ],
)
def test_secrets_exist(disk: Disk, secret: Secret, missing: Any, level: Level) -> None:
    seen = evidence(missing_secrets=missing)
    told = secrets_exist(case(disk, to_file(encryption=secret), seen), seen)
    assert told is not None
    assert told.level == level
    assert secrets_exist(case(disk, seen=seen), seen) is None


def test_the_missing_secret_is_told_beside_its_field(disk: Disk) -> None:
    wanted = Destination(
        *("network", "", "raw"),
        protocol="rbd",
        auth=Secret(usage="ceph"),
        encryption=Secret(usage="luks"),
    )
    for name, field in (("ceph", "auth"), ("luks", "encryption")):
        seen = evidence(missing_secrets=(name,))
        told = secrets_exist(case(disk, wanted, seen), seen)
        assert told is not None
        assert (told.field, name in told.cause) == (field, True)


# --- Bandwidth and limits -------------------------------------------------------------


@pytest.mark.parametrize(
    ("bandwidth", "buffer", "notice"),
    [
        (0, 0, False),
        (2 * 2**20, 0, True),
        (2 * 2**20, 2**20, False),
        (16 * 2**20, 0, False),
        (1, 0, True),
        (-1, 0, False),
    ],
)
def test_buffer_fits_bandwidth(
    disk: Disk, bandwidth: int, buffer: int, notice: bool
) -> None:
    told = buffer_fits_bandwidth(case(disk, bandwidth=bandwidth, buf_size=buffer))
    assert (told is not None) == notice
    if told is not None:
        assert told.level == Level.NOTICE


def test_the_proposed_buffer_is_told_with_what_it_cures(disk: Disk) -> None:
    told = buffer_fits_bandwidth(case(disk, bandwidth=2 * 2**20))
    assert told is not None
    assert told.cause == "At 2 MiB/s progress jumps by 16 MiB each 8 seconds."
    assert told.remedy == "A buf-size of 1 MiB makes it smooth."


@given(st.integers(1, 2**63 - 1))
def test_a_fitting_buffer(bandwidth: int) -> None:
    buffer = fitting_buffer(bandwidth)
    assert buffer & (buffer - 1) == 0
    assert SMALLEST_BUFFER <= buffer <= DEFAULT_BUFFER
    assert buffer <= bandwidth / 2 or buffer == SMALLEST_BUFFER


@pytest.mark.parametrize(
    ("changes", "level", "field"),
    [
        ({"stall_limit": 600}, Level.PASS, "stall_limit"),
        ({"total_limit": 86400}, Level.PASS, "stall_limit"),
        ({"stall_limit": 600, "total_limit": 86400}, Level.PASS, "stall_limit"),
        ({"stall_limit": -1}, Level.STOP, "stall_limit"),
        ({"total_limit": -1}, Level.STOP, "total_limit"),
        ({"stall_limit": 600, "total_limit": 600}, Level.WARN, "stall_limit"),
        ({"stall_limit": 31, "bandwidth": 2**20}, Level.WARN, "stall_limit"),
        ({"stall_limit": 32, "bandwidth": 2**20}, Level.PASS, "stall_limit"),
        (
            {"stall_limit": 5, "bandwidth": 2**20, "buf_size": 2**20},
            Level.PASS,
            "stall_limit",
        ),
        ({"total_limit": 100, "bandwidth": SIZE // 101}, Level.WARN, "total_limit"),
        ({"total_limit": 100, "bandwidth": SIZE // 99}, Level.PASS, "stall_limit"),
    ],
)
def test_limits_make_sense(
    disk: Disk, changes: dict[str, Any], level: Level, field: str
) -> None:
    told = limits_make_sense(case(disk, **changes))
    assert told is not None
    assert (told.level, told.field) == (level, field)


def test_no_limits_are_not_judged(disk: Disk) -> None:
    assert limits_make_sense(case(disk, bandwidth=1)) is None


@pytest.mark.parametrize(
    ("at_limit", "word"), [(AtLimit.FLAG, "flagged"), (AtLimit.CANCEL, "cancelled")]
)
def test_what_a_limit_would_do(disk: Disk, at_limit: AtLimit, word: str) -> None:
    told = limits_make_sense(
        case(disk, total_limit=10, bandwidth=2**20, at_limit=at_limit)
    )
    assert told is not None
    assert told.cause.endswith(f"would be {word}.")


# --- Consistency ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when_ready", "level"),
    [
        (WhenReady.FINISH, Level.PASS),
        (WhenReady.PIVOT, Level.STOP),
        (WhenReady.WAIT, Level.STOP),
    ],
)
def test_consistent_only_if_finished(
    disk: Disk, when_ready: WhenReady, level: Level
) -> None:
    told = consistent_only_if_finished(
        case(disk, consistent=True, when_ready=when_ready)
    )
    assert told is not None
    assert (told.level, told.field) == (level, "consistent")
    assert consistent_only_if_finished(case(disk, when_ready=when_ready)) is None


@pytest.mark.parametrize(("agent", "level"), [(True, Level.PASS), (False, Level.WARN)])
def test_agent_answers(disk: Disk, agent: bool, level: Level) -> None:
    seen = evidence(agent=agent)
    told = agent_answers(case(disk, seen=seen, consistent=True), seen)
    assert told is not None
    assert told.level == level
    assert agent_answers(case(disk, seen=seen), seen) is None, "nobody asked for it"
