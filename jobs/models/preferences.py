"""How one person wants the console to be, on whichever machine."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Preferences(models.Model):
    """What a user has chosen; an empty text leaves it to the browser."""

    class Appearance(models.TextChoices):
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")
        SYSTEM = "system", _("System")

    class Density(models.TextChoices):
        COMFORTABLE = "comfortable", _("Comfortable")
        COMPACT = "compact", _("Compact")

    class Scope(models.TextChoices):
        ALL = "all", _("All copies")
        MINE = "mine", _("Those that I asked for")

    class News(models.TextChoices):
        """What may happen to a copy that its people want to know."""

        WAITING = "waiting", _("in sync, waits for a decision")
        FAILED = "failed", _("failed or lost")
        ENDED = "ended", _("pivoted, copied or cancelled")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="preferences",
    )
    appearance = models.CharField(max_length=6, choices=Appearance, blank=True)
    density = models.CharField(max_length=11, choices=Density, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=10, blank=True)
    # Letters without a modifier get in the way of who speaks to the machine.
    shortcuts = models.BooleanField(default=True)

    # What the person is told of, wherever on the console they are.
    tell_waiting = models.BooleanField(default=True)
    tell_failed = models.BooleanField(default=True)
    tell_ended = models.BooleanField(default=True)
    told_of = models.CharField(max_length=4, choices=Scope, default=Scope.ALL)
    toasts = models.BooleanField(default=True)
    notifications = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"preferences of {self.user}"

    @property
    def zone(self) -> ZoneInfo | None:
        """The chosen time zone; None for the browser's, or one that is not known."""
        if not self.time_zone:
            return None
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return None

    def wants(self, news: News, by: int | None) -> bool:
        """Tell whether the person is told `news` of a copy that the user `by` asked
        for."""
        if self.told_of == self.Scope.MINE and by != self.user_id:
            return False
        return bool(getattr(self, f"tell_{news}"))
