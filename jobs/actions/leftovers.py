"""Removing what a job left on a host's storage: asked for here, done by a worker."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from jobs import audit
from jobs.actions.refusal import NotPossible, must, refuse
from jobs.actor import Actor
from jobs.audit import Outcome
from jobs.leftovers import uses_of
from jobs.models import Host, Leftover
from jobs.names import alone
from jobs.said import joined, listed, say, say_many
from jobs.transition import tell
from jobs.units import bytes_text

REMOVE_PERMISSION = "jobs.remove_leftover"

_WHAT_IS_LOST = {
    Leftover.Kind.SOURCE: say("With it goes the disk as it was before the pivot."),
    Leftover.Kind.COPY: say("With it goes the copy of the disk at that moment."),
    Leftover.Kind.UNCERTAIN: say(
        "Which file the guest used last is not known: it may be this one."
    ),
    Leftover.Kind.PARTIAL: "",
}


def removal_consequence(leftover: Leftover) -> str:
    """Return the sentence that tells what removing will do."""
    return joined(
        _is_deleted(leftover),
        _WHAT_IS_LOST[Leftover.Kind(leftover.kind)],
        say(
            "Before that every host is asked once more: if anything uses it, or one "
            "host does not answer, nothing is deleted."
        ),
    )


def _is_deleted(leftover: Leftover) -> str:
    words = {"location": alone(leftover.location), "host": leftover.host_name}
    if leftover.bytes is None:
        return say("%(location)s is deleted on %(host)s for good.", **words)
    return say(
        "%(location)s, %(size)s, is deleted on %(host)s for good.",
        size=bytes_text(leftover.bytes),
        **words,
    )


def removal_why_not(leftover: Leftover, actor: Actor | None = None) -> str:
    """Return why the removal can't be asked for now, or an empty string."""
    if actor is not None and not actor.may(REMOVE_PERMISSION):
        return say("Your role does not allow you to remove a leftover.")
    if leftover.removed_at is not None:
        return leftover.closing or say("It is removed already.")
    if leftover.removal_asked_at is not None:
        return say(
            "Its removal was asked for by %(who)s already.",
            who=leftover.removal_asked_by,
        )
    if leftover.storage_kind == "network":
        return say(
            "It lies on a server that libvirt can't delete from; remove it there."
        )
    if leftover.measured_at is None:
        return say("The host has not told yet what lies there; wait a moment.")
    return _in_use(leftover) or _silent_hosts(leftover)


def _in_use(leftover: Leftover) -> str:
    users = uses_of([leftover]).get(leftover.pk)
    return say("It is used by %(users)s.", users=listed(users)) if users else ""


def _silent_hosts(leftover: Leftover) -> str:
    if not leftover.host.enabled:
        return say("%(host)s is disabled; enable it first.", host=leftover.host)
    names = Host.objects.filter(enabled=True).exclude(error="")
    silent = list(names.values_list("name", flat=True))
    if not silent:
        return ""
    return say_many(
        "Whether anything uses it is not known: %(silent)s does not answer.",
        "Whether anything uses it is not known: %(silent)s do not answer.",
        len(silent),
        silent=", ".join(silent),
    )


def remove_leftover(leftover: Leftover, actor: Actor, reason: str = "") -> None:
    """Ask for a leftover to be removed once it is proven that nothing uses it.

    Denied or NotPossible (also when somebody else was first), with a refused entry in
    the audit log.
    """
    action = "remove leftover"
    why_not = removal_why_not(leftover, actor)
    must(actor, REMOVE_PERMISSION, action, leftover, why_not, reason)
    now = timezone.now()
    asked = {
        "removal_asked_at": now,
        "removal_asked_by": actor.name,
        "removal_reason": reason,
        "refusal": "",
    }
    with transaction.atomic():
        rows = Leftover.objects.there().filter(pk=leftover.pk, removal_asked_at=None)
        if rows.update(**asked) == 1:
            intent = removal_consequence(leftover)
            for name, value in asked.items():
                setattr(leftover, name, value)
            audit.record(
                actor, action, leftover, Outcome.ASKED, intent=intent, reason=reason
            )
            words = f"The removal of {leftover} was asked for by {actor.name}."
            tell(leftover.job, words, actor=actor)
            return
    leftover.refresh_from_db()
    refuse(actor, action, leftover, NotPossible(removal_why_not(leftover)), reason)


def withdrawal_why_not(leftover: Leftover, actor: Actor | None = None) -> str:
    """Return why a removal can't be withdrawn now, or an empty string."""
    if actor is not None and not actor.may(REMOVE_PERMISSION):
        return say("Your role does not allow you to withdraw a removal.")
    if leftover.removed_at is not None:
        return leftover.closing or say("It is removed already.")
    if leftover.removal_asked_at is None:
        return say("Its removal is not asked for.")
    if leftover.removing_at is not None:
        return say("The host is deleting it already.")
    return ""


def withdraw_removal(leftover: Leftover, actor: Actor, reason: str = "") -> None:
    """Take a removal back that is still waiting for its proof.

    Denied or NotPossible (also when the deletion has begun), with a refused entry in
    the audit log.
    """
    action = "withdraw removal"
    why_not = withdrawal_why_not(leftover, actor)
    must(actor, REMOVE_PERMISSION, action, leftover, why_not, reason)
    with transaction.atomic():
        waiting = Leftover.objects.to_remove().filter(pk=leftover.pk, removing_at=None)
        if waiting.update(removal_asked_at=None) == 1:
            leftover.removal_asked_at = None
            audit.record(actor, action, leftover, Outcome.DONE, reason=reason)
            words = f"The removal of {leftover} was withdrawn by {actor.name}."
            tell(leftover.job, words, actor=actor)
            return
    leftover.refresh_from_db()
    why_not = withdrawal_why_not(leftover) or say("Somebody was first.")
    refuse(actor, action, leftover, NotPossible(why_not), reason)
