"""Why an action was not carried out, told to the caller and to the audit log."""

from __future__ import annotations

from typing import NoReturn

from django.db.models import Model

from jobs import audit
from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.preflight import Finding
from jobs.said import joined


class ActionError(Exception):
    """An action was not carried out; the message says why and what to do."""

    @property
    def text(self) -> str:
        """The message, which pages tell in the reader's language."""
        said: str = self.args[0]
        return said


class Denied(ActionError):
    """The actor's role does not allow it."""


class NotPossible(ActionError):
    """The job's state does not allow it (any more)."""


class Invalid(ActionError):
    """The request makes no sense; `problems` says where and what to do."""

    def __init__(self, found: list[Finding]) -> None:
        self.problems = found
        super().__init__(joined(*(each.sentence for each in found)))


def must(
    actor: Actor, permission: str, action: str, about: Model, why_not: str, reason: str
) -> None:
    """Refuse, in the audit log too, unless the role allows it and `why_not` is ""."""
    if not actor.may(permission):
        refuse(actor, action, about, Denied(why_not), reason)
    if why_not:
        refuse(actor, action, about, NotPossible(why_not), reason)


def refuse(
    actor: Actor, action: str, about: Model, error: ActionError, reason: str
) -> NoReturn:
    """Write down that it was refused, and raise `error`."""
    audit.record(
        actor, action, about, Outcome.REFUSED, reason=reason, detail=str(error)
    )
    raise error
