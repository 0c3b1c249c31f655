"""`blockcopy process …`: what is at work, and what it means that something is not."""

from __future__ import annotations

import time

from jobs.commandline.answer import Answer, Call, Failure
from jobs.commandline.records import Record, when
from jobs.commandline.text import table
from jobs.processes import Process, at_work

_WORDS = {True: "yes", False: "no", None: "not known"}


def list_all(call: Call) -> Answer:
    """List what has to be at work, and when it last gave a sign."""
    call.must_see("host")
    found = at_work()
    rows = [
        (each.label, _WORDS[each.alive], _age(each), each.meaning) for each in found
    ]
    text = table(("PROCESS", "AT WORK", "LAST SIGN", "WHAT IT MEANS"), rows)
    return Answer([_record(each) for each in found], text)


def check(call: Call) -> Answer:
    """Tell by the exit status whether everything that is needed is at work."""
    call.must_see("host")
    found = at_work()
    records = [_record(each) for each in found]
    missing = [each for each in found if each.missing]
    if missing:
        words = " ".join(f"{each.label} is missing. {each.meaning}" for each in missing)
        raise Failure(words, data={"processes": records})
    return Answer(records, "Everything is at work.")


def _age(process: Process) -> str:
    return "" if process.at is None else f"{max(0, time.time() - process.at):.0f} s ago"


def _record(process: Process) -> Record:
    return {
        "process": process.label,
        "kind": process.kind.value,
        "at_work": process.alive,
        "count": process.count,
        "last_sign_at": when(process.seen_at),
        "meaning": process.meaning,
    }
