"""Loop devices, where this machine lets us have them."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import Self

from lab.cell import LabError

# loop(4)
_LOOP_SET_FD = 0x4C00
_LOOP_SET_STATUS64 = 0x4C04
_LOOP_CTL_GET_FREE = 0x4C82
_AUTOCLEAR = 4
_ATTEMPTS = 16


class LoopDevice:
    """A block device over `image`, which is let go when nobody has it open any more,
    so at the latest when its makers and users have ended, however they do.

    Needs root, and a kernel and a container that allow it; LabError says what is
    missing. There is no block device that an ordinary user could make.
    """

    def __init__(self, image: Path) -> None:
        self.path = ""
        self._image = image
        self._device = -1

    def __enter__(self) -> Self:
        try:
            self._attach()
        except OSError as error:
            raise LabError(
                f"This machine gives us no loop device: {error.strerror} "
                f"({error.filename or 'ioctl'})."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._device)

    def _attach(self) -> None:
        """Others may take the free device before us: then there is another one."""
        for attempt in range(1, _ATTEMPTS + 1):
            device = _open_free()
            try:
                self._fill(device)
            except OSError:
                os.close(device)
                if attempt == _ATTEMPTS:
                    raise
            else:
                self._device = device
                self.path = os.readlink(f"/proc/self/fd/{device}")
                return

    def _fill(self, device: int) -> None:
        image = os.open(self._image, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, _LOOP_SET_FD, image)
        finally:
            os.close(image)
        # struct loop_info64, all zero but for its flags.
        status = struct.pack("5Q4I160x2Q", 0, 0, 0, 0, 0, 0, 0, 0, _AUTOCLEAR, 0, 0)
        fcntl.ioctl(device, _LOOP_SET_STATUS64, status)


def _open_free() -> int:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
    finally:
        os.close(control)
    device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
    if not stat.S_ISBLK(os.fstat(device).st_mode):
        os.close(device)
        raise LabError(f"/dev/loop{number} is no block device.")
    return device
