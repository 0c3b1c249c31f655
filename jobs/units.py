"""Sizes, bandwidths, times and versions as people write them.

Inside it is always bytes and seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from jobs.said import Figure, say

_FACTORS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _FACTORS[f"{_letter}ib"] = _FACTORS[_letter] = 1024**_power
    _FACTORS[f"{_letter}b"] = 1000**_power
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*?)(?:/s|ps)?", re.IGNORECASE)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:\d{1,9}[dhms]\s*)+|\d{1,9}", re.IGNORECASE | re.ASCII)
LONGEST = 2**31 - 1  # seconds; what the database keeps
_UNITS = ("", "KiB", "MiB", "GiB", "TiB", "PiB")


def parse_bytes(text: str) -> int:
    """Return the bytes that `text` means: "100MiB", "1.5 GB/s", "64k", "4096".

    KiB and a bare k count 1024, kB counts 1000. ValueError with what to write instead.
    """
    match = _PATTERN.fullmatch(text.strip())
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(
            say(
                "“%(text)s” is no size: write for example 100MiB, 1.5GB or plain "
                "bytes.",
                text=text,
            )
        )
    exact = Decimal(match[1]) * factor
    if 0 < exact < 1:
        raise ValueError(
            say("“%(text)s” is less than one byte: 0 means no limit.", text=text)
        )
    return int(exact)


def bytes_text(count: int | float | None) -> str:
    """Return a number of bytes as people read it, in powers of 1024."""
    if count is None:
        return say("unknown")
    value = float(count)
    unit = 0
    while abs(value) >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    if unit == 0 and round(value) == 1:
        return say("1 byte")
    if unit == 0:
        return say("%(count).0f bytes", count=value)
    figure = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return say("%(figure)s %(unit)s", figure=Figure(figure), unit=_UNITS[unit])


def bandwidth_text(bytes_per_second: int) -> str:
    """Return a bandwidth as people read it; 0 is no limit."""
    if not bytes_per_second:
        return say("unlimited")
    return say("%(bytes)s/s", bytes=bytes_text(bytes_per_second))


def rate_text(bytes_per_second: float | None) -> str:
    """Return a measured rate as people read it, "unknown" for None."""
    if bytes_per_second is None:
        return say("unknown")
    return say("%(bytes)s/s", bytes=bytes_text(bytes_per_second))


def parse_seconds(text: str) -> int:
    """Return the whole seconds that `text` means: "90", "10m", "2h", "1h 30m", "1d".

    ValueError with what to write instead.
    """
    written = text.strip()
    if _TIME.fullmatch(written):
        parts = re.findall(r"(\d+)([dhms]?)", written.lower())
        seconds = sum(int(count) * _SECONDS[unit or "s"] for count, unit in parts)
        if seconds <= LONGEST:
            return seconds
    raise ValueError(
        say(
            "“%(text)s” is no time: write for example 90, 10m, 2h or 1h 30m.", text=text
        )
    )


def seconds_text(seconds: int) -> str:
    """Return whole seconds as `parse_seconds` takes them: "1h 30m"; "0s" for none."""
    parts = []
    for unit, length in _SECONDS.items():
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def next_moment(hour: time, day: date | None, zone: tzinfo, now: datetime) -> datetime:
    """Return when a clock in `zone` shows `hour` on `day`, else the next time after
    `now`; in UTC.

    An hour that the change to summer time leaves out is what the clock shows instead
    (03:30 for 02:30), and of an hour that comes twice it is the first.
    """
    if day is not None:
        return _on(day, hour, zone)
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(3))
    return next(moment for each in days if (moment := _on(each, hour, zone)) > now)


def _on(day: date, hour: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)


def rough_text(seconds: float) -> str:
    """Return a duration as an estimate: "8 s", "5 min", "3 h 20 min", "2 days"."""
    if seconds < 60:
        return say("%(seconds)d s", seconds=int(seconds))
    minutes = int(seconds // 60)
    if minutes < 60:
        return say("%(minutes)d min", minutes=minutes)
    hours, minute = divmod(minutes, 60)
    if hours < 10 and minute:
        return say("%(hours)d h %(minutes)d min", hours=hours, minutes=minute)
    if hours < 48:
        return say("%(hours)d h", hours=hours)
    return say("%(days)d days", days=hours // 24)


def version_text(number: int) -> str:
    """Return a version as people write it; libvirt numbers 9.1.2 as 9001002."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
