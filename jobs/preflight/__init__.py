"""What can be said of a copy before it is started, one rule per function.

Each rule passes, gives notice, warns or stops, with cause and remedy. Some judge the
last inventory only, the others the evidence that a host gave just now.
"""

from __future__ import annotations

from jobs.preflight.case import DEVICE_POOLS
from jobs.preflight.finding import (
    Finding,
    Level,
    finding_to_json,
    findings_from_json,
    findings_to_json,
    not_accepted,
    stops,
    warnings,
)
from jobs.preflight.guest import doubt
from jobs.preflight.judge import (
    examinable,
    not_examined,
    preflight,
    preflights,
    problems,
    why_not_copied,
)
from jobs.preflight.promised import Promise, goes_to, promises
from jobs.preflight.request import (
    CopyRequest,
    digest,
    request_from_json,
    request_of,
    request_to_json,
)

__all__ = [
    "DEVICE_POOLS",
    "CopyRequest",
    "Finding",
    "Level",
    "Promise",
    "digest",
    "doubt",
    "examinable",
    "finding_to_json",
    "findings_from_json",
    "findings_to_json",
    "goes_to",
    "not_accepted",
    "not_examined",
    "preflight",
    "preflights",
    "problems",
    "promises",
    "request_from_json",
    "request_of",
    "request_to_json",
    "stops",
    "warnings",
    "why_not_copied",
]
