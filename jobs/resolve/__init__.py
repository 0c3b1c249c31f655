"""The one rule: from what we intended and what the host says now, what follows?

`resolve(record, observation) -> Decision` is pure and level-triggered: an operator's
act, an event, the sweep and a restart all look again and ask it. Nothing is concluded
from memory, from a progress number or from a call's return value. The same observation
twice changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from jobs.hypervisor import DiskObservation, DomainObservation, Mirror
from jobs.lifecycle import ENDED, State
from jobs.resolve.decision import (
    COPY_AGAIN,
    NOTHING,
    Act,
    Decision,
    Gone,
    Observation,
    Record,
    Side,
    Unreachable,
    failed,
)
from jobs.resolve.mirrored import (
    PIVOT_INTENT_SECONDS,
    POLICY_RETRY_SECONDS,
    with_mirror,
)
from jobs.resolve.unmirrored import (
    EVIDENCE_SECONDS,
    START_ANSWER_SECONDS,
    START_SENT_SECONDS,
    on_destination,
    on_source,
    run_over,
    unaccounted,
)
from jobs.said import say

__all__ = [
    "COPY_AGAIN",
    "EVIDENCE_SECONDS",
    "FROZEN_PATIENCE_SECONDS",
    "NOTHING",
    "PIVOT_INTENT_SECONDS",
    "POLICY_RETRY_SECONDS",
    "START_ANSWER_SECONDS",
    "START_SENT_SECONDS",
    "Act",
    "Decision",
    "Gone",
    "Observation",
    "Record",
    "Side",
    "Unreachable",
    "resolve",
]

# For so long nothing is concluded about a job whose guest is frozen and has to be
# thawed first. Then life goes on, and the thaw is tried again all the same.
FROZEN_PATIENCE_SECONDS = 300.0


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
        return run_over(record, say("The domain no longer exists on the host."))
    disk = observation.disks.get(record.disk)
    if observation.domain_id is None:
        named = disk.persistent_source if disk else None
        if observation.unaccounted and named != record.destination:
            return unaccounted(record)
        reason = say("The guest stopped; block copies end with their guest.")
        return run_over(record, reason, named)
    if record.libvirt_id is not None and observation.domain_id != record.libvirt_id:
        reason = say("The guest was restarted; block copies end with their guest.")
        return run_over(record, reason, _both(observation, disk) if disk else None)
    if disk is None:
        return failed(say("The domain has no such disk any more."))
    return _running(record, observation, disk)


def _running(
    record: Record, domain: DomainObservation, disk: DiskObservation
) -> Decision:
    mirror, shutting_down = disk.mirror, domain.state == "shutdown"
    if mirror is not None and not _moved_on(record, disk, mirror):
        return with_mirror(record, mirror, shutting_down=shutting_down)
    if disk.source == record.destination:
        return on_destination(record, domain.persistent, disk)
    if disk.source == record.source:
        return on_source(record, shutting_down=shutting_down)
    return failed(
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


def _both(domain: DomainObservation, disk: DiskObservation) -> str | None:
    """What the live and the persistent definition agree on, if they do."""
    agreed = not domain.persistent or disk.persistent_source == disk.source
    return disk.source if agreed else None
