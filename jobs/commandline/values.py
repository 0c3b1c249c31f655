"""What single words of a command line mean; ArgumentTypeError says what to write."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from math import isfinite
from typing import Any

from jobs.hypervisor import Secret, Server
from jobs.units import next_moment, parse_bytes, parse_seconds

_HOUR = re.compile(r"\d\d:\d\d")


def _value(parse: Callable[[str], Any], ok: Callable[[Any], bool], what: str) -> Any:
    def convert(text: str) -> Any:
        try:
            value = parse(text)
        except ValueError:
            value = None
        if value is None or not ok(value):
            raise argparse.ArgumentTypeError(f"“{text}” is not {what}.")
        return value

    return convert


seconds = _value(
    float, lambda value: isfinite(value) and value > 0, "a number of seconds above 0"
)
count = _value(int, lambda value: value > 0, "a whole number above 0")


def moment(text: str) -> datetime:
    """Return the time that "2026-11-23" or "2026-11-23T14:05+01:00" means, in UTC."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"“{text}” is no time: write 2026-11-23 or 2026-11-23T14:05, in UTC, or "
            "with an offset such as +01:00."
        ) from None


def start_time(text: str) -> datetime:
    """Return the time that "02:00" means, the next one; or "2026-11-27T02:00+01:00".

    In UTC where the text has no offset.
    """
    if not _HOUR.fullmatch(text):
        return moment(text)
    try:
        hour = time.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is no time of a day.") from error
    return next_moment(hour, None, UTC, datetime.now(tz=UTC))


def size(text: str) -> int:
    """Return the bytes that "100MiB" means."""
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def limit(text: str) -> int:
    """Return the seconds that "10m" means; 0 is no limit."""
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def server(text: str) -> Server:
    """Return the server that "HOST", "HOST:PORT" or "[IPv6]:PORT" names, unchecked."""
    name, port = _host_and_port(text)
    if not name or (port and not (port.isascii() and port.isdigit())):
        raise argparse.ArgumentTypeError(
            f"“{text}” is no server: write HOST, HOST:PORT or [IPv6]:PORT."
        )
    return Server(name=name, port=int(port) if port else None)


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return (name, rest[1:]) if rest[:1] in ("", ":") else ("", "")
    name, _, port = text.partition(":")
    return (name, port) if port or ":" not in text else ("", "")


def secret(text: str) -> Secret:
    """Return the libvirt secret "uuid:…" or "usage:…" refers to."""
    how, _, which = text.partition(":")
    if how not in ("uuid", "usage") or not which:
        raise argparse.ArgumentTypeError(
            f"“{text}” names no secret: write uuid:UUID or usage:NAME, as "
            "“virsh secret-list” on the host shows them."
        )
    return Secret(**{how: which})


def part(text: str) -> tuple[int, int]:
    """Return offset and size of the slice "OFFSET:SIZE", in bytes."""
    offset, colon, length = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(
            f"“{text}” is no slice: write OFFSET:SIZE, such as 0:10GiB."
        )
    whole = size(length)
    if not whole:
        raise argparse.ArgumentTypeError("A slice of 0 bytes holds nothing.")
    return size(offset), whole
