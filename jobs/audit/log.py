"""The audit log in the database: reading it as a chain of entries, and verifying it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DataError, connection
from django.db.models import QuerySet

from jobs.audit import guard
from jobs.audit.chain import FIELDS, Entry, address_text, time_text
from jobs.audit.checkpoints import read
from jobs.audit.sealing import keyring
from jobs.audit.verification import Bad, Checker, Checkpoints, Kind
from jobs.models import AuditEntry, AuditVerification
from jobs.models.audit import SIGN_INS

# What entries are called whose filters are offered; any other text may be asked for.
ACTIONS = (
    *("request", "start", "speed", "pivot", "finish", "cancel", "copy", "adopt"),
    *("create volume", "flag", "repair", "thaw", "remove leftover"),
    *("sync", "test connection", "add host", "change host"),
    *("sign in", "sign out", "add user", "change role", "change password"),
    "sign audit log",
)
# What may be left out where entries are listed or exported, by the name it is asked by.
LEFT_OUT = {"sign-ins": SIGN_INS}
PAGE = 2000  # entries in memory at a time


@dataclass(frozen=True)
class Verdict:
    """What a verification found. `seconds` is how long it took."""

    bad: Bad | None
    entries: int
    signed: int
    vouched: int
    first: int
    newest: int
    hash: str
    checked_to: int
    notes: tuple[str, ...]
    seconds: float

    @property
    def intact(self) -> bool:
        return self.bad is None

    @property
    def sentence(self) -> str:
        """What was found, for people."""
        if self.bad is not None:
            which = (
                "An entry" if self.bad.number is None else f"Entry {self.bad.number}"
            )
            return f"{which} is the first bad one ({self.bad.kind}). {self.bad.text}"
        if not self.entries:
            return "There is no entry."
        return (
            f"Whole: {self.entries:,} entries, {self.first} to {self.newest}, "
            f"{self.vouched:,} of them with a good signature."
        )


# --- Reading --------------------------------------------------------------------------


def entries(found: QuerySet[AuditEntry]) -> Iterator[Entry]:
    """Yield entries in the order of the chain, a page of them in memory.

    One that can't be read at all comes as an entry without content.
    """
    names = FIELDS[1]
    columns = (*names, "hash", "mac")
    at_number, at_id = names.index("number"), names.index("id")
    # Numbers are unique, so that the order needs no second column, which would keep
    # PostgreSQL from walking along the index; should somebody have made two the same,
    # the page after begins with the number at which the one before ended.
    in_order = found.filter(number__isnull=False).order_by("number")
    last: tuple[int, int] | None = None
    size = PAGE
    while True:
        page = in_order.filter(number__gte=last[0]) if last else in_order
        try:
            rows = list(page.values_list(*columns)[: size + bool(last)])
        except (DataError, ValueError, TypeError, OverflowError):
            if size == 1:
                yield Entry({"number": last[0] + 1 if last else 1}, "", "")
                return
            size = 1  # up to the one that can't be read
            continue
        fresh = [row for row in rows if last is None or row[at_id] != last[1]]
        for row in fresh:
            yield _entry(names, row)
        if len(fresh) < size:
            return
        end = fresh[-1][at_number]
        crowded = last is not None and end == last[0]  # a whole page of one number
        last = (end + crowded, fresh[-1][at_id])


def _entry(names: tuple[str, ...], row: tuple[Any, ...]) -> Entry:
    told = dict(zip(names, row, strict=False))
    try:
        told["time"] = time_text(told["time"])
        if told["address"] is not None:
            told["address"] = address_text(told["address"])
    except (ValueError, TypeError, AttributeError):
        told["time"] = None  # not what was written: the hash tells
    return Entry(told, *row[-2:])


# --- Verifying ------------------------------------------------------------------------


def checkpoint_file() -> Path | None:
    """Return where this machine's checkpoints are, if anywhere."""
    name = settings.BLOCKCOPY_AUDIT_CHECKPOINTS
    return Path(name) if name else None


def verify() -> Verdict:
    """Verify the whole chain against itself, the keys and the checkpoint file."""
    begin = time.monotonic()
    notes: list[str] = []
    checker = Checker(keyring(), lines(checkpoint_file(), notes))
    bad = (
        checker.check(entries(AuditEntry.objects.all()))
        or _without_place()
        or _cut_off(checker)
        or checker.unsigned()
    )
    lost = guard.missing(connection)
    if lost:
        notes.append(
            f"The database does not refuse changes: {', '.join(sorted(lost))} missing. "
            "“manage.py migrate” puts it back."
        )
    return verdict(checker, bad, notes, begin)


def _cut_off(checker: Checker) -> Bad | None:
    """Return what is cut off; what was appended since the reading is read too."""
    while (bad := checker.cut_off()) is not None:
        newest = checker.newest
        later = AuditEntry.objects.filter(number__gt=newest)
        worse = checker.check(entries(later))
        if worse is not None:
            return worse
        if checker.newest == newest:
            return bad
    return None


def verdict(
    checker: Checker, bad: Bad | None, notes: list[str], begin: float
) -> Verdict:
    """Return what `checker` found since the monotonic second `begin`."""
    if checker.signed and not checker.keys.keys:
        notes.append("The signatures were not checked: no BLOCKCOPY_AUDIT_KEY is set.")
    if checker.damaged_lines:
        notes.append(f"Lines of checkpoints not readable: {checker.damaged_lines}.")
    if not bad and not checker.checked_to:
        notes.append("No checkpoint tells where the log must not have ended before.")
    return Verdict(
        bad=bad,
        entries=checker.entries,
        signed=checker.signed,
        vouched=checker.vouched,
        first=checker.first,
        newest=checker.newest,
        hash=checker.last.hash if checker.last else "",
        checked_to=checker.checked_to,
        notes=tuple(notes),
        seconds=time.monotonic() - begin,
    )


def lines(path: Path | None, notes: list[str]) -> Checkpoints:
    """Yield the lines of a checkpoint file; a note if it can't be read."""
    if path is None:
        return
    try:
        yield from read(path)
    except OSError as error:
        notes.append(f"The checkpoints can't be read: {path}: {error.strerror}.")


def _without_place() -> Bad | None:
    """Find an entry that the console did not write: its own have their place."""
    pk = AuditEntry.objects.filter(number=None).values_list("pk", flat=True).first()
    if pk is None:
        return None
    text = f"The entry with the id {pk} has no place in the chain: it was put in."
    return Bad(None, Kind.INSERTED, text, entry=pk)


# --- Remembering ----------------------------------------------------------------------


def verify_and_remember() -> Verdict:
    """Verify, and store what was found for the pages."""
    found = verify()
    AuditVerification.objects.create(
        seconds=found.seconds,
        intact=found.intact,
        entries=found.entries,
        newest=found.newest,
        hash=found.hash,
        checked_to=found.checked_to,
        first_bad=found.bad.number if found.bad else None,
        text=" ".join([found.sentence, *found.notes]),
    )
    return found


def last_verification() -> AuditVerification | None:
    """Return what the last verification found, or None if there was none."""
    return AuditVerification.objects.first()
