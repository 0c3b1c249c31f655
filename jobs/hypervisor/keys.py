"""LUKS keys that QEMU fails to time.

To make a LUKS header QEMU first measures how fast this processor derives a key, in the
thread's own processor time. On a busy machine, above all a virtual one, that clock may
not have moved, and QEMU gives up ("Unable to get accurate CPU usage", qemu.git
crypto/pbkdf.c). Nothing is wrong and nothing was made, so it is asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jobs.hypervisor.errors import KeyNotTimed

T = TypeVar("T")

TRIES = 8


def timing_keys(call: Callable[[], T]) -> T:
    """What `call` returns; called up to `TRIES` times, while a key is not timed."""
    for _ in range(TRIES - 1):
        try:
            return call()
        except KeyNotTimed:
            continue
    return call()
