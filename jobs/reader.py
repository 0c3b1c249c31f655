"""The language of whoever reads the page that is being made, as Django knows it."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.formats import get_format
from django.utils.translation import gettext, ngettext

__all__ = ["decimal_point", "gettext", "moment", "ngettext"]


def decimal_point() -> str:
    """Return what stands between a number's whole part and the rest."""
    return str(get_format("DECIMAL_SEPARATOR"))


def moment(at: datetime) -> str:
    """Return a time to the minute, in the reader's zone and with its name."""
    order = str(get_format("SHORT_DATETIME_FORMAT")).replace(":s", "")
    name = timezone.get_current_timezone_name()
    return f"{format_date(timezone.localtime(at), order)} {name}"
