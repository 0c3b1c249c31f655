"""Times, ages and durations as people read them. `static/console/clock.js` says the
same in the browser, where they go on while the page stands."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache

from django.utils import timezone
from django.utils.formats import get_format
from django.utils.translation import gettext as _

from jobs.said import localized
from jobs.units import rough_text


def seconds_since(moment: datetime) -> float:
    """Return the seconds since `moment`; never negative."""
    return max(0.0, (timezone.now() - moment).total_seconds())


def seconds_until(moment: datetime) -> float:
    """Return the seconds until `moment`; never negative."""
    return max(0.0, (moment - timezone.now()).total_seconds())


def duration_text(seconds: float) -> str:
    """Return a duration exactly: "0:07", "12:31", "1:02:31", "2 d 3:04:05"."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        clock = f"{hour}:{minute:02}:{second:02}"
        return _("%(days)s d %(clock)s") % {"days": days, "clock": clock}
    if hours:
        return f"{hour}:{minute:02}:{second:02}"
    return f"{minute}:{second:02}"


def ago_text(seconds: float) -> str:
    """Return an age: "just now", "12 s ago", "5 min ago", "2 days ago"."""
    if seconds < 2:
        return _("just now")
    return _("%(time)s ago") % {"time": localized(rough_text(seconds))}


def as_of_text(seconds: float) -> str:
    """Return how old a number is: "as of 12 s ago"."""
    return _("as of %(ago)s") % {"ago": ago_text(seconds)}


def moment_text(moment: datetime) -> str:
    """Return a point in time in its own zone, in the reader's order, to the second."""
    return _written(str(get_format("SHORT_DATETIME_FORMAT"))).format(moment)


@cache
def _written(pattern: str) -> str:
    """A pattern of Django's that is all digits, as those in blockcopy_web.formats are,
    for str.format: a list has a hundred moments, and Django reads it for each anew."""
    return re.sub("[a-zA-Z]", lambda letter: _LETTERS[letter[0]], pattern)


_LETTERS = {
    **{"Y": "{0.year:04}", "m": "{0.month:02}", "d": "{0.day:02}"},
    **{"H": "{0.hour:02}", "i": "{0.minute:02}", "s": "{0.second:02}"},
}


def until_text(seconds: float) -> str:
    """Return what is left: "in 2 h 14 min", "in 5 s", "now"."""
    if seconds < 1:
        return _("now")
    return _("in %(duration)s") % {"duration": localized(rough_text(seconds))}
