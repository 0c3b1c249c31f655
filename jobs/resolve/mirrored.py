"""The mirror stands: what follows from it, ready or not."""

from __future__ import annotations

from jobs.hypervisor import Mirror
from jobs.lifecycle import State, WhenReady
from jobs.resolve.decision import NOTHING, Act, Decision, Record, failed
from jobs.resolve.unmirrored import on_source, unheard_pivot
from jobs.said import say

# An intent to pivot that nobody could carry out for so long is asked for again rather
# than carried out: the person who asked may no longer expect it. A policy stands.
PIVOT_INTENT_SECONDS = 600.0
# A policy that the host refused to carry out is tried again only after so long: after
# the first refusal, the second one, and so on.
POLICY_RETRY_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0)


def with_mirror(record: Record, mirror: Mirror, *, shutting_down: bool) -> Decision:
    """Return what follows from a mirror on the disk, ours or another."""
    if not mirror.destination:
        # libvirt shows an empty mirror for a few milliseconds while a job concludes.
        return NOTHING
    if mirror.destination != record.destination or mirror.job not in ("copy", ""):
        return failed(
            say(
                "Another block job is on this disk now: %(job)s to "
                "%(destination)s. It was left alone.",
                job=mirror.job or "copy",
                destination=mirror.destination,
            ),
        )
    if mirror.ready in ("pivot", "abort"):
        return _being_ended(record, mirror, shutting_down=shutting_down)
    return _ours(record, ready=mirror.is_ready)


def _being_ended(record: Record, mirror: Mirror, *, shutting_down: bool) -> Decision:
    """Return nothing, as a rule: the next look shows how.

    A daemon that is killed when it knows of the end, but has not written it down, shows
    the ending for ever.
    """
    if shutting_down or record.call_running or not record.quiet:
        return NOTHING
    if mirror.ready == "abort":
        return on_source(record, shutting_down=False)
    return unheard_pivot(
        say("libvirt shows a pivot under way, but QEMU has no such copy any more.")
    )


def _ours(record: Record, *, ready: bool) -> Decision:
    match record.state:
        case State.STARTING | State.COPYING:
            return _progressing(record, ready=ready)
        case State.MIRRORING:
            return _by_policy(record) if ready else NOTHING
        case State.PIVOTING:
            return _pivot_pending(record, ready=ready)
        case State.FINISHING if record.refused:
            return Decision(State.MIRRORING, reason=say("The host refused to finish."))
        case State.CANCELLING if record.by_limit and ready and not record.call_running:
            return Decision(
                State.MIRRORING,
                reason=say(
                    "The copy became ready before the limit cancelled it; limits "
                    "are for copies that are not."
                ),
            )
        case State.FINISHING | State.CANCELLING if not record.call_running:
            return Decision(act=Act.END)
    return NOTHING


def _progressing(record: Record, *, ready: bool) -> Decision:
    if ready:
        return Decision(
            State.MIRRORING, reason=say("Source and destination are in sync.")
        )
    if record.state == State.STARTING:
        return Decision(State.COPYING, reason=say("The copy runs."))
    return NOTHING


def _by_policy(record: Record) -> Decision:
    if record.intent_age is not None and record.intent_age < _retry_seconds(record):
        return NOTHING
    if record.when_ready == WhenReady.PIVOT:
        return Decision(
            State.PIVOTING, Act.PIVOT, say("Pivot when ready was asked for.")
        )
    if record.when_ready == WhenReady.FINISH:
        return Decision(
            State.FINISHING, Act.END, say("Finish when ready was asked for.")
        )
    return NOTHING


def _retry_seconds(record: Record) -> float:
    turn = min(max(record.refusals, 1), len(POLICY_RETRY_SECONDS))
    return POLICY_RETRY_SECONDS[turn - 1]


def _pivot_pending(record: Record, *, ready: bool) -> Decision:
    if record.call_running:
        return NOTHING
    if record.refused or not ready:
        return Decision(
            State.MIRRORING,
            reason=say("The host refused the pivot; the mirror stands."),
        )
    if record.when_ready != WhenReady.PIVOT and (
        record.intent_age is None or record.intent_age > PIVOT_INTENT_SECONDS
    ):
        return Decision(
            State.MIRRORING,
            reason=say(
                "The pivot could not be carried out in time and was not tried again."
            ),
            remedy=say("Pivot again if it is still wanted."),
        )
    return Decision(act=Act.PIVOT)
