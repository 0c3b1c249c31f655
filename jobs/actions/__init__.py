"""What people ask for. Console, admin and command line all call these.

An action checks, writes the intent with its event and audit entry in one transaction,
and asks a worker.
"""

from __future__ import annotations

from jobs.actions.adoption import (
    ADOPT_PERMISSION,
    adopt,
    adoption_consequence,
    adoption_why_not,
    stranger_why_not,
)
from jobs.actions.copies import ask_check, request_copy
from jobs.actions.hosts import save_host, sync_host, test_host
from jobs.actions.leftovers import (
    REMOVE_PERMISSION,
    removal_consequence,
    removal_why_not,
    remove_leftover,
    withdraw_removal,
    withdrawal_why_not,
)
from jobs.actions.refusal import ActionError, Denied, Invalid, NotPossible
from jobs.actions.verbs import (
    CANCEL,
    FINISH,
    PIVOT,
    SPEED_PERMISSION,
    SPEED_STATES,
    VERBS,
    Verb,
    perform,
    set_speed,
    speed_why_not,
)
from jobs.audit import Outcome

__all__ = [
    "ADOPT_PERMISSION",
    "CANCEL",
    "FINISH",
    "PIVOT",
    "REMOVE_PERMISSION",
    "SPEED_PERMISSION",
    "SPEED_STATES",
    "VERBS",
    "ActionError",
    "Denied",
    "Invalid",
    "NotPossible",
    "Outcome",
    "Verb",
    "adopt",
    "adoption_consequence",
    "adoption_why_not",
    "ask_check",
    "perform",
    "removal_consequence",
    "removal_why_not",
    "remove_leftover",
    "request_copy",
    "save_host",
    "set_speed",
    "speed_why_not",
    "stranger_why_not",
    "sync_host",
    "test_host",
    "withdraw_removal",
    "withdrawal_why_not",
]
