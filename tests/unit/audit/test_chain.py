"""The form of the chain never changes: what was hashed verifies for ever."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jobs.audit.chain import (
    GENESIS,
    Keyring,
    Link,
    address_text,
    canonical,
    key_name,
    sealed,
    time_text,
)
from tests.unit.audit.tampering import KEY, OTHER_KEY

VALUES: dict[str, Any] = {
    "id": 42,
    "time": datetime(2026, 11, 23, 1, 2, 3, 4, tzinfo=UTC),
    "actor": "olga",
    "actor_id": 3,
    "channel": "console",
    "address": "2001:db8::7",
    "request_id": "4f1d",
    "action": "pivot",
    "object_type": "copy job",
    "object_id": "17",
    "object_text": "vda of “web” → /srv/é.qcow2",
    "intent": "web will run from /srv/é.qcow2.",
    "reason": 'ticket "4711"\n',
    "outcome": "asked",
    "detail": "",
}
TEXT = (
    '{"action":"pivot","actor":"olga","actor_id":3,'
    '"address":"2001:0db8:0000:0000:0000:0000:0000:0007","channel":"console",'
    '"detail":"","id":42,"intent":"web will run from /srv/é.qcow2.","key":"%s",'
    '"number":1,"object_id":"17","object_text":"vda of “web” → /srv/é.qcow2",'
    '"object_type":"copy job","outcome":"asked",'
    f'"previous":"{GENESIS}","reason":"ticket \\"4711\\"\\n","request_id":"4f1d",'
    '"time":"2026-11-23T01:02:03.000004Z","version":1}'
)


def test_the_first_version_is_written_so_for_ever() -> None:
    entry = sealed(VALUES, None, Keyring.of(""))
    assert canonical(entry.content).decode() == TEXT % ""
    assert entry.hash == hashlib.sha256((TEXT % "").encode()).hexdigest()
    assert entry.hash == (
        "26a03ab934217dc3285b7bdf1822af5b981e81777e7deec5f2f2a2abb609e29c"
    )
    assert entry.mac == ""


def test_a_signature_is_an_hmac_of_the_same_text() -> None:
    entry = sealed(VALUES, None, Keyring.of(KEY))
    data = (TEXT % key_name(KEY.encode())).encode()
    assert entry.mac == hmac.new(KEY.encode(), data, "sha256").hexdigest()
    assert entry.hash == hashlib.sha256(data).hexdigest()


def test_an_entry_names_the_one_before() -> None:
    entry = sealed(VALUES, Link(6, "ab" * 32, ""), Keyring.of(""))
    assert (entry.content["number"], entry.content["previous"]) == (7, "ab" * 32)


def test_a_time_is_written_in_utc() -> None:
    there = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert time_text(there) == "2025-12-31T23:30:00.000000Z"


@pytest.mark.parametrize(
    "address", ["::ffff:1.2.3.4", "::ffff:102:304", "0:0:0:0:0:FFFF:0102:0304"]
)
def test_an_address_has_one_text(address: str) -> None:
    assert address_text(address) == "0000:0000:0000:0000:0000:ffff:0102:0304"


@pytest.mark.parametrize("value", [b"bytes", 1.5e400, float("nan"), "\ud800", {1, 2}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical({"detail": value})


def test_the_first_key_signs_and_all_verify() -> None:
    keys = Keyring.of(f"  {OTHER_KEY}\n{KEY}\n")
    assert keys.current == key_name(OTHER_KEY.encode())
    for key in keys.keys:
        assert keys.vouches(key, b"text", keys.sign(key, b"text"))
        assert not keys.vouches(key, b"other", keys.sign(key, b"text"))
    assert not keys.vouches("unknown", b"text", "")
    assert not keys.vouches("", b"text", "")
    assert Keyring.of("").sign("", b"text") == ""
