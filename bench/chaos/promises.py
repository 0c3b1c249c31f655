"""What is promised, and how a break is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Promise(StrEnum):
    """Each is counted; the aim is 0."""

    TRUE_SOON = "every job is true ten seconds after what died is back"
    NOT_LOST = "no job lost, none doubled"
    ONCE = "nothing done twice"
    ASKED = "nothing done that nobody asked for"
    AUDITED = "no audit entry missing, none too many"
    CHAIN = "the audit log's chain is sound"
    HISTORY = "each job's history is without a gap"
    REST = "everything comes to rest"
    EQUAL = "each destination equals its source"
    UNHARMED = "no guest is harmed, and each boots from where it is"
    LEFTOVERS = "no leftover is unaccounted for"


@dataclass(frozen=True)
class Break:
    """A promise that was broken; `job` is 0 where it is no single job's."""

    promise: Promise
    job: int
    sentence: str
