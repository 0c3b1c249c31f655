"""Times, ages and durations as people read them. `static/console/clock.js` says the
same in the browser, where they go on while the page stands."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from jobs.units import rough_text


def seconds_since(moment: datetime) -> float:
    """Return the seconds since `moment`; never negative."""
    return max(0.0, (timezone.now() - moment).total_seconds())


def duration_text(seconds: float) -> str:
    """Return a duration exactly: "0:07", "12:31", "1:02:31", "2 d 3:04:05"."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour}:{minute:02}:{second:02}"
    if hours:
        return f"{hour}:{minute:02}:{second:02}"
    return f"{minute}:{second:02}"


def ago_text(seconds: float) -> str:
    """Return an age: "just now", "12 s ago", "5 min ago", "2 days ago"."""
    if seconds < 2:
        return "just now"
    return f"{rough_text(seconds)} ago"
