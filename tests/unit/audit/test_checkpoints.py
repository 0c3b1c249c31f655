"""Checkpoints tell where the log must not have ended before."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.audit import checkpoints
from jobs.audit.chain import Entry, Keyring
from jobs.audit.checkpoints import Checkpoint, UnreadableCheckpoint, checkpoint, parse
from jobs.audit.log import entries, verify
from jobs.audit.verification import Kind
from tests.unit.audit import tampering
from tests.unit.audit.tampering import KEY, OTHER_KEY, append, link

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    """The file of checkpoints that `verify` reads."""
    path = tmp_path / "checkpoints"
    settings.BLOCKCOPY_AUDIT_CHECKPOINTS = str(path)
    return path


def note(file: Path, number: int, keys: str = "") -> Checkpoint:
    """Write down that the log ends with that entry."""
    made = checkpoint(link(number), Keyring.of(keys))
    assert checkpoints.append(file, made)
    return made


def first_bad() -> tuple[int | None, Kind]:
    bad = verify().bad
    assert bad is not None, "nothing was found"
    return bad.number, bad.kind


def test_checkpoints_that_agree_are_told(file: Path) -> None:
    append(7)
    note(file, 2)
    note(file, 5)
    found = verify()
    assert found.intact
    assert found.checked_to == 5


@pytest.mark.parametrize("left", [0, 3, 6])
def test_a_cut_off_end_is_found(file: Path, left: int) -> None:
    append(7)
    note(file, 2)
    note(file, 7)
    assert verify().intact
    for number in range(left + 1, 8):
        tampering.remove(number)
    assert first_bad() == (left + 1, Kind.CUT_OFF)


def test_a_cut_off_end_is_found_when_the_log_grew_again(file: Path) -> None:
    append(7)
    note(file, 2)
    note(file, 7)
    for number in (5, 6, 7):
        tampering.remove(number)
    append(9)
    bad = verify().bad
    assert bad is not None
    assert (bad.number, bad.kind) == (7, Kind.EDITED)
    assert "after 2" in bad.text


def test_a_log_written_anew_is_found_without_a_key(file: Path) -> None:
    append(7)
    note(file, 2)
    note(file, 6)
    tampering.rewrite(4, detail="another")
    bad = verify().bad
    assert bad is not None
    assert (bad.number, bad.kind) == (6, Kind.EDITED)


def test_entries_since_the_newest_checkpoint_are_no_fault(file: Path) -> None:
    append(7)
    note(file, 7)
    append(2, first=8)
    found = verify()
    assert found.intact
    assert (found.newest, found.checked_to) == (9, 7)


def test_entries_written_while_it_reads_are_no_fault(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of an entry that came after the reading is no proof of a cut."""
    append(3)
    note(file, 2)
    begun: list[bool] = []

    def read(found: Any) -> Iterator[Entry]:
        for entry in entries(found):
            if not begun:  # the page has been read
                begun.append(True)
                append(2, first=4)
                note(file, 5)
            yield entry

    monkeypatch.setattr("jobs.audit.log.entries", read)
    found = verify()
    assert found.intact, found.sentence
    assert (found.newest, found.checked_to) == (5, 5)


# --- The file -------------------------------------------------------------------------


def test_the_number_in_the_file_never_goes_back(file: Path) -> None:
    append(7)
    note(file, 5)
    for number in (5, 3):
        assert not checkpoints.append(file, checkpoint(link(number), Keyring({})))
    assert [made.number for _, made in checkpoints.read(file) if made] == [5]


def test_a_file_that_goes_back_is_found(file: Path) -> None:
    append(7)
    lines = [checkpoint(link(n), Keyring({})).line for n in (6, 3)]
    file.write_text("\n".join(lines) + "\n")
    assert first_bad() == (4, Kind.CUT_OFF)


def test_a_half_written_line_is_told_and_harms_nothing(file: Path) -> None:
    append(7)
    made = note(file, 3)
    with file.open("a") as half:
        half.write(made.line[:40])  # the machine lost its power here
    note(file, 5)
    assert file.read_text().count("\n") == 3
    found = verify()
    assert found.intact
    assert found.checked_to == 5
    assert "not readable: 1" in " ".join(found.notes)


@pytest.mark.parametrize(
    "line",
    [
        *("", "{}", "[]", "null", '{"checkpoint": 1}', '{"checkpoint": 2}', "\xff"),
        '{"checkpoint": 1, "number": "1", "hash": "", "time": ""}',
        '{"checkpoint": 1, "number": true, "hash": "", "time": ""}',
        '{"checkpoint": 1, "number": 1, "hash": null, "time": ""}',
        '{"checkpoint": 1, "number": 1, "hash": "", "time": "", "more": 1}',
        "[" * 3000,
    ],
)
def test_what_is_no_checkpoint_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(UnreadableCheckpoint):
        parse(line.encode("latin-1"))


def test_a_missing_file_is_told(file: Path) -> None:
    append(1)
    found = verify()
    assert found.intact
    assert str(file) in " ".join(found.notes)
    assert "No checkpoint" in " ".join(found.notes)


def test_the_file_is_written_for_good_and_not_for_everybody(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def fsync(number: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{number}"))
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    append(1)
    note(file, 1)
    assert synced == [str(file), str(file.parent)]
    assert file.stat().st_mode & 0o777 == 0o640 & ~_umask()
    assert json.loads(file.read_text())["number"] == 1


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


# --- With a key -----------------------------------------------------------------------


def test_a_checkpoint_written_without_the_key_is_found(
    file: Path, settings: Any
) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(7)
    note(file, 3, KEY)
    note(file, 5, OTHER_KEY)
    assert first_bad() == (5, Kind.CHECKPOINT)


def test_an_edited_checkpoint_is_found(file: Path, settings: Any) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(7)
    made = note(file, 3, KEY)
    file.write_text(made.line.replace(made.hash, link(4).hash) + "\n")
    assert first_bad() == (3, Kind.CHECKPOINT)


def test_checkpoints_from_before_the_key_still_count(file: Path, settings: Any) -> None:
    append(3)
    note(file, 2)
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(3, first=4)
    note(file, 6, KEY)
    found = verify()
    assert found.intact
    assert found.checked_to == 6
