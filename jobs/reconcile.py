"""Looking at a host and letting what it says settle the jobs. Runs in the workers.

Every task comes down to `look_at_domain`: observe, resolve, apply. Applying is a
conditional update, so any number of workers may look at the same job at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from jobs import audit, definitions, dispatch, failures, live
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    DomainNotFound,
    DomainNotRunning,
    DomainObservation,
    HostBusy,
    HostUnreachable,
    Hypervisor,
    HypervisorError,
    IdentityMismatch,
    NoJob,
    StillEnding,
    connection,
)
from jobs.lifecycle import CALLING, ENDED, State
from jobs.models import CopyJob, Host
from jobs.models.host import address_policy
from jobs.outcome import ending_fields, history_level, system_entry
from jobs.record import record_of
from jobs.resolve import (
    Act,
    Decision,
    Gone,
    Observation,
    Side,
    Unreachable,
    resolve,
)
from jobs.said import joined, say
from jobs.transition import Level, move, tell

log = structlog.get_logger(__name__)

# Errors that do not say no: the call may have taken effect, or may work in a moment.
UNDECIDED = (HostUnreachable, HostBusy, StillEnding, NoJob)
# The domain is not any more what the last look showed.
CHANGED = (IdentityMismatch, DomainNotFound, DomainNotRunning)
# What others write down of a job while it is looked at.
EVIDENCE = (
    *("state", "transient_job", "seen_at", "ending_at"),
    *("end_accepted", "last_event", "frozen_at", "consistency"),
)
THAW_RETRY_SECONDS = 10.0
NOT_GUEST_CONSISTENT = say(
    "It is crash-consistent, as after a power cut: nothing shows that the guest's file "
    "systems were frozen until the end."
)
# What a job says whose start the host has not answered, as far as is known. The answer
# has the entry of the beginning, unless a look was first.
NOT_ANSWERED = {"transient_job": None}
# Where a job comes to when a call did not do what was wanted.
EXPLAINED = frozenset({State.MIRRORING, State.FAILED, State.LOST})


def connect(host: Host) -> AbstractContextManager[Hypervisor]:
    """Open or reuse a connection of this thread's own to `host`.

    HypervisorError: it does not answer, or the settings no longer allow its address.
    """
    return connection(host.address, address_policy())


def note_answer(host: Host) -> None:
    """Write down that the host answered just now."""
    now = timezone.now()
    Host.objects.filter(pk=host.pk).update(
        last_seen_at=now, error="", error_remedy="", error_at=None
    )
    if host.error or host.last_seen_at is None:
        live.wake_host(host)


def note_silence(host: Host, error: HypervisorError) -> None:
    """Write down that the host did not answer, and why; its jobs stay as they are."""
    Host.objects.filter(pk=host.pk).update(
        error=error.told,
        error_remedy=error.remedy,
        error_at=timezone.now(),
    )
    if not host.error:
        log.warning("host does not answer", host=host.name, error=error.text)
        live.wake_host(host)


# --- Looking -----------------------------------------------------------------------


def look_at_domain(
    hypervisor: Hypervisor,
    uuid: str,
    jobs: list[CopyJob],
    *,
    error: HypervisorError | None = None,
    reissue: bool = True,
) -> list[CopyJob]:
    """Settle the jobs of one domain; return those whose verb is to be called now.

    Raises HostUnreachable. `error` is what a call that just came back said: it
    explains, the observation decides. Without `reissue` a verb that was just tried is
    left to the next sweep.
    """
    calls = Calls(jobs)
    began = timezone.now()
    observation = _observe(hypervisor, uuid)
    calls.look_again()
    return [
        job
        for job in jobs
        if settle(
            hypervisor,
            job,
            Look(observation, began, job.pk in calls.running, error),
            reissue=reissue,
        )
    ]


class Calls:
    """Which of `jobs` somebody calls the host for, while it is looked at.

    Read before and after: a call that ran at any time during the look makes what was
    seen worthless as its outcome, and one that did not has written all that it knew.
    """

    def __init__(self, jobs: Iterable[CopyJob]) -> None:
        self._jobs = {
            job.pk: job for job in jobs if job.state in CALLING or job.frozen_at
        }
        self.running = live.calls_running(self._jobs)

    def look_again(self) -> None:
        """Note the calls that have begun since, and what the jobs' rows say now."""
        self.running |= live.calls_running(self._jobs)
        rows = CopyJob.objects.filter(pk__in=self._jobs) if self._jobs else ()
        for row in rows:
            for name in EVIDENCE:
                setattr(self._jobs[row.pk], name, getattr(row, name))
        ending = (State.FINISHING, State.PIVOTING)
        failures.recall(job for job in self._jobs.values() if job.state in ending)


def is_refusal(error: HypervisorError | None) -> bool:
    """Tell whether the host said no, rather than nothing or "not now"."""
    return error is not None and not isinstance(error, UNDECIDED)


def _observe(hypervisor: Hypervisor, uuid: str) -> Observation:
    try:
        return hypervisor.observe(uuid)
    except DomainNotFound:
        return Gone()
    except HostUnreachable:
        raise
    except HypervisorError as error:
        log.warning("domain could not be looked at", domain=uuid, error=error.text)
        return Unreachable()


# --- Settling ----------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What one look at a domain, begun at `began`, brought for a job.

    `error` is what a call that just came back said; `quiet` is Record's.
    """

    observation: Observation
    began: datetime
    call_running: bool
    error: HypervisorError | None = None
    quiet: bool = False


def settle(
    hypervisor: Hypervisor, job: CopyJob, look: Look, *, reissue: bool = True
) -> bool:
    """Do what follows, and what follows from that: ready, then pivot by policy.

    True if the verb that the job's state names is to be called now; without `reissue`
    only if it has just come into that state.
    """
    refused = is_refusal(look.error)
    decision = resolve(
        record_of(
            job,
            call_running=look.call_running,
            refused=refused,
            quiet=look.quiet,
            now=look.began,
        ),
        look.observation,
    )
    if decision.state is not None and not _apply(job, decision, look):
        return False
    if look.error and refused and decision.act == Act.END:
        _tell_refusal(job, look.error)
    if decision.act == Act.REPAIR:
        _repair(hypervisor, job, look)
        return False
    if decision.act == Act.THAW:
        _ask_to_thaw(job)
        return False
    if decision.act is not None:
        return reissue or decision.state is not None
    if decision.state is not None:
        return settle(hypervisor, job, replace(look, error=None), reissue=reissue)
    return False


def _apply(job: CopyJob, decision: Decision, look: Look) -> bool:
    """Carry the transition out, at an end with what the look showed of the disk."""
    with transaction.atomic():
        moved = _move(job, decision, look.error)
        ended = moved and job.state in ENDED
        if ended and isinstance(look.observation, DomainObservation):
            seen = look.observation.disks.get(job.disk)
            definitions.keep(job, definitions.When.AFTER, seen)
    if ended:
        # The inventory's sources and sizes are stale now.
        dispatch.sync_host(job.host.site.name, job.host_id)
    return moved


def _move(job: CopyJob, decision: Decision, error: HypervisorError | None) -> bool:
    new = State(decision.state or job.state)
    old = State(job.state)
    if new == State.FAILED:
        decision = failures.explained(job, decision)
    if new not in EXPLAINED:
        error = None  # the answer to a call that worked can get lost
    message = decision.reason
    if error is not None and not job.qemu_text:  # QEMU's own reason says it better
        message = joined(message, error.cause)
    if new == State.COPIED and job.consistent and not job.consistency:
        message = joined(message, NOT_GUEST_CONSISTENT)
    unheard = old == State.STARTING and not job.begun
    return move(
        job,
        new,
        message if decision.by_us else f"{message} (not by this console)",
        actor=SYSTEM,
        level=history_level(new, by_us=decision.by_us),
        audited=system_entry(
            old,
            new,
            message,
            by_us=decision.by_us,
            begun=job.begun,
            repeated=_repeats(job, new, message),
        ),
        provided=NOT_ANSWERED if unheard else None,
        side=decision.side,
        **ending_fields(job, new, message, decision.remedy, error, decision.side),
    )


def _repeats(job: CopyJob, new: State, message: str) -> bool:
    """Whether this is one more turn of a policy that the host keeps refusing."""
    if job.refusals == 0:
        return False
    if new in (State.PIVOTING, State.FINISHING):
        return True
    refusals = job.events.filter(old_state=job.state, new_state=State.MIRRORING)
    last = refusals.last()
    return last is not None and (last.new_state, last.message) == (new, message)


def _ask_to_thaw(job: CopyJob) -> None:
    """A thaw may take its time; an agent that is silent is not asked without end."""
    if live.first_to_ask(f"thaw:{job.pk}", seconds=THAW_RETRY_SECONDS):
        dispatch.thaw(job)


def _tell_refusal(job: CopyJob, error: HypervisorError) -> None:
    """Say once why a cancel, which is asked for again and again, does not happen."""
    message = f"The host refused to cancel: {error.cause} It is asked again."
    if job.events.filter(message=message).exists():
        return
    with transaction.atomic():
        tell(job, message, actor=SYSTEM, level=Level.WARNING)
        audit.record(SYSTEM, "cancel", job, audit.Outcome.FAILED, detail=message)


def _repair(hypervisor: Hypervisor, job: CopyJob, look: Look) -> None:
    """Make the persistent definition follow the pivot, then look again."""
    with live.exclusively(live.call_lock(job.pk)) as mine:
        if not mine:
            return
        try:
            corrected = hypervisor.repair_persistent(job.identity, job.source)
        except (*UNDECIDED, *CHANGED):
            return  # the next look tries again, or sees what has changed
        except HypervisorError as error:
            _definition_stays(job, replace(look, error=error))
            return
    if corrected:
        _tell_repair(job)
    look_at_domain(hypervisor, job.domain_uuid, [job], reissue=False)


def _tell_repair(job: CopyJob) -> None:
    message = "The persistent definition still named the old source and was corrected."
    with transaction.atomic():
        tell(job, message, actor=SYSTEM, level=Level.WARNING)
        audit.record(SYSTEM, "repair", job, audit.Outcome.DONE, detail=message)


def _definition_stays(job: CopyJob, look: Look) -> None:
    _apply(
        job,
        Decision(
            State.FAILED,
            reason=say(
                "The guest runs on the destination, but its persistent definition "
                "still names the old source and could not be corrected."
            ),
            remedy=say("Correct it with virsh edit before the guest is shut down."),
            side=Side.DESTINATION,
        ),
        look,
    )
