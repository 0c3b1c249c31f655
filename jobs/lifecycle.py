"""The states of a copy job and the transitions that exist between them.

    requested -> queued -> starting -> copying -> mirroring -> pivoting  -> pivoted
                                                            -> finishing -> copied
    any of them but the ends -> cancelling -> cancelled | failed | lost

Pure: no database, no hypervisor. `jobs.transition` carries a transition out.
"""

from __future__ import annotations

from django.db import models

from jobs.said import say


class State(models.TextChoices):
    """Where a copy job stands."""

    REQUESTED = "requested", say("requested")
    QUEUED = "queued", say("queued")
    STARTING = "starting", say("starting")
    COPYING = "copying", say("copying")
    MIRRORING = "mirroring", say("mirroring")
    PIVOTING = "pivoting", say("pivoting")
    FINISHING = "finishing", say("finishing")
    CANCELLING = "cancelling", say("cancelling")
    PIVOTED = "pivoted", say("pivoted")
    COPIED = "copied", say("copied")
    CANCELLED = "cancelled", say("cancelled")
    FAILED = "failed", say("failed")
    LOST = "lost", say("lost")


class WhenReady(models.TextChoices):
    """What happens once source and destination are in sync."""

    WAIT = "wait", say("wait for a person")
    PIVOT = "pivot", say("pivot")
    FINISH = "finish", say("finish")


ENDED = frozenset(
    {State.PIVOTED, State.COPIED, State.CANCELLED, State.FAILED, State.LOST}
)
ACTIVE = frozenset(State) - ENDED
# States in which the hypervisor may hold a block job of ours.
ON_HOST = ACTIVE - {State.REQUESTED, State.QUEUED}
# A call to the hypervisor was decided on, and its outcome is not known yet.
CALLING = frozenset({State.STARTING, State.PIVOTING, State.FINISHING, State.CANCELLING})

_S = State
TRANSITIONS: dict[State, frozenset[State]] = {
    _S.REQUESTED: frozenset({_S.QUEUED, _S.CANCELLED, _S.FAILED}),
    _S.QUEUED: frozenset({_S.STARTING, _S.CANCELLED, _S.FAILED, _S.LOST}),
    _S.STARTING: frozenset(
        {_S.COPYING, _S.MIRRORING, _S.CANCELLING, _S.PIVOTED, _S.FAILED, _S.LOST}
    ),
    _S.COPYING: frozenset(
        {_S.MIRRORING, _S.CANCELLING, _S.PIVOTED, _S.FAILED, _S.LOST}
    ),
    _S.MIRRORING: frozenset(
        {_S.PIVOTING, _S.FINISHING, _S.CANCELLING, _S.PIVOTED, _S.FAILED, _S.LOST}
    ),
    # Back to mirroring when the hypervisor refused and the mirror still stands.
    _S.PIVOTING: frozenset({_S.PIVOTED, _S.MIRRORING, _S.FAILED, _S.LOST}),
    _S.FINISHING: frozenset({_S.COPIED, _S.MIRRORING, _S.PIVOTED, _S.FAILED, _S.LOST}),
    # Back to mirroring when it became ready before a limit could cancel it.
    _S.CANCELLING: frozenset(
        {_S.CANCELLED, _S.MIRRORING, _S.PIVOTED, _S.FAILED, _S.LOST}
    ),
    **{end: frozenset() for end in ENDED},
}


def is_legal(old: State, new: State) -> bool:
    """Tell whether a job may go from `old` to `new`."""
    return new in TRANSITIONS[old]
