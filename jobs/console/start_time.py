"""The part of a new copy that says when it starts: the next 02:00, or a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.actions import start_time_problems
from jobs.console import clock
from jobs.console.fields import DayField
from jobs.console.forms import Obstacle, prepare
from jobs.said import localized
from jobs.schedule import moment_text
from jobs.units import next_moment

# When most guests have least to do.
USUAL = time(2, 0)
HOUR = "%H:%M"


class StartTime(forms.Form):
    """When a copy starts that does not start at once. Always bound.

    A time without a day is the next one. Both are of the reader's zone: the one that
    they have chosen, else the browser's, which the page sends along as `zone`.
    """

    start_time = forms.TimeField(
        required=False,
        label=_("Start time"),
        input_formats=[HOUR, "%H:%M:%S"],
        widget=forms.TimeInput(attrs={"type": "time"}, format=HOUR),
        error_messages={"invalid": _("Write a time of the day, such as 02:00.")},
    )
    start_date = DayField(
        required=False,
        label=_("Day"),
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": _("Write a day, such as 2026-12-24.")},
    )
    zone = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, told: Mapping[str, Any]) -> None:
        here = timezone.get_current_timezone_name()
        usual = {"start_time": f"{USUAL:{HOUR}}", "zone": here}
        known = {name: told.get(name, usual.get(name, "")) for name in self.base_fields}
        super().__init__(known)
        self.start_at: datetime | None = None
        prepare(self)
        self.full_clean()

    def clean(self) -> dict[str, Any]:
        """Find the moment that is meant, and say what speaks against it."""
        given = self.cleaned_data
        hour, day = given.get("start_time"), given.get("start_date")
        if self.errors:
            return given
        if hour is None:
            self.add_error("start_time", _("Say at which time."))
            return given
        moment = next_moment(hour, day, self.reader_zone, timezone.now())
        with timezone.override(self.reader_zone):
            for found in start_time_problems(moment):
                told = replace(found, cause=localized(found.cause))
                self.add_error("start_date" if day else "start_time", Obstacle(told))
        self.start_at = moment
        return given

    @property
    def reader_zone(self) -> tzinfo:
        """The zone of the times; the current one for a name that is none."""
        try:
            return ZoneInfo(self.cleaned_data.get("zone", ""))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return timezone.get_current_timezone()

    # --- In words -------------------------------------------------------------------

    @property
    def hour_text(self) -> str:
        """The time for the button: "02:00"."""
        hour = self.cleaned_data.get("start_time")
        return "" if hour is None else f"{hour:{HOUR}}"

    @property
    def moment_text(self) -> str:
        """The moment in full: "2026-11-27 02:00 Europe/Berlin"; "" for none."""
        if self.start_at is None:
            return ""
        with timezone.override(self.reader_zone):
            return localized(moment_text(self.start_at))

    @property
    def ahead_text(self) -> str:
        """How far away it is: "in 2 h 14 min"; "" for none, or one that has passed."""
        if self.start_at is None or self.errors:
            return ""
        return clock.until_text(clock.seconds_until(self.start_at))
