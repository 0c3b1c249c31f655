"""What `resolve` is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jobs.hypervisor import DomainObservation
from jobs.lifecycle import State, WhenReady
from jobs.said import say


@dataclass(frozen=True)
class Record:
    """What we intended and last saw.

    `libvirt_id` is the domain's numeric id, None until the start. `call_running` says
    that a worker is in the call to the hypervisor right now, so that its outcome must
    not be judged yet; `refused` that the call just came back with a refusal. `begun`
    says that the host accepted the start or was seen copying. `start_age` is the
    seconds since the start was about to be called, `intent_age` since an ending was
    last asked for, `frozen_age` since the guest's file systems were about to be frozen
    (they may be still); None if never. `quiet` says that QEMU, asked just before the
    look, knew of no copy of the disk; no call to the domain was under way then.
    `by_limit` says that nobody but a limit cancels, and `refusals` how often in a row
    the host refused the policy.
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
    """Which file holds the guest's data once a job has ended.

    Of a DOUBTED one libvirt may say the wrong thing until the guest is started anew.
    """

    SOURCE = "source"
    DESTINATION = "destination"
    UNKNOWN = "unknown"
    DOUBTED = "doubted"

    @property
    def is_known(self) -> bool:
        return self in (Side.SOURCE, Side.DESTINATION)


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


def lost(reason: str, remedy: str = COPY_AGAIN, side: Side = Side.SOURCE) -> Decision:
    """Return the end of a job whose guest's run is over."""
    return Decision(State.LOST, reason=reason, remedy=remedy, by_us=False, side=side)


def failed(reason: str) -> Decision:
    """Return the end of a job that came to nothing; the guest is on its source."""
    return Decision(State.FAILED, reason=reason, remedy=COPY_AGAIN)
