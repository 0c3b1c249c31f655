"""Every entry gets the next place at its commit, and what is undone leaves no gap."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from jobs import audit
from jobs.actor import SYSTEM, Actor
from jobs.audit import NotRecorded
from jobs.audit.chain import GENESIS, Keyring, canonical, digest
from jobs.audit.log import entries, verify
from jobs.models import AuditEntry, Host, Site
from tests.unit.audit.tampering import KEY, OTHER_KEY, append, read

pytestmark = pytest.mark.django_db(transaction=True)

DONE = audit.Outcome.DONE


def append_and_regret(number: int) -> None:
    """Append an entry of an act that is not done after all."""
    with transaction.atomic():
        append(1, number)
        transaction.set_rollback(True)


def numbers() -> list[tuple[int | None, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("number", "action"))


def test_each_entry_carries_its_number_and_the_hash_of_the_one_before() -> None:
    append(3)
    first, second, third = AuditEntry.objects.order_by("number")
    assert (first.number, second.number, third.number) == (1, 2, 3)
    assert first.previous == GENESIS
    assert second.previous == first.hash
    assert third.previous == second.hash
    assert [digest(canonical(told)) for told in read()] == [
        entry.hash for entry in (first, second, third)
    ]


def test_a_place_is_given_at_the_commit() -> None:
    with transaction.atomic():
        entry = audit.record(SYSTEM, "sync", None, DONE)
        assert AuditEntry.objects.get(pk=entry.pk).number is None
    assert AuditEntry.objects.get(pk=entry.pk).number == 1


def test_what_is_rolled_back_leaves_no_gap() -> None:
    append(1)
    append_and_regret(2)
    append(1, first=3)
    assert numbers() == [(1, "act 1"), (2, "act 3")]
    assert verify().intact


def test_what_a_savepoint_takes_back_leaves_no_gap() -> None:
    with transaction.atomic():
        append(1)
        append_and_regret(2)
        append(1, first=3)
    assert numbers() == [(1, "act 1"), (2, "act 3")]
    assert verify().intact


def test_several_entries_of_one_transaction_are_in_their_order() -> None:
    with transaction.atomic():
        append(5)
    assert numbers() == [(n, f"act {n}") for n in range(1, 6)]
    assert verify().entries == 5


def test_an_act_interrupted_while_it_is_sealed_did_not_happen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C is no database error; Django alone would let SQLite commit it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jobs.audit.sealing.write", interrupted)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            append(1)
    assert numbers() == []
    append(1, first=2)
    assert numbers() == [(1, "act 2")]
    assert verify().intact


def test_nothing_is_kept_for_the_next_transaction_of_a_lost_connection() -> None:
    with transaction.atomic():
        append(1)
        connection.set_rollback(True)
    append(1, first=2)
    assert numbers() == [(1, "act 2")]


# --- What is written ------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("192.0.2.7", "::1", "2001:db8::7", "::ffff:192.0.2.7", "::102:304"),
        *("fe80::1%eth0", "2001:db8:0:1:0:0:0:1", "1:0:2:3:4:5:6:7"),
    ],
)
def test_an_address_is_hashed_as_no_database_rewrites_it(address: str) -> None:
    actor = Actor(name="olga", channel="console", address=address)
    audit.record(actor, "sync", None, DONE)
    assert verify().intact


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NUL\0 in it",
        "half a character \ud83d",
        "line\r\nbreaks\u2028and\x1b[31m controls\x9b",
        "‮ backwards",
        "e\u0301 is not é",
        "🦀 " * 50,
        '"quoted" \\ and {"json": 1}',
        "x" * 200_000,
    ],
)
def test_every_text_can_be_written_and_verifies(text: str) -> None:
    actor = Actor(name=text, channel="console", request_id=text)
    audit.record(actor, text[:500], None, DONE, intent=text, reason=text, detail=text)
    entry = AuditEntry.objects.get()
    assert "\0" not in entry.reason
    assert len(entry.actor) <= 150
    assert verify().intact


def test_names_of_objects_are_texts_of_their_time(site: Site, olga: User) -> None:
    host = Host.objects.create(name="alder", site=site, transport="local")
    audit.record(SYSTEM, "sync", host, DONE)
    host.name = "birch"
    host.save()
    assert AuditEntry.objects.get().object_text == "alder"
    assert verify().intact


# --- Keys -----------------------------------------------------------------------------


def test_with_a_key_entries_are_signed(settings: Any) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(1)
    (entry,) = entries(AuditEntry.objects.all())
    keys = Keyring.of(KEY)
    assert entry.content["key"] == keys.current
    assert keys.vouches(keys.current, canonical(entry.content), entry.mac)
    assert KEY not in str(AuditEntry.objects.values())


def test_a_signed_log_takes_no_entry_without_a_signature(settings: Any) -> None:
    """A process that was not given the key must not break the chain of signatures."""
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(1)
    settings.BLOCKCOPY_AUDIT_KEY = ""
    with pytest.raises(NotRecorded, match="BLOCKCOPY_AUDIT_KEY"):
        append(1, first=2)
    assert numbers() == [(1, "act 1")]


def test_another_key_goes_on(settings: Any) -> None:
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(2)
    settings.BLOCKCOPY_AUDIT_KEY = f"{OTHER_KEY}\n{KEY}\n"
    append(2, first=3)
    found = verify()
    assert found.intact
    assert found.vouched == 4
    assert len(set(AuditEntry.objects.values_list("key", flat=True))) == 2
