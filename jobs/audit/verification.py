"""Reading the chain: is it whole, and if not, which entry is the first bad one?

It reads entries one after the other, from the database or from an export, and keeps
none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain as one_after_the_other
from typing import Any

from jobs.audit.chain import GENESIS, Entry, Keyring, canonical, digest
from jobs.audit.checkpoints import Checkpoint

# How far from its place the origin of an entry is looked for.
FAR = 10_000


class Kind(StrEnum):
    """What is wrong with an entry."""

    EDITED = "edited"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT_OFF = "cut off"
    UNSIGNED = "not signed"
    UNREADABLE = "not readable"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Bad:
    """The first bad entry: its number in the chain, what happened to it, how it shows.

    `number` is None for what never had a place in the chain; `entry` is its id then.
    """

    number: int | None
    kind: Kind
    text: str
    entry: int | None = None


Checkpoints = Iterable[tuple[int, Checkpoint | None]]


@dataclass
class Checker:
    """Checks entries as they come. With `gaps` entries between may be left out."""

    keys: Keyring
    checkpoints: Checkpoints = ()
    gaps: bool = False
    entries: int = 0
    signed: int = 0
    vouched: int = 0  # of the signed ones, those whose key is known
    first: int = 0
    last: Entry | None = None
    checked_to: int = 0
    checkpoints_read: int = 0
    damaged_lines: int = 0
    _left: Iterator[tuple[int, Checkpoint | None]] = field(init=False, repr=False)
    _next: Checkpoint | None = field(default=None, init=False, repr=False)
    _begun: bool = field(default=False, init=False, repr=False)
    _signed_checkpoint: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._left = iter(self.checkpoints)

    @property
    def newest(self) -> int:
        """The number of the last good entry; 0 before the first."""
        return int(self.last.content["number"]) if self.last else 0

    def check(self, entries: Iterable[Entry]) -> Bad | None:
        """Read entries, after those read before; return the first bad one, or None."""
        stream = iter(entries)
        bad = self._begin()
        if bad is not None:
            return bad
        for entry in stream:
            bad = self._judge(entry) or self._compare(entry)
            if bad is not None:
                return self._explained(bad, entry, stream)
            self.entries += 1
            self.signed += bool(entry.mac)
            self.first = self.first or entry.content["number"]
            self.last = entry
        return None

    # --- One entry ------------------------------------------------------------------

    def _judge(self, entry: Entry) -> Bad | None:
        content = entry.content
        number, expected = content.get("number"), self.newest + 1
        if type(number) is not int:
            return Bad(expected, Kind.UNREADABLE, "An entry's number is no number.")
        bad = self._place(number, expected)
        if bad is not None:
            return bad
        try:
            data = canonical(content)
        except (TypeError, ValueError, RecursionError):
            return Bad(
                number, Kind.EDITED, f"Entry {number} holds what no entry can hold."
            )
        if digest(data) != entry.hash:
            return Bad(number, Kind.EDITED, f"Entry {number} is not what was written.")
        return self._link(number, content) or self._signature(number, entry, data)

    def _place(self, number: int, expected: int) -> Bad | None:
        if number < expected:
            return Bad(
                number,
                Kind.INSERTED,
                f"After entry {expected - 1} comes one with the number {number}.",
            )
        if number > expected and not self.gaps:
            which = (
                f"Entry {expected} is"
                if number == expected + 1
                else f"Entries {expected} to {number - 1} are"
            )
            return Bad(expected, Kind.REMOVED, f"{which} missing.")
        return None

    def _link(self, number: int, content: dict[str, Any]) -> Bad | None:
        before = self.last.hash if self.last else GENESIS
        if number != self.newest + 1 or content["previous"] == before:
            return None
        if self.last is None:
            return Bad(number, Kind.EDITED, "The first entry names one before it.")
        return Bad(
            number - 1,
            Kind.EDITED,
            f"Entry {number} was written after another entry {number - 1} than the one "
            "that is here now.",
        )

    def _signature(self, number: int, entry: Entry, data: bytes) -> Bad | None:
        key = entry.content["key"]
        if not key and not entry.mac:
            if self.signed:
                return Bad(
                    number,
                    Kind.UNSIGNED,
                    f"Entry {number} is not signed, though those before it are.",
                )
            return None
        if not self.keys.keys:
            return None  # nobody gave a key to check with
        if key not in self.keys.keys:
            return Bad(
                number,
                Kind.UNSIGNED,
                f"Entry {number} is signed with the key {key}, which is not among "
                "those given.",
            )
        if not self.keys.vouches(key, data, entry.mac):
            return Bad(
                number,
                Kind.EDITED,
                f"The signature of entry {number} was not made with the key.",
            )
        self.vouched += 1
        return None

    # --- Checkpoints ----------------------------------------------------------------

    def _begin(self) -> Bad | None:
        begun, self._begun = self._begun, True
        return None if begun else self._step()

    def _step(self) -> Bad | None:
        """Go to the next checkpoint; return what is wrong with it, if anything."""
        before, self._next = self._next, None
        for line, found in self._left:
            if found is None:
                self.damaged_lines += 1
                continue
            self.checkpoints_read += 1
            bad = self._checkpoint_signature(line, found)
            if bad is None and before is not None and found.number < before.number:
                bad = Bad(
                    found.number + 1,
                    Kind.CUT_OFF,
                    f"The checkpoints go back from {before.number} to {found.number} "
                    f"in line {line}: the log had been cut off.",
                )
            self._next = found
            return bad
        return None

    def _checkpoint_signature(self, line: int, found: Checkpoint) -> Bad | None:
        if not self.keys.keys:
            return None
        if not found.key and not self._signed_checkpoint:
            return None  # from before there was a key
        self._signed_checkpoint = True
        if self.keys.vouches(found.key, found.signed_data, found.mac):
            return None
        return Bad(
            found.number,
            Kind.CHECKPOINT,
            f"The checkpoint in line {line} was not written by the console: its "
            "signature was not made with the key.",
        )

    def _compare(self, entry: Entry) -> Bad | None:
        """Compare an entry with the checkpoints that tell of it."""
        number = entry.content["number"]
        while self._next is not None and self._next.number <= number:
            known = self._next
            if known.number == number and known.hash != entry.hash:
                return Bad(
                    number,
                    Kind.EDITED,
                    f"Entry {number} is another than the one of which the checkpoint "
                    f"of {known.time} tells: the log was written anew from an entry "
                    f"after {self.checked_to} on.",
                )
            if known.number == number:
                self.checked_to = number
            bad = self._step()
            if bad is not None:
                return bad
        return None

    def cut_off(self, until: str | None = None) -> Bad | None:
        """Return what is cut off at the end, if a checkpoint tells of more entries.

        With `until` (a time as the chain writes it) only of those up to then.
        """
        while self._next is not None:
            known = self._next
            if known.number > self.newest and (until is None or known.time <= until):
                return Bad(
                    self.newest + 1,
                    Kind.CUT_OFF,
                    f"The log ends with entry {self.newest}; the checkpoint of "
                    f"{known.time} tells of entry {known.number}.",
                )
            bad = self._step()
            if bad is not None:
                return bad
        return None

    def unsigned(self) -> Bad | None:
        """Return what is wrong if a key is given and not one entry is signed."""
        if not self.keys.keys or self.signed or not self.entries:
            return None
        return Bad(
            self.newest,
            Kind.UNSIGNED,
            "A key is given, and not one entry is signed. If the key is new, the next "
            "entry is; otherwise the log was written anew.",
        )

    # --- Explaining -----------------------------------------------------------------

    def _explained(self, bad: Bad, entry: Entry, rest: Iterator[Entry]) -> Bad:
        """Say more of a bad entry, from where it came and what follows."""
        if bad.kind is Kind.REMOVED:
            return self._missing(bad, rest)
        if bad.kind is Kind.EDITED and bad.number == entry.content["number"]:
            return self._moved(bad, entry, rest)
        return bad

    def _missing(self, bad: Bad, rest: Iterator[Entry]) -> Bad:
        if not any(later.content.get("number") == bad.number for later in rest):
            return bad
        text = f"Entry {bad.number} is not in its place but further down."
        return Bad(bad.number, Kind.REORDERED, text)

    def _moved(self, bad: Bad, entry: Entry, rest: Iterator[Entry]) -> Bad:
        here = entry.content["number"]
        origin = _origin(entry)
        if origin is None:
            return bad
        came = f"What is entry {here} now was written as entry {origin}"
        if origin < here:
            return Bad(origin, Kind.INSERTED, f"{came}: an entry was put in before it.")
        wanted = entry.content["previous"]
        later = one_after_the_other([entry], rest)
        if any(found.hash == wanted for found in later):
            return Bad(here, Kind.REORDERED, f"{came}: entries were exchanged.")
        return Bad(here, Kind.REMOVED, f"{came}: those before it were removed.")


def _origin(entry: Entry) -> int | None:
    """Return the number with which an entry is what was written; None if none near."""
    here: int = entry.content["number"]
    for distance in range(1, FAR):
        for number in (here - distance, here + distance):
            try:
                data = canonical({**entry.content, "number": number})
            except (TypeError, ValueError, RecursionError):
                return None
            if digest(data) == entry.hash:
                return number
    return None
