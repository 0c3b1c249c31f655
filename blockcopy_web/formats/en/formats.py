"""Moments in English: ISO 8601's order, the same to every reader of it."""

from __future__ import annotations

SHORT_DATETIME_FORMAT = "Y-m-d H:i:s"
# The administration's, which tell their zone.
DATETIME_FORMAT = "Y-m-d H:i:s T"
