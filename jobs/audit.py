"""Appending to the audit log. There is no code that changes or deletes an entry."""

from __future__ import annotations

from django.db.models import Model

from jobs.actor import Actor
from jobs.models import AuditEntry

Outcome = AuditEntry.Outcome


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

    Call it in the transaction of the act itself. Errors of the database rise.
    """
    return AuditEntry.objects.create(
        actor=actor.name,
        actor_id=actor.user.pk if actor.user else None,
        channel=actor.channel,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        object_type=str(about._meta.verbose_name) if about else "",
        object_id=str(about.pk) if about and about.pk else "",
        object_text=str(about) if about else "",
        intent=intent,
        reason=reason,
        outcome=outcome,
        detail=detail,
    )
