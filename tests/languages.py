"""A language in which every text shows that it was translated."""

from __future__ import annotations

from gettext import NullTranslations

import pytest
from django.utils.translation import trans_real

OPEN, CLOSE = "⟦", "⟧"


class Marked(NullTranslations):
    """Puts every text between ⟦ and ⟧, and so leads where none should be."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return self.ngettext(msgid1, msgid2, n)

    def language(self) -> str:
        return "de"

    def to_language(self) -> str:
        return "de"


def mark_german(
    patch: pytest.MonkeyPatch, instead: NullTranslations | None = None
) -> None:
    """Have German be marked English, or `instead`; its numbers stay German."""
    trans_real.translation("de")
    known = trans_real._translations  # type: ignore[attr-defined]
    patch.setitem(known, "de", instead or Marked())
