"""`blockcopy audit …`: list, verify, export."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from django.db.models import QuerySet

from jobs.audit import exports, log
from jobs.audit.log import Verdict
from jobs.commandline.answer import Answer, Call, Failure
from jobs.commandline.records import Record, audit_record, when
from jobs.commandline.text import fields, table
from jobs.models import AuditEntry, CopyJob


def list_all(call: Call) -> Answer:
    """List the newest entries of the audit log, the newest last as in a log file."""
    call.must_see("auditentry")
    entries = list(_wanted(call)[: call.options.limit])[::-1]
    rows = [
        (
            entry.time,
            entry.actor,
            entry.action,
            entry.outcome,
            entry.object_text,
            " ".join(filter(None, [entry.intent, entry.detail, entry.reason])),
        )
        for entry in entries
    ]
    headings = ("TIME", "ACTOR", "ACTION", "OUTCOME", "OBJECT", "WHAT")
    return Answer([audit_record(entry) for entry in entries], table(headings, rows))


def _wanted(call: Call) -> QuerySet[AuditEntry]:
    wanted = {
        "actor": call.options.actor,
        "action": call.options.action,
        "outcome": call.options.outcome,
        "object_type": CopyJob._meta.verbose_name_raw if call.options.job else None,
        "object_id": call.options.job,
    }
    found = AuditEntry.objects.filter(
        **{name: value for name, value in wanted.items() if value}
    )
    without = call.options.without
    return found.exclude(log.LEFT_OUT[without]) if without else found


# --- Verify ---------------------------------------------------------------------------


def verify(call: Call) -> Answer:
    """Verify the audit log's chain, or (--file) an export, without the database."""
    if call.options.file is not None:
        try:
            found = exports.verify_file(call.options.file)
        except exports.NotAnExport as error:
            raise Failure(str(error)) from error
    else:
        call.must_see("auditentry")
        found = log.verify_and_remember()
    record, text = _verdict_record(found), _verdict_text(found)
    if not found.intact:
        raise Failure(found.sentence, data=record, text=text)
    return Answer(record, text)


def _verdict_record(found: Verdict) -> Record:
    bad = found.bad
    return {
        "intact": found.intact,
        "entries": found.entries,
        "first": found.first,
        "newest": found.newest,
        "hash": found.hash,
        "signed": found.signed,
        "good_signatures": found.vouched,
        "checked_to": found.checked_to,
        "first_bad": bad
        and {
            "number": bad.number,
            "what": str(bad.kind),
            "text": bad.text,
            "id": bad.entry,
        },
        "notes": list(found.notes),
        "seconds": round(found.seconds, 3),
    }


def _verdict_text(found: Verdict) -> str:
    shown = {
        "result": "whole" if found.intact else "NOT WHOLE",
        "good entries": f"{found.entries:,}",
        "from, to": f"{found.first}, {found.newest}",
        "newest hash": found.hash,
        "signed": f"{found.signed:,}, good signatures {found.vouched:,}",
        "checkpoint agrees": found.checked_to or "none",
        "seconds": f"{found.seconds:.2f}",
    }
    return "\n".join([fields(shown), *found.notes])


# --- Export ---------------------------------------------------------------------------


def export(call: Call) -> Answer:
    """Write the entries of the audit log as JSON Lines or CSV, the oldest first."""
    call.must_see("auditentry")
    options = call.options
    since, until = options.since, options.until
    found = _wanted(call)
    if since:
        found = found.filter(time__gte=since)
    if until:
        found = found.filter(time__lt=until)
    named = {
        **{name: getattr(options, name) for name in ("actor", "action", "outcome")},
        "job": options.job,
        "without": options.without,
        "since": when(since),
        "until": when(until),
    }
    filters = {name: str(value) for name, value in named.items() if value}
    with _target(options.output) as target:
        told = exports.write(log.entries(found), target, options.format, filters)
    record = {"file": options.output and str(options.output), **told.data()}
    return Answer(
        record,
        f"{told.entries:,} entries in {options.output}.",
        streamed=options.output is None,
    )


@contextmanager
def _target(path: Path | None) -> Iterator[TextIO]:
    """Yield where to write: standard output, or a file that appears when whole."""
    if path is None:
        yield from _standard_output()
        return
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        unfinished = Path(name)
        try:
            with open(number, "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(number)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{path} was not written: {error.strerror}.") from error


def _standard_output() -> Iterator[TextIO]:
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError as error:
        # Python flushes once more at its end, and nobody listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Failure("Whoever read the export went away.") from error
