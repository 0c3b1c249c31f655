"""The boot sector's settings, and reading back what its guest wrote."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.bootsector import (
    BLOCK,
    FIRST_BLOCK,
    SECTOR,
    Writing,
    lost_blocks,
    written_blocks,
)

SPAN = 4 * BLOCK


def test_the_sector_is_one_that_a_bios_boots() -> None:
    sector = Writing().boot_sector()
    assert len(sector) == SECTOR
    assert sector.endswith(b"\x55\xaa")


def test_settings_are_patched_in_and_nothing_else_changes() -> None:
    plain = Writing().boot_sector()
    other = Writing(span=64 * BLOCK, pause=0.02, idle=True, disks=2).boot_sector()
    changed = {at for at in range(SECTOR) if plain[at] != other[at]}
    assert struct.unpack_from("<IIBB", other, 0x1A0) == (64, 20_000, 1, 2)
    assert changed <= set(range(0x1A0, 0x1AA))


def test_long_pauses_are_counted_in_ticks_of_the_timer() -> None:
    sector = Writing(pause=0.1).boot_sector()
    assert struct.unpack_from("<IIBBH", sector, 0x1A0) == (1024, 0, 0, 1, 2)


def _block(number: int) -> bytes:
    sector = struct.pack("<I", number) + b"BCPY" + bytes(SECTOR - 8)
    return sector * (BLOCK // SECTOR)


def _image(folder: Path, *blocks: bytes) -> Path:
    path = folder / "disk.raw"
    path.write_bytes(bytes(FIRST_BLOCK) + b"".join(blocks).ljust(SPAN, b"\0"))
    return path


def test_blocks_are_read_back_place_by_place(tmp_path: Path) -> None:
    image = _image(tmp_path, _block(0), _block(1))
    assert written_blocks(image, SPAN) == [0, 1, None, None]
    assert lost_blocks(image, SPAN) == []


def test_a_gap_is_a_lost_block(tmp_path: Path) -> None:
    second_round = [_block(4), _block(1), _block(6), _block(3)]
    assert lost_blocks(_image(tmp_path, *second_round), SPAN) == [5]


def test_a_block_that_was_never_written_is_lost(tmp_path: Path) -> None:
    image = _image(tmp_path, _block(0), bytes(BLOCK), _block(2))
    assert lost_blocks(image, SPAN) == [1]


def test_a_torn_block_is_an_error(tmp_path: Path) -> None:
    torn = _block(4)[: BLOCK // 2] + _block(0)[BLOCK // 2 :]
    with pytest.raises(ValueError, match="torn"):
        written_blocks(_image(tmp_path, torn), SPAN)


def test_a_block_in_another_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Block 2 stands at place 0"):
        written_blocks(_image(tmp_path, _block(2)), SPAN)
