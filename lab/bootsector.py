"""The boot sector of the writing guest: built, set up, and read back from an image."""

from __future__ import annotations

import functools
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
BLOCK = 32 * 1024
FIRST_BLOCK = 1024 * 1024
READ_BACK_EACH = 16

# Blocks u32, pause in microseconds u32, idle u8, disks u8, pause in ticks u16
_SETTINGS_AT = 0x1A0
_TICK = 65536 / 1193182  # seconds, of a PC's timer as the BIOS sets it
_MARK = b"BCPY"


@dataclass(frozen=True)
class Writing:
    """How a guest writes.

    It writes round and round over `span` bytes of each of its disks, from 1 MiB on,
    with a pause of `pause` seconds after each block of 32 KiB; not at all if `idle`.
    From a twentieth of a second on, a pause is one of whole ticks of 55 ms, in which
    the guest sleeps: the BIOS, which waits more exactly, wakes 1,000 times a second.
    """

    span: int = 32 * 1024 * 1024
    pause: float = 0.0
    idle: bool = False
    disks: int = 1

    def boot_sector(self) -> bytes:
        """The 512 bytes that a guest of this kind boots from."""
        ticks = round(self.pause / _TICK) if self.pause >= 0.05 else 0
        exactly = 0 if ticks else int(self.pause * 1e6)
        settings = struct.pack(
            "<IIBBH", self.span // BLOCK, exactly, self.idle, self.disks, ticks
        )
        code = bytearray(_assembled())
        code[_SETTINGS_AT : _SETTINGS_AT + len(settings)] = settings
        return bytes(code)


@functools.cache
def _assembled() -> bytes:
    source = Path(__file__).with_name("bootwriter.S")
    with tempfile.TemporaryDirectory(prefix="blockcopy-") as folder:
        middle, out = f"{folder}/boot.o", f"{folder}/boot.bin"
        subprocess.run(["as", "--32", "-o", middle, source], check=True)
        link = ["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary"]
        subprocess.run([*link, "-o", out, middle], check=True)
        return Path(out).read_bytes()


def written_blocks(raw_image: Path, span: int) -> list[int | None]:
    """The numbers of the blocks that a guest wrote into a raw image, place by place.

    None is a place never written. ValueError if a block is torn (its sectors carry
    different numbers) or stands in another's place.
    """
    places = span // BLOCK
    with raw_image.open("rb") as image:
        image.seek(FIRST_BLOCK)
        blocks = (image.read(BLOCK) for _ in range(places))
        return [_number(block, place, places) for place, block in enumerate(blocks)]


def _number(block: bytes, place: int, places: int) -> int | None:
    heads = {block[at : at + 8] for at in range(0, len(block), SECTOR)}
    if not any(head.endswith(_MARK) for head in heads):
        return None
    if len(heads) != 1:
        raise ValueError(f"The block at place {place} is torn.")
    number: int = struct.unpack("<I", heads.pop()[:4])[0]
    if number % places != place:
        raise ValueError(f"Block {number} stands at place {place}.")
    return number


def lost_blocks(raw_image: Path, span: int) -> list[int]:
    """The numbers of blocks that were written before others but are not in the image.

    The guest writes in order, so the places must hold the last `span` worth of numbers
    without a gap.
    """
    places = span // BLOCK
    found = [n for n in written_blocks(raw_image, span) if n is not None]
    newest = max(found, default=-1)
    expected = range(max(0, newest - places + 1), newest + 1)
    return sorted(set(expected) - set(found))
