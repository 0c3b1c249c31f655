"""Django's backend for SQLite that seals audit entries at the commit."""

from __future__ import annotations

from django.db.backends.sqlite3 import base

from blockcopy_web.database import SealingWrapper


class DatabaseWrapper(SealingWrapper, base.DatabaseWrapper):
    """A connection to SQLite."""
