"""What a transition made by the system says: fields, history line, audit entry."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from jobs import live
from jobs.audit import Outcome
from jobs.hypervisor import HypervisorError
from jobs.lifecycle import ENDED, State
from jobs.models import CopyJob
from jobs.models.job import Consistency
from jobs.resolve import Side
from jobs.said import say
from jobs.transition import Level
from jobs.units import bytes_text

_VERB_OF = {
    State.PIVOTING: "pivot",
    State.PIVOTED: "pivot",
    State.FINISHING: "finish",
    State.COPIED: "finish",
    State.CANCELLING: "cancel",
    State.CANCELLED: "cancel",
    State.STARTING: "start",
}


def history_level(new: State, *, by_us: bool) -> Level:
    """Return how loud the history line of a transition to `new` is."""
    if new in (State.FAILED, State.LOST):
        return Level.ERROR
    return Level.INFO if by_us else Level.WARNING


def system_entry(
    old: State,
    new: State,
    message: str,
    *,
    by_us: bool,
    begun: bool,
    repeated: bool = False,
) -> dict[str, Any] | None:
    """Return the audit entry for a transition that the system made, if it was an act.

    Becoming ready is no act; endings and failures are, and a beginning, unless the
    copy has `begun` already: an accepted start has its entry. A policy that is tried
    again, or refused in the same words (`repeated`), has its entries already.
    """
    if repeated:
        return None
    if old == State.STARTING and new in (State.COPYING, State.MIRRORING):
        if begun:
            return None
        action, outcome = "start", Outcome.DONE
    elif new in (State.PIVOTING, State.FINISHING):
        action, outcome = _VERB_OF[new], Outcome.ASKED
    elif new in (State.FAILED, State.LOST):
        action, outcome = _VERB_OF.get(old, "copy"), Outcome.FAILED
    elif new == State.MIRRORING and old in _VERB_OF:
        action, outcome = _VERB_OF[old], Outcome.FAILED
    elif new in ENDED:
        action, outcome = _VERB_OF[new], Outcome.DONE
    else:
        return None
    detail = message if by_us else f"{message} Not by this console."
    return {"action": action, "outcome": outcome, "detail": detail}


def ending_fields(
    job: CopyJob,
    new: State,
    message: str,
    remedy: str,
    error: HypervisorError | None,
    side: Side,
) -> dict[str, Any]:
    """Return the fields that go with a transition to `new`."""
    now = timezone.now()
    fields: dict[str, Any] = {"seen_at": now}
    if new == State.MIRRORING and job.ready_at is None:
        fields["ready_at"] = now
    if new in (State.PIVOTING, State.FINISHING):
        fields |= {"ending_at": now, **without_stale_evidence(job)}
    if new == State.MIRRORING and job.state in (State.PIVOTING, State.FINISHING):
        fields["refusals"] = job.refusals + 1
        fields["consistency"] = ""
    if new == State.MIRRORING and job.state == State.CANCELLING:
        fields["flagged"] = ""  # a limit's; it has no hold on a mirroring copy
    if new == State.COPIED:
        fields["consistency"] = job.consistency or Consistency.CRASH
    if new in ENDED:
        fields |= {"ended_at": now, "left_behind": left_behind(job, new, side)}
        fields["doubted"] = side == Side.DOUBTED
    if new in (State.FAILED, State.LOST):
        fields |= {
            "failure": message,
            "remedy": remedy or (error.remedy if error else ""),
        }
    if error is not None:
        fields |= {"libvirt_code": error.code, "libvirt_text": error.text}
    return fields


def without_stale_evidence(job: CopyJob) -> dict[str, str]:
    """Return what an intent to end does away with: the end of an earlier mirror.

    Somebody may have ended ours and begun another to the same place before anybody
    looked; that says nothing of how this one will end. A failure is kept, since it
    carries its reason.
    """
    return {"last_event": ""} if job.last_event == "canceled" else {}


def left_behind(job: CopyJob, new: State, side: Side) -> str:
    """Say what stays on the host's storage; libvirt deletes nothing by itself.

    Whatever the guest may run from is never called a leftover.
    """
    if job.libvirt_id is None:
        return ""
    where = {"destination": job.destination, "host": job.host_name}
    sized = {**where, "size": _size(job)}
    if not side.is_known:
        return say(
            "%(source)s and %(destination)s both stay on %(host)s; which of them the "
            "guest used last is not known.",
            source=job.source,
            **where,
        )
    if side == Side.DESTINATION:
        return say(
            "The old source %(source)s (%(size)s) stays on %(host)s and goes stale.",
            source=job.source,
            size=_size(job),
            host=job.host_name,
        )
    if new == State.COPIED:
        return say(
            "%(destination)s (%(size)s) on %(host)s: a point-in-time copy, %(like)s.",
            like=Consistency(job.consistency or Consistency.CRASH).label,
            **sized,
        )
    if not job.begun:
        return say(
            "Whether %(destination)s was created on %(host)s is not known.", **where
        )
    if job.ready_at is not None:
        return say(
            "%(destination)s (%(size)s) stays on %(host)s; it stopped following the "
            "guest and may be incomplete.",
            **sized,
        )
    progress = live.progress_of([job.pk]).get(job.pk)
    if progress is None:
        return say(
            "%(destination)s stays on %(host)s, partial (of a %(size)s).", **sized
        )
    return say(
        "%(destination)s stays on %(host)s, partial (about %(written)s of a %(size)s).",
        written=bytes_text(progress.current),
        **sized,
    )


def _size(job: CopyJob) -> str:
    if not job.capacity:
        return say("disk")
    return say("%(capacity)s disk", capacity=bytes_text(job.capacity))
