"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from jobs.units import bandwidth_text, bytes_text, parse_bytes


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
