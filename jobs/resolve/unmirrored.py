"""No mirror any more: what became of the copy, by where the guest is."""

from __future__ import annotations

from jobs.hypervisor import DiskObservation
from jobs.lifecycle import State
from jobs.resolve.decision import (
    COPY_AGAIN,
    NOTHING,
    Act,
    Decision,
    Record,
    Side,
    failed,
    lost,
)
from jobs.said import joined, say

# A start that nobody heard the answer of may take effect for so long: the call itself
# may take a minute, and its lock is lost with Redis.
START_ANSWER_SECONDS = 90.0
# No start is sent later than this after it was written down (calls.py and
# hypervisor/blockcopy.py see to that, with a second to spare for the clocks). Once a
# host is free of calls after that, none is under way.
START_SENT_SECONDS = 8.0
# How a mirror ended may be heard a moment after it is seen to be gone.
EVIDENCE_SECONDS = 5.0


# --- The guest runs on the destination ---------------------------------------------


def on_destination(record: Record, persistent: bool, disk: DiskObservation) -> Decision:
    """Return what follows once the guest runs on the destination."""
    by_us = record.state == State.PIVOTING
    if persistent and disk.persistent_source != record.destination:
        return _definition_lags(record, disk, by_us=by_us)
    reason = say("The guest runs on the destination.")
    if persistent:
        reason = say(
            "The guest runs on the destination, and so does its persistent definition."
        )
    return Decision(State.PIVOTED, reason=reason, by_us=by_us, side=Side.DESTINATION)


def _definition_lags(record: Record, disk: DiskObservation, *, by_us: bool) -> Decision:
    if disk.persistent_source == record.source and disk.mirror is None:
        return Decision(act=Act.REPAIR, by_us=by_us)
    return Decision(
        State.FAILED,
        reason=say(
            "The guest runs on the destination, but its persistent "
            "definition names %(persistent_source)s: the next boot would "
            "use that.",
            persistent_source=disk.persistent_source or "no such disk",
        ),
        remedy=say(
            "Correct the persistent definition (virsh edit) before the "
            "guest is shut down."
        ),
        by_us=by_us,
        side=Side.DESTINATION,
    )


# --- The guest runs on its source ---------------------------------------------------


def on_source(record: Record, *, shutting_down: bool) -> Decision:
    """ "No job" is not success, and not failure either: the intent decides.

    A guest that is shut down ends its copies and, a moment later, its run, which says
    more.
    """
    if record.call_running or _may_begin_yet(record):
        return NOTHING
    if record.state == State.FINISHING:
        return _finished(record)
    if record.state == State.CANCELLING:
        return Decision(State.CANCELLED, reason=say("The copy was cancelled."))
    if shutting_down:
        return NOTHING
    if record.state == State.STARTING:
        return _ended_at_once() if record.begun else _never_began()
    if record.state == State.PIVOTING:
        return _not_pivoted(record)
    # A stranger's cancel and a failed destination look alike from here.
    return Decision(
        State.FAILED,
        reason=say(
            "The copy ended on the host, not by this console: it failed "
            "there, or somebody else ended it. The guest runs on its "
            "source."
        ),
        remedy=joined(
            say("Check the destination's storage and free space."), COPY_AGAIN
        ),
        by_us=False,
    )


def _may_begin_yet(record: Record) -> bool:
    if record.begun or record.last_event or record.start_age is None:
        return False
    if record.quiet and record.start_age > START_SENT_SECONDS:
        return False
    return record.start_age < START_ANSWER_SECONDS


def _ended_at_once() -> Decision:
    return Decision(
        State.FAILED,
        reason=say("The copy ended at once. The guest runs on its source."),
        remedy=joined(
            say("Check the destination's size, format and free space."), COPY_AGAIN
        ),
    )


def _never_began() -> Decision:
    return Decision(
        State.FAILED,
        reason=say(
            "The copy did not begin; the host's answer to the start was not heard."
        ),
        remedy=say(
            "Should the disk show a copy to this destination later, end "
            "that one with virsh blockjob. Then start a new copy."
        ),
    )


def _not_pivoted(record: Record) -> Decision:
    """A pivot failed if its mirror was heard to fail or to be cancelled.

    A daemon that is killed just when it has told QEMU to pivot takes the mirror for
    cancelled when it is back, and shows the source, while the guest runs from the
    destination (libvirt 9.0: what it had on its storage still said "ready").
    """
    if record.last_event in ("failed", "canceled"):
        return failed(say("The pivot failed; the guest runs on its source."))
    if record.intent_age is not None and record.intent_age < EVIDENCE_SECONDS:
        return NOTHING
    return unheard_pivot(
        say(
            "libvirt shows the source and no mirror, but nothing was heard of how the "
            "pivot ended."
        )
    )


def unheard_pivot(shown: str) -> Decision:
    """Return what follows where libvirt may be wrong about the side the guest is on."""
    return lost(
        joined(
            shown,
            say(
                "Its daemon may have been killed in the pivot, and the guest may run "
                "from the destination without libvirt knowing."
            ),
        ),
        say(
            "Do not shut the guest down and touch neither file before it is known "
            "which of them its QEMU has open on the host (ls -l /proc/PID/fd). If it "
            "is the destination: name that in the definition (virsh edit), then shut "
            "the guest down from inside and start it."
        ),
        Side.DOUBTED,
    )


def _finished(record: Record) -> Decision:
    """`copied` needs evidence that the mirror was whole until we ended it.

    Where there is none yet it is waited for, since it is lost only with everybody who
    could have heard it.
    """
    if record.last_event == "failed":
        return failed(say("The destination failed while the mirror was being ended."))
    if record.last_event == "canceled" or record.end_accepted:
        return Decision(
            State.COPIED, reason=say("The mirror was ended; the copy is complete.")
        )
    if record.intent_age is not None and record.intent_age < EVIDENCE_SECONDS:
        return NOTHING
    return failed(
        say(
            "The mirror ended, but nothing shows that it was whole until "
            "then; the destination can't be vouched for."
        )
    )


# --- The guest's run, and every copy with it, is over --------------------------------


def run_over(record: Record, reason: str, named: str | None = None) -> Decision:
    """Return what follows once the guest's run is over, for `reason`.

    `named` is what the domain's definitions say the disk is now.
    """
    if record.state == State.FINISHING and record.last_event == "canceled":
        return _finished(record)
    on_destination = named == record.destination
    if record.state == State.PIVOTING and on_destination:
        # Only a pivot writes the destination into the persistent definition.
        return Decision(
            State.PIVOTED,
            reason=say(
                "The guest's run ended after the pivot; the domain's definition "
                "names the destination."
            ),
            side=Side.DESTINATION,
        )
    if on_destination:
        return lost(
            say(
                "%(reason)s The domain's definition names the destination all "
                "the same.",
                reason=reason,
            ),
            say("Keep the destination: the domain uses it."),
            Side.DESTINATION,
        )
    if record.state == State.PIVOTING:
        return lost(
            say(
                "%(reason)s Whether the pivot took place before that is not known.",
                reason=reason,
            ),
            say(
                "Before the guest is started or a file removed: make sure on "
                "the host that no QEMU process of it still runs, and compare "
                "source and destination."
            ),
            Side.UNKNOWN,
        )
    return lost(reason)


def unaccounted(record: Record) -> Decision:
    """libvirt may have lost the domain: killed in a pivot, its daemon does that."""
    if record.state == State.FINISHING and record.last_event == "canceled":
        return _finished(record)
    return lost(
        say(
            "libvirt says that the guest is off and does not know why. Its "
            "daemon was restarted meanwhile and may have lost a guest that "
            "still runs."
        ),
        say(
            "Do not start the guest and touch neither file: first make sure "
            "on the host that no QEMU process of it runs (ps), and if one "
            "does, shut the guest down from inside. Then compare source and "
            "destination."
        ),
        Side.UNKNOWN,
    )
