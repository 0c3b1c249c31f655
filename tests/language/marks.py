"""A language in which every translated text stands between marks, and what reads them.

With it a page shows which of its texts never went through gettext: those outside the
marks. Data (names, paths, numbers) stands outside too, and is told apart by where it
stands or by being known to the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from gettext import NullTranslations
from html.parser import HTMLParser
from unittest.mock import patch

from django.utils.translation import trans_real

BEGIN, END = "⟦", "⟧"
LANGUAGE = "de"  # in whose place the marks stand

# --- The language -------------------------------------------------------------------


class Marked(trans_real.DjangoTranslation):
    """Translates each text into itself between marks."""

    def gettext(self, message: str) -> str:
        return _marked(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return _marked(msgid1 if n == 1 else msgid2)


def _marked(message: str) -> str:
    # What stands before the separator is the message's context.
    return f"{BEGIN}{message.rpartition(trans_real.CONTEXT_SEPARATOR)[2]}{END}"


@contextmanager
def marking(instead: NullTranslations | None = None) -> Iterator[None]:
    """Have pages in German say marked texts, or what `instead` says."""
    with patch.dict(vars(trans_real)["_translations"]) as loaded:
        loaded[LANGUAGE] = instead or Marked(LANGUAGE)
        yield


# --- What reads a page --------------------------------------------------------------

_SAID = ("title", "placeholder", "aria-label", "alt", "data-announce", "label")
_VOID = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"),
    *("source", "track", "wbr"),
}
# Nobody reads what stands in these, or it is data by their meaning.
_UNREAD = {"script", "style", "template", "code", "pre", "bdi"}
_LETTERS = re.compile(r"[^\W\d_]{2,}")


class _Reader(HTMLParser):
    """Collects the texts of a page that stand outside the marks."""

    def __init__(self, data_classes: Iterable[str]) -> None:
        super().__init__()
        self.data_classes = frozenset(data_classes)
        self.outside: list[tuple[str, str]] = []  # where, what
        self.depth = 0  # how many marks are open
        self.stack: list[tuple[str, bool]] = []  # of element, and whether it holds data

    @property
    def in_data(self) -> bool:
        return any(data for _, data in self.stack)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        classes = set(found.get("class", "").split())
        data = (
            tag in _UNREAD
            or bool(classes & self.data_classes)
            or found.get("translate") == "no"
        )
        if not (self.in_data or data):
            self._read_attributes(tag, found)
        if tag not in _VOID:
            self.stack.append((tag, data))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        outside = self._outside(data)
        if outside and not self.in_data:
            where = ".".join(tag for tag, _ in self.stack[-3:])
            self.outside.append((where, outside))

    def _read_attributes(self, tag: str, attributes: dict[str, str]) -> None:
        names = list(_SAID)
        if tag == "input" and attributes.get("type") in ("submit", "button", "reset"):
            names.append("value")
        if tag == "meta":
            names.clear()
        for name in names:
            if outside := _outside_of(attributes.get(name, "")):
                self.outside.append((f"{tag}[{name}]", outside))

    def _outside(self, data: str) -> str:
        """Return what of `data` no mark is open around; marks may span elements."""
        kept = []
        for sign in data:
            if sign == BEGIN:
                self.depth += 1
            elif sign == END:
                self.depth -= 1
            elif not self.depth:
                kept.append(sign)
        return "".join(kept)


def _outside_of(value: str) -> str:
    reader = _Reader(())
    return reader._outside(value)


def unmarked(
    page: str, known: Iterable[str] = (), data_classes: Iterable[str] = ()
) -> list[str]:
    """Return the texts of `page` outside the marks, each with the place where it is.

    `known`: data that may stand anywhere. `data_classes`: classes of elements that hold
    data and nothing else.
    """
    reader = _Reader(data_classes)
    reader.feed(page)
    reader.close()
    assert not reader.depth, "a mark is not closed"
    longest_first = sorted(known, key=len, reverse=True)
    whole = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    found = []
    for where, text in reader.outside:
        rest = whole.sub(" ", text) if longest_first else text
        if _LETTERS.search(rest):
            found.append(f"{where}: {' '.join(text.split())}")
    return found
