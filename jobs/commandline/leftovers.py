"""`blockcopy leftover …`: list, show, remove, withdraw."""

from __future__ import annotations

from jobs import actions
from jobs.commandline import find
from jobs.commandline.answer import Answer, Call, Failure, Status
from jobs.commandline.records import Record, leftover_record, leftover_records
from jobs.commandline.text import fields, table
from jobs.commandline.waiting import wait_until
from jobs.models import Leftover
from jobs.units import bytes_text

# Longer than a worker has for it: the answer is then a removal or a refusal.
REMOVAL_EXPIRES = 240.0


def list_all(call: Call) -> Answer:
    """List what jobs left on the hosts' storage, newest first."""
    call.must_see("leftover")
    found = Leftover.objects.all() if call.options.all else Leftover.objects.there()
    if call.options.host:
        found = found.filter(host=find.host(call.options.host))
    records = leftover_records(found[: call.options.limit])
    left_out = found.count() - len(records)
    more = f"\n… and {left_out} older ones" if left_out > 0 else ""
    return Answer(records, leftovers_text(records) + more)


def leftovers_text(records: list[Record]) -> str:
    """Return a table of leftovers."""
    headings = ("LEFTOVER", "STATE", "KIND", "HOST", "SIZE", "JOB", "USED", "PLACE")
    return table(headings, [_row(record) for record in records])


def _row(record: Record) -> tuple[object, ...]:
    used = "" if record["state"] == "removed" else bool(record["used_by"])
    return (
        *(record[name] for name in ("leftover", "state", "kind", "host")),
        bytes_text(record["bytes"]),
        *(record["job"], used, record["location"]),
    )


def show(call: Call) -> Answer:
    """Show one leftover: what it is, what uses it, what came of its removal."""
    call.must_see("leftover")
    record = leftover_record(find.leftover(call.options.leftover))
    shown = {
        "bytes": bytes_text(record["bytes"]),
        "used_by": ", ".join(record["used_by"]) or "nothing that is known",
    }
    return Answer(record, fields(record | shown))


def remove(call: Call) -> Answer:
    """Ask for a leftover to be removed, once it is proven that nothing uses it."""
    left = find.leftover(call.options.leftover)
    if not call.options.reason.strip():
        raise Failure("A removal needs a --reason.", status=Status.USAGE)
    consequence = actions.removal_consequence(left)
    actions.remove_leftover(left, call.actor, call.options.reason)
    if not call.options.wait:
        asked = f"The removal of leftover {left.pk} was asked for. {consequence}"
        return Answer(leftover_record(left), asked)
    done = _closed(left, call.options.timeout or REMOVAL_EXPIRES)
    how = done.closing or "It was removed."
    return Answer(leftover_record(done), f"Leftover {done.pk}, {done}: {how}")


def withdraw(call: Call) -> Answer:
    """Take back a removal that still waits for its proof."""
    left = find.leftover(call.options.leftover)
    actions.withdraw_removal(left, call.actor, call.options.reason)
    return Answer(
        leftover_record(left), f"The removal of leftover {left.pk} was withdrawn."
    )


def _closed(left: Leftover, timeout: float) -> Leftover:
    """Return the leftover once it is gone; Failure if it stays."""

    def look() -> Leftover | None:
        fresh = find.leftover(left.pk)
        pending = fresh.removal_asked_at is not None and fresh.removed_at is None
        return None if pending else fresh

    fresh = wait_until(look, timeout)
    if fresh is None:
        raise Failure(
            f"Leftover {left.pk} is not removed after {timeout:g} s; it is still asked "
            f"for. To take that back: blockcopy leftover withdraw {left.pk}.",
            status=Status.TIMED_OUT,
            data=leftover_record(find.leftover(left.pk)),
        )
    if fresh.removed_at is None:
        why = fresh.refusal or "The removal was withdrawn."
        raise Failure(
            f"Leftover {fresh.pk} was not removed. {why}", data=leftover_record(fresh)
        )
    return fresh
