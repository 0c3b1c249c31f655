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
from jobs.actions.bulk import (
    BULK_ACTS,
    MOST_AT_ONCE,
    RETRY,
    SPEED,
    BulkAct,
    Told,
    perform_each,
)
from jobs.actions.confirming import (
    to_type_for_many,
    to_type_for_removals,
    to_type_for_verb,
    typing_error,
)
from jobs.actions.copies import ask_check, request_copy, start_time_problems
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
from jobs.actions.repeat import (
    REPEAT_PERMISSION,
    REPEAT_STATES,
    repeat,
    repeat_consequence,
    repeat_why_not,
)
from jobs.actions.verbs import (
    CANCEL,
    FINISH,
    PIVOT,
    SPEED_PERMISSION,
    SPEED_STATES,
    START,
    VERBS,
    Verb,
    finish_consequence,
    perform,
    set_speed,
    speed_why_not,
)
from jobs.audit import Outcome

__all__ = [
    "ADOPT_PERMISSION",
    "BULK_ACTS",
    "CANCEL",
    "FINISH",
    "MOST_AT_ONCE",
    "PIVOT",
    "REMOVE_PERMISSION",
    "REPEAT_PERMISSION",
    "REPEAT_STATES",
    "RETRY",
    "SPEED",
    "SPEED_PERMISSION",
    "SPEED_STATES",
    "START",
    "VERBS",
    "ActionError",
    "BulkAct",
    "Denied",
    "Invalid",
    "NotPossible",
    "Outcome",
    "Told",
    "Verb",
    "adopt",
    "adoption_consequence",
    "adoption_why_not",
    "ask_check",
    "finish_consequence",
    "perform",
    "perform_each",
    "removal_consequence",
    "removal_why_not",
    "remove_leftover",
    "repeat",
    "repeat_consequence",
    "repeat_why_not",
    "request_copy",
    "save_host",
    "set_speed",
    "speed_why_not",
    "start_time_problems",
    "stranger_why_not",
    "sync_host",
    "test_host",
    "to_type_for_many",
    "to_type_for_removals",
    "to_type_for_verb",
    "typing_error",
    "withdraw_removal",
    "withdrawal_why_not",
]
