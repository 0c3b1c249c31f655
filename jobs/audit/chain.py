"""The form of the chain: what of an entry is hashed and signed, and how.

It knows no database, so that an export is verified by the same code. What a version
hashes never changes: entries of that version are verified for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple

GENESIS = "0" * 64  # what the first entry names as the hash of the one before
VERSION = 1
# What the hash of an entry covers, by the version of its form.
FIELDS: dict[int, tuple[str, ...]] = {
    1: (
        *("action", "actor", "actor_id", "address", "channel", "detail", "id"),
        *("intent", "key", "number", "object_id", "object_text", "object_type"),
        *("outcome", "previous", "reason", "request_id", "time", "version"),
    )
}

Content = dict[str, Any]


class Link(NamedTuple):
    """The newest entry, as the next one must know it."""

    number: int
    hash: str
    key: str


class Entry(NamedTuple):
    """An entry as it is verified: its content, and what vouches for it."""

    content: Content
    hash: str
    mac: str


@dataclass(frozen=True)
class Keyring:
    """The keys that sign entries, by their names; new entries take the first."""

    keys: Mapping[str, bytes]

    @classmethod
    def of(cls, text: str) -> Keyring:
        """Return the keys in `text`, between white space, the newest first."""
        return cls({key_name(word.encode()): word.encode() for word in text.split()})

    @property
    def current(self) -> str:
        """The name of the key that signs now; empty if there is none."""
        return next(iter(self.keys), "")

    def sign(self, key: str, data: bytes) -> str:
        """Return the HMAC of `data` in hexadecimal; empty without a key."""
        return hmac.digest(self.keys[key], data, "sha256").hex() if key else ""

    def vouches(self, key: str, data: bytes, mac: str) -> bool:
        """Tell whether `mac` was made of `data` with the key of that name."""
        known = key in self.keys and isinstance(mac, str) and mac.isascii()
        return known and hmac.compare_digest(self.sign(key, data), mac)


def key_name(key: bytes) -> str:
    """Return the name of a key: eight hexadecimal digits that do not betray it."""
    return hmac.digest(key, b"name of an audit key", "sha256").hex()[:8]


def content(values: Mapping[str, Any]) -> Content:
    """Return what is hashed of an entry's columns; KeyError for an unknown version."""
    found = {name: values[name] for name in FIELDS[values["version"]]}
    found["time"] = time_text(found["time"])
    if found["address"] is not None:
        found["address"] = address_text(found["address"])
    return found


def time_text(time: datetime) -> str:
    """Return a time as the chain writes it: UTC, to the microsecond."""
    return (
        f"{time.astimezone(UTC).replace(tzinfo=None).isoformat('T', 'microseconds')}Z"
    )


@lru_cache(maxsize=1024)
def address_text(address: str) -> str:
    """Return an IP address in the one form that no database writes otherwise.

    IPv6 in eight groups of four digits: PostgreSQL and Python shorten differently.
    """
    return ip_address(address).exploded


_encoder = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return canonical JSON: keys sorted, no white space, UTF-8 (as RFC 8785).

    TypeError or ValueError for what the chain can't hold.
    """
    return _encoder.encode(content).encode()


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sealed(
    values: Mapping[str, Any],
    last: Link | None,
    keys: Keyring,
    version: int = VERSION,
) -> Entry:
    """Return the entry that follows `last` with these `values` of its columns."""
    made = content(
        {
            **values,
            "version": version,
            "number": last.number + 1 if last else 1,
            "previous": last.hash if last else GENESIS,
            "key": keys.current,
        }
    )
    data = canonical(made)
    return Entry(made, digest(data), keys.sign(keys.current, data))
