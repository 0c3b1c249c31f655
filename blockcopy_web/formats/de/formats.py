"""Moments in German, to the second, as logs tell them."""

from __future__ import annotations

SHORT_DATETIME_FORMAT = "d.m.Y H:i:s"
