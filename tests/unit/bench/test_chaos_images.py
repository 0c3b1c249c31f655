"""The chaos bench finds a damaged copy of a disk that a guest writes to."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bench.chaos.images import whole
from bench.chaos.plan import DISK_SIZE
from bench.chaos.scene import FILLED, SPAN
from lab.bootsector import BLOCK, FIRST_BLOCK, SECTOR

PLACES = SPAN // BLOCK
NEWEST = PLACES + 10  # the guest has begun its second round


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The disk of a writing guest at one moment."""
    image = tmp_path / "copy.raw"
    with image.open("wb") as file:
        file.truncate(DISK_SIZE)
        for number in range(NEWEST + 1):
            file.seek(FIRST_BLOCK + number % PLACES * BLOCK)
            file.write(block(number))
        file.seek(DISK_SIZE - FILLED)
        file.write(b"\xa5" * FILLED)
    return image


def block(number: int) -> bytes:
    sector = struct.pack("<I", number) + b"BCPY"
    return sector.ljust(SECTOR, b"\0") * (BLOCK // SECTOR)


def write(image: Path, at: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_whole_copy(copy: Path) -> None:
    assert whole(copy, gapless=True) == ""


@pytest.mark.parametrize("gapless", [True, False])
def test_damaged_filling(copy: Path, gapless: bool) -> None:
    write(copy, DISK_SIZE - 4096, b"\0")
    assert whole(copy, gapless=gapless) == "the filling at its end is damaged"


def test_a_block_that_was_not_copied(copy: Path) -> None:
    """It holds what the guest wrote there one round before."""
    write(copy, FIRST_BLOCK + 5 * BLOCK, block(5))
    assert whole(copy, gapless=True) == "1 blocks that the guest wrote are missing"


def test_a_torn_block(copy: Path) -> None:
    write(copy, FIRST_BLOCK + 20 * BLOCK, block(20 + PLACES)[: BLOCK // 2])
    assert "torn" in whole(copy, gapless=True)
    assert whole(copy, gapless=False) == "", "a reset may tear one"


@pytest.mark.parametrize("gapless", [True, False])
def test_nothing_of_the_guest(copy: Path, gapless: bool) -> None:
    write(copy, FIRST_BLOCK, b"\0" * SPAN)
    assert "nothing that the guest wrote" in whole(copy, gapless=gapless)
