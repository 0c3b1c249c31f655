"""An export tells everything, harms no spreadsheet, and verifies by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from jobs import audit
from jobs.actor import SYSTEM, Actor
from jobs.audit import checkpoints, exports
from jobs.audit.chain import FIELDS, Entry, Keyring
from jobs.audit.checkpoints import checkpoint
from jobs.audit.exports import COLUMNS, NotAnExport, _cell, _value, verify_file, write
from jobs.audit.log import entries
from jobs.audit.verification import Kind
from jobs.models import AuditEntry
from tests.unit.audit.tampering import KEY, append, link

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = [
    '=HYPERLINK("http://evil","click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "'quoted",
    "''",
    'a "b", c;d',
    "two\nlines\r\nand \u2028 more",
    "\x1b[31mred\x9b \u202e backwards",
    "C:\\new \\u{41} \\",
    "ünï 🦀",
    "",
    " ",
    "null",
]


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """Write an export of what is there, optionally of some entries only."""

    def made(form: str = "jsonl", **only: str) -> Path:
        path = tmp_path / f"export.{form}"
        found = entries(AuditEntry.objects.filter(**only))
        with path.open("w", encoding="utf-8", newline="") as file:
            write(found, file, form, only)
        return path

    return made


Export = Callable[..., Path]


def first_bad(path: Path) -> tuple[int | None, Kind]:
    bad = verify_file(path).bad
    assert bad is not None, "nothing was found"
    return bad.number, bad.kind


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def as_olga(number: int) -> None:
    actor = Actor(name="olga", channel="console", address="2001:db8::7")
    audit.record(actor, f"act {number}", None, audit.Outcome.DONE)


# --- Whole ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", exports.FORMATS)
@pytest.mark.parametrize("key", ["", KEY])
def test_an_export_verifies(export: Export, settings: Any, form: str, key: str) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = key
    append(3)
    as_olga(4)
    found = verify_file(export(form))
    assert found.intact, found.sentence
    assert (found.entries, found.first, found.newest) == (4, 1, 4)
    assert found.hash == link(4).hash
    assert found.vouched == (4 if key else 0)


@pytest.mark.parametrize("form", exports.FORMATS)
def test_an_export_of_nothing_verifies(export: Export, form: str) -> None:
    found = verify_file(export(form))
    assert found.intact
    assert found.entries == 0


@pytest.mark.parametrize("form", exports.FORMATS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_verify(export: Export, form: str, text: str) -> None:
    actor = Actor(name=text, channel="console")
    audit.record(actor, "sync", None, audit.Outcome.DONE, reason=text, detail=text)
    assert verify_file(export(form)).intact


def test_lines_are_json_of_what_was_hashed(export: Export) -> None:
    append(2)
    first, second, end = map(json.loads, lines_of(export()))
    assert set(first) == {*FIELDS[1], "hash", "mac"}
    assert (second["number"], second["previous"]) == (2, first["hash"])
    assert end["end"]["entries"] == 2
    assert end["end"]["hash"] == second["hash"]


def test_no_terminal_is_disturbed(export: Export) -> None:
    audit.record(SYSTEM, "a\x1b]0;b\x07\x9b\u202e", None, audit.Outcome.DONE)
    for form in exports.FORMATS:
        text = export(form).read_text()
        assert all(char.isprintable() or char in "\r\n" for char in text)


# --- CSV ------------------------------------------------------------------------------


def test_no_cell_is_a_formula(export: Export) -> None:
    for text in HOSTILE:
        actor = Actor(name=text, channel="console")
        audit.record(actor, text, None, audit.Outcome.DONE, reason=text, intent=text)
    rows = list(csv.reader(io.StringIO(export("csv").read_text())))
    assert rows[0] == list(COLUMNS)
    assert len(rows) == len(HOSTILE) + 1
    for row in rows:
        assert len(row) == len(COLUMNS)
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))


@examples(max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cell_can_be_read_back(text: str) -> None:
    cell = _cell(text)
    assert "\n" not in cell
    assert _value("detail", cell) == text


# --- Tampered with --------------------------------------------------------------------


@pytest.mark.parametrize("form", exports.FORMATS)
@pytest.mark.parametrize("at", [1, 4])
def test_an_edited_line_is_named(export: Export, form: str, at: int) -> None:
    append(7)
    path = export(form)
    path.write_text(path.read_text().replace(f"act {at}", "another"))
    assert first_bad(path) == (at, Kind.EDITED)


@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_removed_line_is_named(export: Export, at: int) -> None:
    append(7)
    path = export()
    lines = lines_of(path)
    del lines[at - 1]
    path.write_text("".join(lines))
    assert first_bad(path) == (at, Kind.REMOVED)


def test_exchanged_lines_are_named(export: Export) -> None:
    append(7)
    path = export()
    lines = lines_of(path)
    lines[2], lines[5] = lines[5], lines[2]
    path.write_text("".join(lines))
    assert first_bad(path) == (3, Kind.REORDERED)


@pytest.mark.parametrize("form", exports.FORMATS)
def test_a_doubled_line_is_named(export: Export, form: str) -> None:
    append(7)
    path = export(form)
    lines = lines_of(path)
    at = 4 if form == "csv" else 3
    lines.insert(at, lines[at])
    path.write_text("".join(lines))
    assert first_bad(path) == (4, Kind.INSERTED)


@pytest.mark.parametrize("left", [0, 1, 5, 7])
def test_a_cut_off_end_is_found(export: Export, left: int) -> None:
    append(7)
    path = export()
    path.write_text("".join(lines_of(path)[:left]) or "{")
    bad = verify_file(path).bad
    assert bad is not None
    assert bad.number == left + 1


def test_an_edited_last_line_is_found(export: Export, settings: Any) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(7)
    path = export()
    *lines, last = lines_of(path)
    end = json.loads(last)
    del lines[-1]
    end["end"] |= {"entries": 6, "newest": 6, "hash": link(6).hash}
    path.write_text("".join([*lines, json.dumps(end)]))
    assert first_bad(path) == (7, Kind.EDITED)


def test_a_last_line_made_without_the_key_is_found(
    export: Export, settings: Any, tmp_path: Path
) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(7)
    settings.BLOCKCOPY_AUDIT_KEY = ""
    shorter = export(number__lt="7")
    text = shorter.read_text().replace(
        '"filters": {"number__lt": "7"}', '"filters": {}'
    )
    with shorter.open("w") as file:
        write(map(_as_entry, text.splitlines()[:-1]), file, "jsonl", {})
    assert verify_file(shorter).intact  # nobody without the key can tell
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    assert first_bad(shorter) == (7, Kind.EDITED)


def _as_entry(line: str) -> Entry:
    told = json.loads(line)
    return Entry({n: told[n] for n in FIELDS[1]}, told["hash"], told["mac"])


@pytest.mark.parametrize(
    "line",
    [
        *("", "nonsense", "[]", "{}", "null", '{"version": 1}', '{"version": []}'),
        *('{"version": 99}', "[" * 100_000, '{"end": 1}', '{"end": {"entries": 1}}'),
    ],
)
def test_a_line_that_is_no_entry_is_named(export: Export, line: str) -> None:
    append(3)
    path = export()
    lines = lines_of(path)
    lines[1] = f"{line}\n"
    path.write_text("".join(lines))
    number, _ = first_bad(path)
    assert number == 2


# --- Parts ----------------------------------------------------------------------------


def test_a_part_verifies_as_a_part(export: Export) -> None:
    append(2)
    as_olga(3)
    append(2, first=4)
    as_olga(6)
    found = verify_file(export(actor="olga"))
    assert found.intact, found.sentence
    assert (found.entries, found.first, found.newest) == (2, 3, 6)
    assert "Only a part was exported (actor olga)" in " ".join(found.notes)


def test_what_is_removed_from_a_part_is_found(export: Export) -> None:
    for number in range(1, 7):
        as_olga(number)
        append(1, first=number)
    path = export(actor="olga")
    lines = lines_of(path)
    del lines[2]
    path.write_text("".join(lines))
    _, kind = first_bad(path)
    assert kind is Kind.REMOVED


def test_csv_says_what_it_cannot_tell(export: Export) -> None:
    append(7)
    path = export("csv")
    path.write_text("".join(lines_of(path)[:-2]))
    found = verify_file(path)
    assert found.intact
    assert "CSV does not tell where it ends" in " ".join(found.notes)


# --- Checkpoints ----------------------------------------------------------------------


def test_an_export_is_compared_with_checkpoints(
    export: Export, settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoints"
    settings.BLOCKCOPY_AUDIT_CHECKPOINTS = str(file)
    append(7)
    checkpoints.append(file, checkpoint(link(4), Keyring({})))
    path = export()
    append(3, first=8)
    checkpoints.append(file, checkpoint(link(9), Keyring({})))
    found = verify_file(path)  # entry 9 came after the export
    assert found.intact, found.sentence
    assert found.checked_to == 4
    file.write_text(file.read_text().replace(link(4).hash, link(5).hash))
    assert first_bad(path) == (4, Kind.EDITED)


def test_an_export_that_ends_before_a_checkpoint_is_found(
    export: Export, settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoints"
    append(7)
    checkpoints.append(file, checkpoint(link(7), Keyring({})))
    path = export()
    with path.open("w") as cut:
        write(entries(AuditEntry.objects.filter(number__lt=6)), cut, "jsonl", {})
    settings.BLOCKCOPY_AUDIT_CHECKPOINTS = str(file)
    assert first_bad(path) == (6, Kind.CUT_OFF)


# --- No export ------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"hello\n", b"number,time\n1,2\n", b"\xff\xfe"])
def test_what_is_no_export_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(NotAnExport):
        verify_file(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotAnExport, match="No such file"):
        verify_file(tmp_path / "nothing")
