"""What a rule says: how grave it is, the cause, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from jobs.said import from_json as said_from_json
from jobs.said import joined
from jobs.said import to_json as said_to_json


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
        return self.sentence

    @property
    def sentence(self) -> str:
        """Cause and remedy, one after the other."""
        return joined(self.cause, self.remedy)


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


def finding_to_json(found: Finding) -> dict[str, Any]:
    """One dict of texts, in English."""
    return {**asdict(found), "level": found.level.value}


def findings_to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """What is kept with a job: one dict of texts for each finding.

    The texts are English; `said` has what it takes to tell them in other languages.
    """
    return [{**finding_to_json(found), "said": _said(found)} for found in findings]


def findings_from_json(kept: Iterable[dict[str, Any]]) -> list[Finding]:
    """The findings that `findings_to_json` made this of."""
    return [_from_json(**entry) for entry in kept]


_SENTENCES = ("cause", "remedy", "evidence")


def _said(found: Finding) -> dict[str, Any]:
    said = {name: said_to_json(getattr(found, name)) for name in _SENTENCES}
    return {name: kept for name, kept in said.items() if kept is not None}


def _from_json(
    level: str, said: Mapping[str, Any] | None = None, **kept: str
) -> Finding:
    told = {
        name: said_from_json(kept[name], each) for name, each in (said or {}).items()
    }
    return Finding(level=Level(level), **{**kept, **told})
