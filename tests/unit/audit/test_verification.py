"""Whatever is done to the chain is found, and the first bad entry is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, models
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from jobs.audit import guard, last_verification
from jobs.audit.chain import FIELDS, GENESIS, Entry, Keyring, Link, sealed
from jobs.audit.log import entries, verify, verify_and_remember
from jobs.audit.verification import Bad, Checker, Kind
from jobs.models import AuditEntry
from tests.unit.audit import tampering
from tests.unit.audit.tampering import KEY, OTHER_KEY, append, link

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_far_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here moves far, and looking far takes a quarter of a second."""
    monkeypatch.setattr("jobs.audit.verification.FAR", 20)


TOLD = [name for name in FIELDS[1] if name not in ("id", "number", "version", "time")]


def first_bad() -> tuple[int | None, Kind]:
    bad = verify().bad
    assert bad is not None, "nothing was found"
    return bad.number, bad.kind


def test_a_whole_log_is_whole() -> None:
    append(7)
    found = verify()
    assert found.intact
    assert (found.entries, found.first, found.newest) == (7, 1, 7)
    assert found.hash == link(7).hash


def test_an_empty_log_is_whole() -> None:
    assert verify().intact


@pytest.mark.parametrize("at", [1, 4, 7])
@pytest.mark.parametrize(
    "change",
    [
        {"detail": "another"},
        {"actor": "nobody"},
        {"actor_id": 17},
        {"address": "192.0.2.1"},
        {"time": "2026-01-01 00:00:00+00:00"},
        {"id": 4711},
        {"hash": "0" * 64},
        {"hash": ""},
        {"version": 2},
        {"key": "01234567"},
    ],
)
def test_an_edited_entry_is_named(at: int, change: dict[str, Any]) -> None:
    append(7)
    tampering.edit(at, **change)
    assert first_bad() == (at, Kind.EDITED)


@pytest.mark.parametrize("at", [1, 4, 6])
def test_an_edited_entry_with_a_new_hash_is_named(at: int) -> None:
    append(7)
    tampering.edit(at, detail="another")
    tampering.rehash(at)
    assert first_bad() == (at, Kind.EDITED)


@pytest.mark.parametrize("at", [1, 4, 6])
def test_a_removed_entry_is_named(at: int) -> None:
    append(7)
    tampering.remove(at)
    assert first_bad() == (at, Kind.REMOVED)


@pytest.mark.parametrize("at", [1, 4])
def test_a_removed_entry_is_named_when_the_rest_moves_up(at: int) -> None:
    append(7)
    tampering.remove(at)
    tampering.renumber(at + 1, by=-1)
    assert first_bad() == (at, Kind.REMOVED)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 6), (2, 7)])
def test_exchanged_entries_are_named(one: int, other: int) -> None:
    append(7)
    tampering.exchange(one, other)
    assert first_bad() == (one, Kind.REORDERED)


@pytest.mark.parametrize("at", [1, 4, 7])
def test_an_inserted_entry_is_named(at: int) -> None:
    append(7)
    tampering.renumber(at, by=1)
    tampering.insert(at, link(at - 1) if at > 1 else None)
    assert first_bad() == (at, Kind.INSERTED)


def test_an_entry_that_the_console_did_not_write_is_named() -> None:
    append(2)
    tampering.execute(
        f"INSERT INTO {tampering.TABLE} (time, actor, channel, request_id, action, "
        "object_type, object_id, object_text, intent, reason, outcome, detail, version,"
        " previous, key, hash, mac) SELECT time, 'nobody', channel, request_id, action,"
        " object_type, object_id, object_text, intent, reason, outcome, detail, 1, "
        f"previous, key, hash, mac FROM {tampering.TABLE} WHERE number = 1"
    )
    bad = verify().bad
    assert bad is not None
    assert (bad.number, bad.kind) == (None, Kind.INSERTED)
    assert bad.entry == AuditEntry.objects.get(actor="nobody").pk
    append(1, first=3)  # the console goes on, and does not vouch for it
    assert verify().bad == bad


def test_pages_of_entries_are_read_without_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.audit.log.PAGE", 3)
    for count, first in ((6, 1), (1, 7)):
        append(count, first)
        assert verify().entries == first + count - 1
    tampering.edit(4, detail="another")
    assert first_bad() == (4, Kind.EDITED)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_two_entries_with_one_number_are_found(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Wherever a page ends between them."""
    monkeypatch.setattr("jobs.audit.log.PAGE", size)
    append(7)
    with without_unique_numbers():
        tampering.edit(5, number=4)
        assert len(list(entries(AuditEntry.objects.all()))) == 7
        number, _ = first_bad()
        assert number in (4, 5)
        tampering.remove(4)


@contextmanager
def without_unique_numbers() -> Iterator[None]:
    """Take the database's own promise away that no number is there twice."""
    field = AuditEntry._meta.get_field("number")
    other = models.BigIntegerField(null=True)
    other.set_attributes_from_name("number")
    with connection.schema_editor() as editor:
        editor.alter_field(AuditEntry, field, other)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.alter_field(AuditEntry, other, field)
        guard.install(connection)


def test_a_value_that_cannot_be_read_is_named() -> None:
    """SQLite stores anything anywhere."""
    append(7)
    if connection.vendor == "sqlite":
        tampering.edit(5, time="2026-13-45 77:00:00")
        assert first_bad() == (5, Kind.EDITED)
        tampering.edit(5, time="no time")
        assert first_bad() == (5, Kind.EDITED)
        tampering.edit(3, detail=b"\xff\xfe")
        assert first_bad() == (3, Kind.EDITED)
    else:
        tampering.edit(5, time="infinity")
        assert first_bad() == (5, Kind.EDITED)


# --- With a key -----------------------------------------------------------------------


@pytest.fixture
def key(settings: Any) -> str:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    return KEY


def test_a_log_written_anew_without_the_key_is_found(key: str) -> None:
    append(7)
    tampering.rewrite(4, detail="another")
    assert first_bad() == (4, Kind.UNSIGNED)


def test_a_log_written_anew_with_another_key_is_found(key: str) -> None:
    append(7)
    tampering.rewrite(4, OTHER_KEY, detail="another")
    assert first_bad() == (4, Kind.UNSIGNED)


def test_a_log_written_anew_from_the_beginning_is_found(key: str) -> None:
    append(7)
    tampering.rewrite(1, detail="another")
    assert first_bad() == (7, Kind.UNSIGNED)


def test_a_forged_signature_is_found(key: str) -> None:
    append(7)
    tampering.edit(4, mac="0" * 64)
    assert first_bad() == (4, Kind.EDITED)


def test_an_entry_appended_without_the_key_is_found(key: str) -> None:
    append(7)
    tampering.insert(8, link(7))
    assert first_bad() == (8, Kind.UNSIGNED)


def test_entries_from_before_the_key_are_no_fault(settings: Any) -> None:
    append(3)
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    assert first_bad() == (3, Kind.UNSIGNED)  # it is not known that the key is new
    append(3, first=4)
    found = verify()
    assert found.intact
    assert (found.signed, found.vouched) == (3, 3)


def test_without_the_key_it_is_told_that_nobody_looked(key: str, settings: Any) -> None:
    append(3)
    settings.BLOCKCOPY_AUDIT_KEY = ""
    found = verify()
    assert found.intact
    assert (found.signed, found.vouched) == (3, 0)
    assert "not checked" in " ".join(found.notes)


# --- Anything at all ------------------------------------------------------------------


def chain_of(texts: list[str], keys: Keyring) -> list[Entry]:
    made: list[Entry] = []
    last = None
    for number, text in enumerate(texts, start=1):
        values: dict[str, Any] = dict.fromkeys(FIELDS[1], text)
        values |= {"id": number, "actor_id": None, "address": None, "time": TIME}
        made.append(sealed(values, last, keys))
        last = Link(number, made[-1].hash, keys.current)
    return made


TIME = datetime(2026, 1, 1, tzinfo=UTC)
Change = Callable[[list[Entry], int, int], int]


def _drop(log: list[Entry], at: int, _: int) -> int:
    del log[at]
    return at + 1


def _double(log: list[Entry], at: int, _: int) -> int:
    log.insert(at, log[at])
    return at + 1


def _swap(log: list[Entry], at: int, other: int) -> int:
    log[at], log[other] = log[other], log[at]
    return min(at, other) + 1


def _edit(log: list[Entry], at: int, other: int) -> int:
    name = TOLD[other % len(TOLD)]
    changed = {**log[at].content, name: f"{log[at].content[name]}!"}
    log[at] = log[at]._replace(content=changed)
    return at + 1


@pytest.mark.parametrize("keys", ["", KEY])
@pytest.mark.parametrize("change", [_drop, _double, _swap, _edit])
@examples(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_change_is_found_at_its_place(
    data: st.DataObject, change: Change, keys: str
) -> None:
    texts = data.draw(st.lists(st.text(max_size=5), min_size=2, max_size=12))
    ring = Keyring.of(keys)
    log = chain_of(texts, ring)
    assert Checker(ring).check(log) is None
    # What is cut off at the very end only a checkpoint can tell.
    at = data.draw(st.integers(0, len(log) - 2))
    other = data.draw(st.integers(0, len(log) - 1).filter(lambda n: n != at))
    expected = change(log, at, other)
    bad = Checker(ring).check(log)
    assert isinstance(bad, Bad)
    assert bad.number == expected


def test_the_first_entry_follows_nothing() -> None:
    (entry,) = chain_of(["one"], Keyring.of(""))
    assert entry.content["previous"] == GENESIS
    other = sealed({**entry.content, "time": TIME}, Link(0, "f" * 64, ""), Keyring({}))
    bad = Checker(Keyring({})).check([other])
    assert bad is not None
    assert bad.number == 1


# --- Remembered -----------------------------------------------------------------------


def test_the_last_verification_is_kept_for_the_pages() -> None:
    assert last_verification() is None
    append(3)
    verify_and_remember()
    kept = last_verification()
    assert kept is not None
    assert (kept.intact, kept.entries, kept.newest) == (True, 3, 3)
    tampering.edit(2, detail="another")
    verify_and_remember()
    kept = last_verification()
    assert kept is not None
    assert (kept.intact, kept.first_bad) == (False, 2)
    assert "Entry 2 is the first bad one" in kept.text
