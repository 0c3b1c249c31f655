"""Exports: the entries as JSON Lines or CSV, such that they verify without a database.

JSON Lines end with a line that tells how many entries there are and which was the
last, so that nothing can be left out unseen. CSV is for spreadsheets: what they would
take for a formula, and what would disturb a terminal, is written so that they don't,
and so that it can be read back.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from django.utils import timezone

from jobs.audit.chain import FIELDS, Entry, Keyring, canonical, digest, time_text
from jobs.audit.log import Verdict, checkpoint_file, lines, verdict
from jobs.audit.sealing import keyring
from jobs.audit.verification import Bad, Checker, Kind

FORMATS = ("jsonl", "csv")
COLUMNS = (
    *("number", "time", "actor", "channel", "action", "outcome", "object_type"),
    *("object_id", "object_text", "intent", "reason", "detail", "address"),
    *("request_id", "actor_id", "id", "version", "previous", "key", "hash", "mac"),
)
_NUMBERS = ("number", "actor_id", "id", "version")
_NULLABLE = ("actor_id", "address")
LINE_MAX = 16 * 2**20  # characters; no entry is that long


class NotAnExport(ValueError):
    """A file is no export of ours, or can't be read."""


# --- Writing --------------------------------------------------------------------------


@dataclass
class Summary:
    """What an export holds: told at its end."""

    filters: dict[str, str]
    entries: int = 0
    first: int = 0
    newest: int = 0
    hash: str = ""
    _all: Any = field(default_factory=hashlib.sha256, repr=False)

    def count(self, entry: Entry) -> None:
        number = entry.content["number"]
        self.entries += 1
        self.first = self.first or number
        self.newest, self.hash = number, entry.hash
        self._all.update(entry.hash.encode())

    def data(self) -> dict[str, Any]:
        names = ("filters", "entries", "first", "newest", "hash")
        told = {name: getattr(self, name) for name in names}
        return {**told, "digest": self._all.hexdigest()}


def write(
    entries: Iterable[Entry], to: TextIO, form: str, filters: dict[str, str]
) -> Summary:
    """Write entries as "jsonl" or "csv"; return what was written."""
    summary = Summary(filters)
    if form == "csv":
        _write_csv(entries, to, summary)
    else:
        _write_lines(entries, to, summary)
    return summary


def _write_lines(entries: Iterable[Entry], to: TextIO, summary: Summary) -> None:
    for entry in entries:
        line = {**entry.content, "hash": entry.hash, "mac": entry.mac}
        to.write(json.dumps(line) + "\n")  # ASCII: no terminal is disturbed
        summary.count(entry)
    keys = keyring()
    told = {**summary.data(), "time": time_text(timezone.now()), "key": keys.current}
    data = canonical(told)
    end = {"end": told, "hash": digest(data), "mac": keys.sign(keys.current, data)}
    to.write(json.dumps(end) + "\n")


def _write_csv(entries: Iterable[Entry], to: TextIO, summary: Summary) -> None:
    rows = csv.writer(to)
    rows.writerow(COLUMNS)
    for entry in entries:
        cells = {**entry.content, "hash": entry.hash, "mac": entry.mac}
        rows.writerow([_cell(cells[name]) for name in COLUMNS])
        summary.count(entry)


# What a spreadsheet takes for the beginning of a formula, and our own mark for it.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "'")


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet computes and that stays on its line."""
    if value is None:
        return ""
    text = "".join(map(_legible, str(value)))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _legible(char: str) -> str:
    if char == "\\":
        return "\\\\"
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"


_ESCAPED = re.compile(r"\\(?:(\\)|u\{([0-9a-f]{1,6})\})")


def _value(name: str, cell: str) -> Any:
    """Return what `_cell` was made of; ValueError for what it never makes."""
    if cell == "" and name in _NULLABLE:
        return None
    if name in _NUMBERS:
        return int(cell)
    text = cell.removeprefix("'")
    return _ESCAPED.sub(lambda m: m[1] or chr(int(m[2], 16)), text)


# --- Reading back ---------------------------------------------------------------------


@dataclass
class Export:
    """An export file, read as it is verified."""

    path: Path
    line: int = 0
    end: dict[str, Any] | None = None

    @property
    def form(self) -> str:
        """How it is written; NotAnExport if neither way."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                begin = file.readline(LINE_MAX)
        except OSError as error:
            raise NotAnExport(f"{self.path}: {error.strerror}.") from error
        except ValueError as error:
            raise NotAnExport(f"{self.path} is no export: it is no text.") from error
        if begin.startswith("{"):
            return "jsonl"
        if begin.strip().split(",") == list(COLUMNS):
            return "csv"
        raise NotAnExport(f"{self.path} is no export of the audit log.")

    def entries(self) -> Iterator[Entry]:
        """Yield the entries; what can't be read comes as one without content."""
        read = self._csv if self.form == "csv" else self._jsonl
        try:
            yield from read()
        except (ValueError, KeyError, TypeError, RecursionError, csv.Error):
            yield Entry({}, "", "")

    def _jsonl(self) -> Iterator[Entry]:
        with self.path.open(encoding="utf-8-sig") as file:
            while text := file.readline(LINE_MAX):
                self.line += 1
                if self.end is not None:
                    raise ValueError
                found = json.loads(text)
                if "end" in found:
                    self.end = found
                else:
                    yield _entry(found)

    def _csv(self) -> Iterator[Entry]:
        csv.field_size_limit(LINE_MAX)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, strict=True):
                self.line += 1
                yield _entry({name: _value(name, row[name]) for name in COLUMNS})


def _entry(found: dict[str, Any]) -> Entry:
    fields = FIELDS[found["version"]]
    if set(found) != {*fields, "hash", "mac"}:
        raise ValueError
    return Entry(
        {name: found[name] for name in fields}, str(found["hash"]), str(found["mac"])
    )


# --- Verifying ------------------------------------------------------------------------


def verify_file(path: Path) -> Verdict:
    """Verify an export without the database; NotAnExport if it is none.

    Checked are every entry, the chain where entries follow each other, the signatures
    where a key is set, the checkpoints where there is a file of them, and the end.
    """
    begin = time.monotonic()
    export, notes = Export(path), list[str]()
    filters = _filters(export)
    checker = Checker(keyring(), lines(checkpoint_file(), notes), gaps=filters != {})
    seen = Summary(filters or {})
    bad = checker.check(_counted(export.entries(), seen))
    if bad is not None and bad.kind is Kind.UNREADABLE:
        text = f"Line {export.line} is no entry."
        bad = Bad(bad.number, Kind.UNREADABLE, text)
    bad = bad or _end(export, checker, seen, notes)
    return verdict(checker, bad, notes, begin)


def _counted(entries: Iterator[Entry], seen: Summary) -> Iterator[Entry]:
    for entry in entries:
        if entry.content:
            seen.count(entry)
        yield entry


def _filters(export: Export) -> dict[str, str] | None:
    """Return by what an export was filtered, {} for a whole one, None if unknown.

    It is told at the end, and must be known at the beginning.
    """
    if export.form == "csv":
        return None
    try:
        with export.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 65536))
            end = json.loads(file.read().splitlines()[-1])["end"]
        found = end["filters"]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return found if isinstance(found, dict) else None


def _end(
    export: Export, checker: Checker, seen: Summary, notes: list[str]
) -> Bad | None:
    """Compare what was read with what the last line tells."""
    if seen.filters:
        told = ", ".join(f"{name} {value}" for name, value in seen.filters.items())
        notes.append(
            f"Only a part was exported ({told}): what lies between is not here."
        )
    if export.form == "csv":
        notes.append(
            "CSV does not tell where it ends, nor what was left out of it: entries "
            "that are missing between or at the end are not found."
        )
        return None
    if export.end is None:
        return Bad(
            checker.newest + 1,
            Kind.CUT_OFF,
            "The last line, which tells how many entries there are, is missing.",
        )
    return _told(export.end, checker, seen)


def _told(end: dict[str, Any], checker: Checker, seen: Summary) -> Bad | None:
    told = end["end"]
    try:
        data = canonical(told)
        key, until = told["key"], str(told["time"])
        same = {name: told[name] for name in seen.data()} == seen.data()
    except (KeyError, TypeError, ValueError, RecursionError):
        return _bad_end(checker, "The last line is not what was written.")
    if digest(data) != end.get("hash"):
        return _bad_end(checker, "The last line is not what was written.")
    if not same:
        return Bad(
            checker.newest + 1,
            Kind.REMOVED,
            f"The last line tells of {told['entries']} entries up to "
            f"{told['newest']}; here are {seen.entries} up to {seen.newest}.",
        )
    if not _signed(end, key, data, checker.keys, signed=bool(checker.signed)):
        return _bad_end(checker, "The last line was not signed with the key.")
    return None if seen.filters else checker.cut_off(until)


def _signed(
    end: dict[str, Any], key: str, data: bytes, keys: Keyring, *, signed: bool
) -> bool:
    """Tell whether the last line is signed, where that can and must be so."""
    if not keys.keys:
        return True
    if not key:
        return not signed
    return keys.vouches(key, data, end.get("mac", ""))


def _bad_end(checker: Checker, text: str) -> Bad:
    return Bad(checker.newest + 1, Kind.EDITED, text)
