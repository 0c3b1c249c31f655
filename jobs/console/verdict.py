"""What is known of a copy that somebody is about to ask for, as its page shows it.

An answer of the host counts only for exactly what the form says now: it is looked up
by the request's digest, and while there is none the page says that it asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs import actions, checks
from jobs.actor import Actor
from jobs.checks import Checked
from jobs.console.copy_fields import FORMATS
from jobs.console.copy_form import CopyForm
from jobs.preflight import Finding, Level, preflight, preflights
from jobs.said import say, say_many

# Rules that must pass before it makes sense to ask the host.
FIRST = frozenset({"host_answers", "destination_makes_sense", "options_make_sense"})
# A host that has not answered for so long (seconds) is called silent.
LONG = 8.0
STEP = 0.03


@dataclass(frozen=True)
class ShownFinding:
    """A finding with the field that it is about and, for a warning, its acceptance."""

    finding: Finding
    home: str
    token: str
    accepted: bool


@dataclass(frozen=True)
class Verdict:
    """Every finding by its level, and whether the host has had its say.

    `key` names the question to the host, "" if it was not asked; `checked` is its
    answer. `asked_at` is the time (seconds since the epoch) of the first asking.
    `nowhere`: a kind of destination was just chosen and nothing is said of it yet,
    which is no reason to complain.
    """

    shown: tuple[ShownFinding, ...]
    key: str = ""
    checked: Checked | None = None
    asked_at: float = 0.0
    nowhere: bool = False
    kept_tokens: tuple[str, ...] = field(default=())

    @property
    def asking(self) -> bool:
        """Whether the host was asked and has not answered yet."""
        return bool(self.key) and self.checked is None

    @property
    def overdue(self) -> bool:
        """Whether it takes longer than a healthy host and worker would."""
        return self.asking and self.seconds_asked > LONG

    @property
    def seconds_asked(self) -> float:
        """Seconds since the host was first asked this."""
        return max(0.0, time.time() - self.asked_at)

    def _of(self, level: Level) -> list[ShownFinding]:
        return [shown for shown in self.shown if shown.finding.level == level]

    @property
    def stops(self) -> list[ShownFinding]:
        return self._of(Level.STOP)

    @property
    def warnings(self) -> list[ShownFinding]:
        return self._of(Level.WARN)

    @property
    def notices(self) -> list[ShownFinding]:
        return self._of(Level.NOTICE)

    @property
    def passed(self) -> list[ShownFinding]:
        return self._of(Level.PASS)

    @property
    def open_warnings(self) -> list[ShownFinding]:
        """The warnings that nobody has accepted yet."""
        return [shown for shown in self.warnings if not shown.accepted]

    @property
    def any_accepted(self) -> bool:
        return any(shown.accepted for shown in self.warnings)

    @property
    def why_not(self) -> str:
        """Say why the copy can't be started now; empty when it can."""
        if self.nowhere:
            return say("Say where the copy goes.")
        if self.stops:
            return self.stops[0].finding.cause
        if self.open_warnings:
            return say_many(
                "Accept the warning first, or change what it is about.",
                "Accept the %(count)d warnings first, or change what they are about.",
                len(self.open_warnings),
            )
        return ""


def verdict_of(
    form: CopyForm, actor: Actor, may_ask: bool, patience: float = 0.0
) -> Verdict:
    """Judge what `form` asks for, and ask the host if it was not asked yet.

    Waits at most `patience` seconds for its answer.
    """
    return _verdict(form, preflight(form.wanted), actor, may_ask, patience)


def verdicts_of(
    forms: Sequence[CopyForm], actor: Actor, may_ask: bool, patience: float = 0.0
) -> list[Verdict]:
    """Judge what each of `forms` asks for, and ask its host about all of them before
    any answer is waited for, at most `patience` seconds for each."""
    known = preflights(form.wanted for form in forms)
    judged = list(zip(forms, known, strict=True))
    asked = [_verdict(form, found, actor, may_ask) for form, found in judged]
    if not patience:
        return asked
    return [_verdict(form, found, actor, may_ask, patience) for form, found in judged]


def _verdict(
    form: CopyForm,
    known: list[Finding],
    actor: Actor,
    may_ask: bool,
    patience: float = 0.0,
) -> Verdict:
    if form.nowhere:
        complaint = "destination_makes_sense"
        rest = [found for found in known if found.rule != complaint]
        return _shown(form, rest, nowhere=True)
    if not may_ask or form.errors or _not_yet(known):
        return _shown(form, known)
    key = actions.ask_check(form.wanted, actor)
    checked = wait_for(key, patience)
    found = _together(known, checked.findings) if checked else known
    return _shown(form, found, key=key, checked=checked, asked_at=_asked_at(form, key))


def _not_yet(known: list[Finding]) -> bool:
    return any(found.level == Level.STOP and found.rule in FIRST for found in known)


def format_found(form: CopyForm, actor: Actor, patience: float) -> str:
    """Return the format of what lies at the form's destination, "" for unknown.

    Asks the host, and waits at most `patience` seconds for it.
    """
    if form.errors or _not_yet(preflight(form.wanted)):
        return ""
    checked = wait_for(actions.ask_check(form.wanted, actor), patience)
    return checked.found if checked and checked.found in FORMATS else ""


def wait_for(key: str, patience: float) -> Checked | None:
    """Return the host's answer; None if there is none after `patience` seconds."""
    end = time.monotonic() + patience
    while (checked := checks.result(key)) is None and time.monotonic() < end:
        time.sleep(STEP)
    return checked


def _together(known: list[Finding], seen: Iterable[Finding]) -> list[Finding]:
    """Return what the host showed, and what the database knows against it since."""
    by_rule = {found.rule: found for found in seen}
    for found in known:
        if found.level == Level.STOP or found.rule not in by_rule:
            by_rule[found.rule] = found
    return list(by_rule.values())


def _asked_at(form: CopyForm, key: str) -> float:
    """Return when the page first asked this; it carries that time along."""
    data: Mapping[str, Any] = form.data
    asked, _, when = str(data.get("asked", "")).partition("@")
    try:
        return float(when) if asked == key else time.time()
    except ValueError:
        return time.time()


def _shown(form: CopyForm, findings: list[Finding], **known: Any) -> Verdict:
    shown = tuple(
        ShownFinding(
            finding=found,
            home=form.home(found.field) or "",
            token=form.token(found),
            accepted=found.rule in form.wanted.accepted,
        )
        for found in findings
    )
    visible = {each.token for each in shown if each.finding.level == Level.WARN}
    kept = tuple(token for token in form.tokens if token not in visible)
    return Verdict(shown, kept_tokens=kept, **known)
