"""Which processes belong to a folder, and a process that dies with -9."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def processes_of(folder: Path) -> set[int]:
    """The processes that name `folder` in their command or environment, or are in it.

    The environment is all that shows what a web server or a worker belongs to, and
    servers that overwrite both with a title of their own are in their folder.
    """
    mark = str(folder).encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            words += (process / "environ").read_bytes()
            words += os.readlink(process / "cwd").encode()
        except OSError:  # it has ended, or is somebody else's
            continue
        if mark in words:
            found.add(int(process.name))
    return found


def kill_a_process_that(starts: str, folder: Path) -> tuple[set[int], set[int]]:
    """Run Python text that starts things below `folder`, then kill it with -9.

    Returns the processes that there were before that, and those a while after.
    """
    text = f"from pathlib import Path\nfolder = Path({str(folder)!r})\n{starts}"
    text += "\nprint('started', flush=True)\nimport time\ntime.sleep(600)\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", text],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin:/usr/sbin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        before = processes_of(folder) - {parent.pid}
        parent.kill()
    return before, _left(folder)


def _left(folder: Path, patience: float = 3) -> set[int]:
    end = time.monotonic() + patience
    while (left := processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    return left
