"""What preflight finds, as JSON and as text, and the way to accept a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from jobs.commandline.records import Record
from jobs.commandline.text import table
from jobs.preflight import Finding, Level, finding_to_json


def finding_records(
    findings: Sequence[Finding], accepted: Collection[str] = ()
) -> list[Record]:
    """Return findings; `accepted` is true for a warning that somebody accepts."""
    return [
        finding_to_json(found)
        | {"accepted": found.level == Level.WARN and found.rule in accepted}
        for found in findings
    ]


def findings_text(findings: Sequence[Finding], accepted: Collection[str] = ()) -> str:
    """Return a table of what people should read, the gravest first, and how many rules
    have nothing to say; "" for no findings at all."""
    told = [found for found in findings if found.level != Level.PASS]
    told.sort(key=lambda found: _GRAVITY.index(found.level))
    rows = [(_level(found, accepted), found.rule, str(found)) for found in told]
    shown = table(("LEVEL", "RULE", "FINDING"), rows) if rows else ""
    return "\n".join(filter(None, [shown, _passed(findings)]))


_GRAVITY = (Level.STOP, Level.WARN, Level.NOTICE, Level.PASS)


def _level(found: Finding, accepted: Collection[str]) -> str:
    taken = found.level == Level.WARN and found.rule in accepted
    return "accepted" if taken else str(found.level)


def _passed(findings: Iterable[Finding]) -> str:
    count = sum(found.level == Level.PASS for found in findings)
    if not count:
        return ""
    return f"{count} rule{'' if count == 1 else 's'} passed."


def how_to_accept(findings: Iterable[Finding]) -> str:
    """Return the options with which these warnings would be accepted, "" for none."""
    rules = sorted({found.rule for found in findings if found.level == Level.WARN})
    words = " ".join(f"--accept {rule}" for rule in rules)
    return f"Accept with: {words} --reason TEXT" if words else ""
