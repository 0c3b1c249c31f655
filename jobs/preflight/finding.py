"""What a rule says: how grave it is, the cause, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How grave a finding is. A stop can't be overridden; a warning can, with a
    reason."""

    PASS = "pass"  # noqa: S105  no password
    NOTICE = "notice"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True)
class Finding:
    """One rule's answer for one request.

    `rule` is the rule's name, by which a warning is accepted; `field` the form's field
    that it is about; `evidence` what was seen, where the cause does not tell already.
    """

    rule: str
    level: Level
    cause: str
    remedy: str = ""
    field: str = "disk"
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}".strip()


def passed(cause: str, evidence: str = "", *, field: str = "disk") -> Finding:
    """Nothing speaks against it. Like its three sisters nameless: the judge knows
    which rule it asked."""
    return Finding("", Level.PASS, cause, "", field, evidence)


def notice(
    cause: str, remedy: str = "", *, field: str = "disk", evidence: str = ""
) -> Finding:
    """Nothing is wrong with it, and people should know."""
    return Finding("", Level.NOTICE, cause, remedy, field, evidence)


def warn(
    cause: str, remedy: str = "", *, field: str = "disk", evidence: str = ""
) -> Finding:
    """It may go wrong, or could not be looked at; a person may accept it."""
    return Finding("", Level.WARN, cause, remedy, field, evidence)


def stop(
    cause: str, remedy: str = "", *, field: str = "disk", evidence: str = ""
) -> Finding:
    """It would fail or destroy something, or might and nobody could look."""
    return Finding("", Level.STOP, cause, remedy, field, evidence)


def stops(findings: Iterable[Finding]) -> list[Finding]:
    """Those that nobody can override."""
    return [finding for finding in findings if finding.level == Level.STOP]


def warnings(findings: Iterable[Finding]) -> list[Finding]:
    """Those that a person may accept."""
    return [finding for finding in findings if finding.level == Level.WARN]


def not_accepted(
    findings: Iterable[Finding], accepted: Collection[str]
) -> list[Finding]:
    """The warnings whose rules are not among the `accepted` ones."""
    return [found for found in warnings(findings) if found.rule not in accepted]


def findings_to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """What is kept with a job: one dict of texts for each finding."""
    return [{**asdict(found), "level": found.level.value} for found in findings]


def findings_from_json(kept: Iterable[dict[str, Any]]) -> list[Finding]:
    """The findings that `findings_to_json` made this of."""
    return [Finding(**{**entry, "level": Level(entry["level"])}) for entry in kept]
