"""The one rule: from what we intended and what the host says now, what follows?

`resolve(record, observation) -> Decision` is pure and level-triggered: an operator's
act, an event, the sweep and a restart all look again and ask it. Nothing is concluded
from memory, from a progress number or from a call's return value. The same observation
twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from jobs.hypervisor import DiskObservation, DomainObservation, Mirror
from jobs.lifecycle import ENDED, State, WhenReady
from jobs.said import joined, say

# A start that nobody heard the answer of may take effect for so long: the call itself
# may take a minute, and its lock is lost with Redis.
START_ANSWER_SECONDS = 90.0
# No start is sent later than this after it was written down (calls.py and
# hypervisor/blockcopy.py see to that, with a second to spare for the clocks). Once a
# host is free of calls after that, none is under way.
START_SENT_SECONDS = 8.0
# An intent to pivot that nobody could carry out for so long is asked for again rather
# than carried out: the person who asked may no longer expect it. A policy stands.
PIVOT_INTENT_SECONDS = 600.0
# How a mirror ended may be heard a moment after it is seen to be gone.
EVIDENCE_SECONDS = 5.0
# A policy that the host refused to carry out is tried again only after so long: after
# the first refusal, the second one, and so on.
POLICY_RETRY_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0)
# For so long nothing is concluded about a job whose guest is frozen and has to be
# thawed first. Then life goes on, and the thaw is tried again all the same.
FROZEN_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Record:
    """What we intended and last saw.

    `libvirt_id` is the domain's numeric id, None until the start. `call_running` says
    that a worker is in the call to the hypervisor right now, so that its outcome must
    not be judged yet; `refused` that the call just came back with a refusal. `begun`
    says that the host accepted the start or was seen copying. `start_age` is the
    seconds since the start was about to be called, `intent_age` since an ending was
    last asked for, `frozen_age` since the guest's file systems were about to be frozen
    (they may be still); None if never. `quiet` says that the look found no call to the
    domain under way on the host. `by_limit` says that nobody but a limit cancels, and
    `refusals` how often in a row the host refused the policy.
    `end_accepted` and `last_event` are the evidence of how a mirror ended.
    """

    state: State
    disk: str
    destination: str
    source: str = ""
    libvirt_id: int | None = None
    when_ready: WhenReady = WhenReady.WAIT
    call_running: bool = False
    refused: bool = False
    begun: bool = True
    start_age: float | None = None
    intent_age: float | None = None
    frozen_age: float | None = None
    quiet: bool = False
    by_limit: bool = False
    refusals: int = 0
    end_accepted: bool = False
    last_event: str = ""


class Unreachable:
    """The host did not answer. Nothing follows from that."""


class Gone:
    """The host knows no such domain (any more)."""


Observation = DomainObservation | Unreachable | Gone


class Act(StrEnum):
    """What a worker is to do to the host next."""

    START = "start"
    PIVOT = "pivot"
    END = "end"
    THAW = "thaw"
    REPAIR = "repair"


class Side(StrEnum):
    """Which file holds the guest's data once a job has ended."""

    SOURCE = "source"
    DESTINATION = "destination"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Decision:
    """At most one transition and at most one act, with the reason for people.

    `by_us` is False when the host shows something that this console did not ask for.
    `side` says which file must not be taken for a leftover.
    """

    state: State | None = None
    act: Act | None = None
    reason: str = ""
    remedy: str = ""
    by_us: bool = True
    side: Side = Side.SOURCE


NOTHING = Decision()
COPY_AGAIN = say(
    "Start a new copy to a new destination, or remove the partial one first."
)


def resolve(record: Record, observation: Observation) -> Decision:
    """Return what follows from `observation` for the job described by `record`."""
    if isinstance(observation, Unreachable):
        return NOTHING
    if record.frozen_age is not None:
        return _frozen(record, observation)
    return _settle(record, observation)


def _frozen(record: Record, observation: DomainObservation | Gone) -> Decision:
    """A frozen guest hangs: to thaw it goes before everything else."""
    if record.call_running:
        return NOTHING  # it thaws at its end
    age = record.frozen_age or 0.0
    decision = NOTHING
    if age > FROZEN_PATIENCE_SECONDS:
        decision = _settle(record, observation)
    return replace(decision, act=decision.act or Act.THAW)


def _settle(record: Record, observation: DomainObservation | Gone) -> Decision:
    if record.state in ENDED or record.state == State.REQUESTED:
        return NOTHING
    if record.state == State.QUEUED:
        return Decision(act=Act.START)
    if isinstance(observation, Gone):
        return _run_over(record, say("The domain no longer exists on the host."))
    disk = observation.disks.get(record.disk)
    if observation.domain_id is None:
        named = disk.persistent_source if disk else None
        if observation.unaccounted and named != record.destination:
            return _unaccounted(record)
        reason = say("The guest stopped; block copies end with their guest.")
        return _run_over(record, reason, named)
    if record.libvirt_id is not None and observation.domain_id != record.libvirt_id:
        reason = say("The guest was restarted; block copies end with their guest.")
        return _run_over(record, reason, _both(observation, disk) if disk else None)
    if disk is None:
        return _failed(say("The domain has no such disk any more."))
    return _running(record, observation, disk)


def _running(
    record: Record, domain: DomainObservation, disk: DiskObservation
) -> Decision:
    mirror = disk.mirror
    if mirror is not None and not _moved_on(record, disk, mirror):
        return _with_mirror(record, mirror)
    if disk.source == record.destination:
        return _on_destination(record, domain.persistent, disk)
    if disk.source == record.source:
        return _on_source(record)
    return _failed(
        say(
            "The disk is now %(source)s, neither the source nor the "
            "destination of this copy.",
            source=disk.source,
        )
    )


def _moved_on(record: Record, disk: DiskObservation, mirror: Mirror) -> bool:
    """Whether the guest is on the destination, and copied on from there."""
    another = mirror.destination not in ("", record.destination)
    return another and disk.source == record.destination


# --- The mirror stands -------------------------------------------------------------


def _with_mirror(record: Record, mirror: Mirror) -> Decision:
    if not mirror.destination:
        # libvirt shows an empty mirror for a few milliseconds while a job concludes.
        return NOTHING
    if mirror.destination != record.destination or mirror.job not in ("copy", ""):
        return _failed(
            say(
                "Another block job is on this disk now: %(job)s to "
                "%(destination)s. It was left alone.",
                job=mirror.job or "copy",
                destination=mirror.destination,
            ),
        )
    if mirror.ready in ("pivot", "abort"):
        return NOTHING  # just being ended; the next look shows how
    return _ours(record, ready=mirror.is_ready)


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


# --- The guest runs on the destination ---------------------------------------------


def _on_destination(
    record: Record, persistent: bool, disk: DiskObservation
) -> Decision:
    by_us = record.state == State.PIVOTING
    if persistent and disk.persistent_source != record.destination:
        return _definition_lags(record, disk, by_us=by_us)
    reason = "The guest runs on the destination" + (
        ", and so does its persistent definition." if persistent else "."
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


# --- The mirror is gone, the guest runs on its source ------------------------------


def _on_source(record: Record) -> Decision:
    """ "No job" is not success, and not failure either: the intent decides."""
    if record.call_running or _may_begin_yet(record):
        return NOTHING
    match record.state:
        case State.FINISHING:
            return _finished(record)
        case State.CANCELLING:
            return Decision(State.CANCELLED, reason=say("The copy was cancelled."))
        case State.STARTING:
            return _ended_at_once() if record.begun else _never_began()
        case State.PIVOTING:
            return _failed(say("The pivot failed; the guest runs on its source."))
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


def _finished(record: Record) -> Decision:
    """`copied` needs evidence that the mirror was whole until we ended it.

    Where there is none yet it is waited for, since it is lost only with everybody who
    could have heard it.
    """
    if record.last_event == "failed":
        return _failed(say("The destination failed while the mirror was being ended."))
    if record.last_event == "canceled" or record.end_accepted:
        return Decision(
            State.COPIED, reason=say("The mirror was ended; the copy is complete.")
        )
    if record.intent_age is not None and record.intent_age < EVIDENCE_SECONDS:
        return NOTHING
    return _failed(
        say(
            "The mirror ended, but nothing shows that it was whole until "
            "then; the destination can't be vouched for."
        )
    )


# --- The guest's run, and every copy with it, is over --------------------------------


def _both(domain: DomainObservation, disk: DiskObservation) -> str | None:
    """What the live and the persistent definition agree on, if they do."""
    agreed = not domain.persistent or disk.persistent_source == disk.source
    return disk.source if agreed else None


def _run_over(record: Record, reason: str, named: str | None = None) -> Decision:
    """`named` is what the domain's definitions say the disk is now."""
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
        return _lost(
            say(
                "%(reason)s The domain's definition names the destination all "
                "the same.",
                reason=reason,
            ),
            say("Keep the destination: the domain uses it."),
            Side.DESTINATION,
        )
    if record.state == State.PIVOTING:
        return _lost(
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
    return _lost(reason)


def _unaccounted(record: Record) -> Decision:
    """libvirt may have lost the domain: killed in a pivot, its daemon does that."""
    if record.state == State.FINISHING and record.last_event == "canceled":
        return _finished(record)
    return _lost(
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


def _lost(reason: str, remedy: str = COPY_AGAIN, side: Side = Side.SOURCE) -> Decision:
    return Decision(State.LOST, reason=reason, remedy=remedy, by_us=False, side=side)


def _failed(reason: str) -> Decision:
    return Decision(State.FAILED, reason=reason, remedy=COPY_AGAIN)
