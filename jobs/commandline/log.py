"""`blockcopy audit …`: list."""

from __future__ import annotations

from jobs.commandline.answer import Answer, Call
from jobs.commandline.records import audit_record
from jobs.commandline.text import table
from jobs.models import AuditEntry, CopyJob


def list_all(call: Call) -> Answer:
    """List the newest entries of the audit log, the newest last as in a log file."""
    call.must_see("auditentry")
    wanted = {
        "actor": call.options.actor,
        "action": call.options.action,
        "outcome": call.options.outcome,
        "object_type": CopyJob._meta.verbose_name if call.options.job else None,
        "object_id": call.options.job,
    }
    found = AuditEntry.objects.filter(
        **{name: value for name, value in wanted.items() if value}
    )
    entries = list(found[: call.options.limit])[::-1]
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
