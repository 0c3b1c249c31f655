"""Names in sentences, and names that a person types.

Domains, files and people may be called anything: written from right to left, of signs
that nobody sees, or as long as a database allows.
"""

from __future__ import annotations

import unicodedata

from jobs.said import say

# Names in a sentence before it says "and 7 more".
MOST_NAMES = 4
# Characters of a name in a sentence about many; their rows have it whole.
LONG = 60
_ISOLATES = dict.fromkeys(range(0x2066, 0x206A))


def alone(name: str) -> str:
    """Return a name for a sentence, that turns nothing around it.

    A name written from right to left, or one that only says so, would turn the rest
    of the sentence around: it is put between Unicode's isolates, of which it may have
    none of its own, since they would end that.
    """
    return name if name.isascii() else f"\u2068{name.translate(_ISOLATES)}\u2069"


def short(name: str) -> str:
    """Return a name for a sentence about many, cut if it is very long."""
    return alone(name if len(name) <= LONG else f"{name[:LONG]}…")


def some(names: list[str]) -> str:
    """Return names as in a sentence: "a", "a and b", "a, b, c, d and 7 more"."""
    if len(names) > MOST_NAMES:
        return say(
            "%(names)s and %(more)d more",
            names=", ".join(names[:MOST_NAMES]),
            more=len(names) - MOST_NAMES,
        )
    if len(names) < 2:
        return "".join(names)
    return say("%(names)s and %(last)s", names=", ".join(names[:-1]), last=names[-1])


def typable(text: str) -> str:
    """Return what of `text` a person can see and type.

    Without signs that only steer the others, composed, with single spaces: what two
    texts have in common that look the same. It may be empty.
    """
    kept = (sign for sign in text if not _unseen(sign))
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def _unseen(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf") and not sign.isspace()
