"""Django's database backends, with one thing more: audit entries get their place in the
chain right before COMMIT.

The place can only be given under a lock that all writers share. Taken here it is the
last lock of every transaction, whatever the transaction did before and in which order,
so that it can be part of no deadlock; and it is held only while the commit lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Base
else:
    _Base = object


class SealingWrapper(_Base):
    """What both backends do beside Django's own."""

    # Numbers of the audit entries that this transaction appended.
    unsealed: set[int]

    def connect(self) -> None:
        """Connect; a new connection has nothing to seal."""
        self.unsealed = set()
        super().connect()

    def _commit(self) -> None:
        appended, self.unsealed = self.unsealed, set()
        if appended:
            # Models can't be imported when Django loads its backends.
            from jobs.audit.sealing import seal

            try:
                seal(self, appended)
            except BaseException:
                # Django rolls back on database errors only: after a Ctrl-C in here
                # SQLite would commit the act with an entry that has no place.
                self._rollback()
                raise
        super()._commit()  # type: ignore[misc]

    def _rollback(self) -> None:
        self.unsealed = set()
        super()._rollback()  # type: ignore[misc]
