"""Checkpoints: the chain's end, written down where whoever edits the database is not.

A log whose newest entries were cut off is a whole chain again; only something outside
of the database can tell that it was longer. A line of JSON each, in a file that only
grows, in the log stream, and at a web address.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from jobs.audit.chain import Keyring, Link, canonical, time_text

LINE_MAX = 4096  # bytes; ours have some 250


class UnreadableCheckpoint(ValueError):
    """A line of the file is no checkpoint: half written, or tampered with."""


@dataclass(frozen=True)
class Checkpoint:
    """The chain's end at `time` (as text, UTC); `key` and `mac` where it is signed."""

    number: int
    hash: str
    time: str
    key: str = ""
    mac: str = ""

    @property
    def signed_data(self) -> bytes:
        """What `mac` is made of."""
        return canonical({**self.fields, "checkpoint": 1})

    @property
    def fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("number", "hash", "time", "key")}

    @property
    def line(self) -> str:
        """The checkpoint as one line of JSON."""
        return json.dumps({"checkpoint": 1, **self.fields, "mac": self.mac})

    def signed(self, keys: Keyring) -> Checkpoint:
        """Return it signed with the current key, if there is one."""
        return Checkpoint(**self.fields, mac=keys.sign(self.key, self.signed_data))


def checkpoint(end: Link, keys: Keyring, at: datetime | None = None) -> Checkpoint:
    """Return the checkpoint of the chain's end."""
    time = time_text(at or timezone.now())
    return Checkpoint(end.number, end.hash, time, keys.current).signed(keys)


def parse(line: bytes) -> Checkpoint:
    """Return the checkpoint in a line; UnreadableCheckpoint if there is none."""
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or found.pop("checkpoint", None) != 1:
            raise UnreadableCheckpoint
        made = Checkpoint(**found)
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableCheckpoint from error
    texts = (made.hash, made.time, made.key, made.mac)
    if type(made.number) is not int or not all(isinstance(t, str) for t in texts):
        raise UnreadableCheckpoint
    return made


# --- The file -------------------------------------------------------------------------


def read(path: Path) -> Iterator[tuple[int, Checkpoint | None]]:
    """Yield each line's number and checkpoint, None for a line that is none.

    OSError when the file can't be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_MAX):
            number += 1
            try:
                yield number, parse(line)
            except UnreadableCheckpoint:
                yield number, None


def append(path: Path, made: Checkpoint) -> bool:
    """Append a checkpoint for good; False if one as new is there already.

    The number in the file never goes back: not by two workers at once, and not after
    the log was cut off. OSError when the file can't be written.
    """
    with _locked(path) as file:
        last, whole = _last(file)
        if last is not None and last.number >= made.number:
            return False
        # One write, so that nobody sees half of it; a half line of a crash is ended.
        os.write(file, (b"" if whole else b"\n") + made.line.encode() + b"\n")
        os.fsync(file)
    return True


def newest(path: Path) -> Checkpoint | None:
    """Return the last checkpoint in the file; None without one. OSError likewise."""
    with path.open("rb") as file:
        return _last(file.fileno())[0]


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    fresh = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
        if fresh:
            _sync_folder(path.absolute().parent)
    finally:
        os.close(file)


def _sync_folder(path: Path) -> None:
    """Keep a new file's name through a power cut too."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _last(file: int) -> tuple[Checkpoint | None, bool]:
    """Return the last whole checkpoint, and whether the file ends with a line's end."""
    size = os.fstat(file).st_size
    tail = os.pread(file, 4 * LINE_MAX, max(0, size - 4 * LINE_MAX))
    for line in reversed(tail.splitlines()):
        try:
            return parse(line), tail.endswith(b"\n")
        except UnreadableCheckpoint:
            continue
    return None, not tail or tail.endswith(b"\n")
