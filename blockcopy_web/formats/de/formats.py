"""Moments in German, to the second, as logs tell them."""

from __future__ import annotations

SHORT_DATETIME_FORMAT = "d.m.Y H:i:s"
# The administration's, which tell their zone.
DATETIME_FORMAT = "d.m.Y H:i:s T"
