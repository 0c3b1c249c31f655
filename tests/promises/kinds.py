"""The promises, each with the name by which its breaking is counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What was promised and did not hold."""

    UNSETTLED = "unsettled"  # a job waits for nothing that is named
    STATE = "state"  # a job's state is not what its host shows
    DEFINITION = "definition"  # a persistent definition names another file
    MIRROR = "mirror"  # a copy runs on a host and is nobody's
    DOUBLED = "doubled"  # something was done twice
    UNASKED = "unasked"  # something was done that nobody asked for
    UNRECORDED = "unrecorded"  # a transition without its entry, or the other way round
    COPY = "copy"  # a destination is not what the job says
    LEFTOVER = "leftover"  # a guest's disk is called a leftover
    CHAIN = "chain"  # the audit log is not whole
    GUEST = "guest"  # a guest lost or misread a block


@dataclass(frozen=True)
class Broken:
    """A broken promise. `job` is its number in the database, None if it is of none."""

    kind: Kind
    job: int | None
    sentence: str

    def __str__(self) -> str:
        which = "" if self.job is None else f"job {self.job}: "
        return f"{self.kind}: {which}{self.sentence}"
