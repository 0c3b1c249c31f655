"""The audit log: appending to it, and finding out whether it is whole.

There is no code that changes or deletes an entry, and the database refuses it
(`guard`). Every entry is chained to the one before at its commit (`chain`, `sealing`);
`log` and `verification` read the chain, `checkpoints` keep its end elsewhere, and
`exports` verify without a database.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import Model

from jobs.actor import Actor
from jobs.audit.log import last_verification
from jobs.audit.sealing import NotRecorded
from jobs.models import AuditEntry

__all__ = ["NotRecorded", "Outcome", "last_verification", "record"]

Outcome = AuditEntry.Outcome

# What no database stores as text: NUL (PostgreSQL), and halves of characters.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def record(
    actor: Actor,
    action: str,
    about: Model | None,
    outcome: AuditEntry.Outcome,
    *,
    intent: str = "",
    reason: str = "",
    detail: str = "",
) -> AuditEntry:
    """Append an entry; an act whose entry can't be written must not happen.

    Call it in the transaction of the act itself, at any point: the entry gets its place
    in the chain at the commit. NotRecorded, here or at the commit, when the database
    does not take it; the transaction is rolled back then, also if nobody cares.
    """
    texts = {
        "actor": actor.name,
        "channel": actor.channel,
        "request_id": actor.request_id,
        "action": action,
        # Django's own models are called something else in each language.
        "object_type": about._meta.verbose_name_raw if about else "",
        "object_id": str(about.pk) if about and about.pk else "",
        "object_text": str(about) if about else "",
        "intent": intent,
        "reason": reason,
        "outcome": outcome,
        "detail": detail,
    }
    entry = AuditEntry(
        actor_id=actor.user.pk if actor.user else None,
        address=_address(actor.address),
        **{name: _storable(name, text) for name, text in texts.items()},
    )
    _append(entry)
    return entry


def _append(entry: AuditEntry) -> None:
    try:
        # Without a savepoint of its own: an error here dooms the whole transaction.
        with transaction.atomic(savepoint=False):
            entry.save()
            _here().unsealed.add(entry.pk)
    except NotRecorded:
        raise
    except DatabaseError as error:
        raise NotRecorded(
            f"The audit entry could not be written, so nothing was done: {error}"
        ) from error


def _here() -> Any:
    """Return this thread's connection; its backend is one of blockcopy_web.database."""
    return connection


def _storable(name: str, text: str) -> str:
    """Return `text` as both databases store it in the column `name`."""
    shown = _UNSTORABLE.sub("�", str(text))
    longest = getattr(AuditEntry._meta.get_field(name), "max_length", None)
    if longest is None or len(shown) <= longest:
        return shown
    return f"{shown[: longest - 1]}…"


def _address(text: str | None) -> str | None:
    """Return an IP address without a zone, and IPv4 as such also within IPv6."""
    if text is None:
        return None
    address = ip_address(text.split("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
