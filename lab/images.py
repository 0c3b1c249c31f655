"""Images, made by QEMU's own tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.cell import LabError

# QEMU measures how fast it derives a LUKS key; a busy machine's clock may stand still.
NOT_TIMED = "Unable to get accurate CPU usage"
_TRIES = 10


def create_image(path: Path, format_: str, size: int, *options: str) -> Path:
    """An image of `size` bytes with nothing in it; `options` are qemu-img's."""
    run("qemu-img", "create", "-q", "-f", format_, *options, path, str(size))
    return path


def run(*command: str | Path) -> None:
    """Run a command to its end; LabError with its own words if it fails.

    Again, if it only failed to time a LUKS key.
    """
    words = [str(word) for word in command]
    for _ in range(_TRIES):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        said = done.stderr.strip() or done.stdout.strip()
        if done.returncode == 0:
            return
        if NOT_TIMED not in said:
            break
    raise LabError(f"{words[0]} failed: {said}")
