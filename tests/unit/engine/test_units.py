"""Sizes as people write and read them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.units import (
    bandwidth_text,
    bytes_text,
    next_moment,
    parse_bytes,
    parse_seconds,
    seconds_text,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        ("100MiB", 100 * 2**20),
        ("1.5 GB/s", 1_500_000_000),
        ("64k", 65536),
        ("10 MiB/s", 10 * 2**20),
        (" 2GiB ", 2**31),
        ("7 bytes", None),
        ("-1", None),
        ("1e9", None),
        ("", None),
        ("ten", None),
        ("1.2.3MiB", None),
        ("0.5KiB", 512),
        ("0.0", 0),
    ],
)
def test_parse(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="write for example 100MiB"):
            parse_bytes(text)
    else:
        assert parse_bytes(text) == expected


def test_less_than_a_byte_is_not_unlimited() -> None:
    with pytest.raises(ValueError, match="less than one byte"):
        parse_bytes("0.2")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (10 * 2**30, "10 GiB"),
        (1000 * 2**20, "1000 MiB"),
    ],
)
def test_bytes_text(count: int | None, text: str) -> None:
    assert bytes_text(count) == text


def test_no_bandwidth_is_no_limit() -> None:
    assert bandwidth_text(0) == "unlimited"
    assert bandwidth_text(2**20) == "1 MiB/s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("90", 90),
        ("45s", 45),
        (" 10m ", 600),
        ("2h", 7200),
        ("1h 30m", 5400),
        ("1H30M", 5400),
        ("1d", 86400),
        ("", None),
        ("-1", None),
        ("1.5h", None),
        ("soon", None),
        ("10 m", None),
        ("10min", None),
        ("1h 30", None),
        ("99999d", None),
        ("٣m", None),
    ],
)
def test_parse_seconds(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="write for example 90, 10m"):
            parse_seconds(text)
    else:
        assert parse_seconds(text) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "1m 30s"), (7200, "2h"), (90061, "1d 1h 1m 1s")],
)
def test_a_time_is_written_as_it_may_be_typed(seconds: int, text: str) -> None:
    assert seconds_text(seconds) == text
    assert parse_seconds(text) == seconds


# --- Times of a day ------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
zones = st.sampled_from(
    [UTC, BERLIN, ZoneInfo("Asia/Kathmandu"), ZoneInfo("Pacific/Apia")]
)


@pytest.mark.parametrize(
    ("now", "hour", "expected"),
    [
        ("2026-11-26T22:00", "02:00", "2026-11-27T01:00"),
        ("2026-11-27T00:59", "02:00", "2026-11-27T01:00"),
        ("2026-11-27T01:00", "02:00", "2026-11-28T01:00"),
        ("2026-11-26T23:30", "00:15", "2026-11-27T23:15"),  # today there, already
        ("2027-03-27T23:00", "02:30", "2027-03-28T01:30"),  # shown as 03:30
        ("2026-10-24T22:00", "02:30", "2026-10-25T00:30"),  # the first of the two
    ],
)
def test_the_next_time_of_a_day(now: str, hour: str, expected: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = next_moment(time.fromisoformat(hour), None, BERLIN, moment)
    assert found.isoformat()[:16] == expected


def test_the_time_of_a_day_that_is_told() -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    found = next_moment(time(2), date(2026, 12, 24), BERLIN, now)
    assert found == datetime(2026, 12, 24, 1, tzinfo=UTC)


@given(
    st.times().map(lambda hour: hour.replace(second=0, microsecond=0)),
    zones,
    st.integers(946_684_800, 2_051_222_400),  # the years 2000 to 2034
)
def test_the_next_time_is_ahead_and_near(
    hour: time, zone: ZoneInfo, epoch: int
) -> None:
    now = datetime.fromtimestamp(epoch, tz=UTC)
    found = next_moment(hour, None, zone, now)
    assert now < found
    # Pacific/Apia once left out a whole day.
    assert found - now <= timedelta(hours=49)
