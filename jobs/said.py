"""Sentences that are written down as well as read on pages.

A record is one thing for everybody, whatever language its reader speaks. So such a
sentence is English as a str: in the audit log, a job's events, exports, JSON, and on
the command line. Where a page shows it (Django's templates ask for `__html__`, other
code for `localized`), it is in the reader's language.

    say("%(domain)s is not running.", domain=domain.name)

The first argument is a literal, for makemessages to find. Whoever builds a longer str
of one loses the translation and never the English; `joined` keeps both.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from gettext import NullTranslations
from typing import Any, Protocol


class Language(Protocol):
    """What knows the reader's language."""

    def gettext(self, message: str, /) -> str: ...

    def ngettext(self, singular: str, plural: str, number: int, /) -> str: ...

    def decimal_point(self) -> str: ...

    def moment(self, at: datetime, /) -> str: ...


class English(NullTranslations):
    """Nobody has told yet who reads."""

    def decimal_point(self) -> str:
        return "."

    def moment(self, at: datetime) -> str:
        return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


ENGLISH = English()


class _Speaker:
    language: Language = ENGLISH


def speak_through(language: Language) -> None:
    """Have all sentences told through `language` from now on."""
    _Speaker.language = language


class Markup(str):
    """What stands in HTML as it is, however often it is asked."""

    def __html__(self) -> str:
        return self


class Said(str):
    """A sentence in English that can be told in other languages; made by `say`."""

    message = ""
    plural = ""
    number = 0
    told: Mapping[str, Any] = {}

    def __html__(self) -> str:
        return Markup(html.escape(localized(self)))

    def through(self, language: Language) -> str:
        """Return it in `language`."""
        if not self.message:
            return str(self)
        if self.plural:
            message = language.ngettext(self.message, self.plural, self.number)
        else:
            message = language.gettext(self.message)
        if not self.told:
            return message
        return message % {name: _inner(value) for name, value in self.told.items()}


def say(message: str, /, **told: Any) -> Said:
    """Return `message` with its %(name)s filled in; without `told` it is as it stands.

    What is told may itself be Said, and is then translated with the rest.
    """
    told = _plain(told)
    said = Said(message % told if told else message)
    said.message, said.told = message, told
    return said


def say_many(singular: str, plural: str, count: int, /, **told: Any) -> Said:
    """Return one of two messages, as `count` (%(count)d in them) asks for."""
    told = _plain({"count": count, **told})
    said = Said((singular if count == 1 else plural) % told)
    said.message, said.plural, said.number, said.told = singular, plural, count, told
    return said


class Figure(Said):
    """A number as people write it: "1.5", and "1,5" to a reader who writes that."""

    def through(self, language: Language) -> str:
        return self.replace(".", language.decimal_point())


class Moment(Said):
    """A time to the minute: in UTC, and in the zone of the reader."""

    at: datetime

    @classmethod
    def of(cls, at: datetime) -> Moment:
        moment = cls(ENGLISH.moment(at))
        moment.at = at
        return moment

    def through(self, language: Language) -> str:
        return language.moment(self.at)


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Return what can be told in JSON too: a host tells its name."""
    return {
        name: value if isinstance(value, (str, int, float)) else str(value)
        for name, value in told.items()
    }


def joined(*sentences: str) -> Said:
    """Return sentences one after the other, without the empty ones."""
    there = {f"s{place}": each for place, each in enumerate(sentences) if each}
    if not there:
        return Said()
    return say(" ".join(f"%({name})s" for name in there), **there)


def listed(items: Sequence[str]) -> Said:
    """Return items as "a, b, c"."""
    there = {f"s{place}": each for place, each in enumerate(items)}
    return say(", ".join(f"%({name})s" for name in there), **there) if there else Said()


def localized(text: object) -> str:
    """Return `text` in the language that is active now; English for a plain str."""
    return text.through(_Speaker.language) if isinstance(text, Said) else str(text)


def _inner(value: Any) -> Any:
    return localized(value) if isinstance(value, Said) else value


def recalled(text: str) -> str:
    """Return what was written down in the language that is active now, as far as its
    sentences are messages as they stand; the others in English.

    For records that keep no more than their text: a failure, a host's error.
    """
    if isinstance(text, Said):
        return localized(text)
    return " ".join(_recalled(_SENTENCES.split(text))) if text else ""


# A full stop belongs to a name, too; then nothing is found, and it stays English.
_SENTENCES = re.compile(r"(?<=[.!?]) ")


def _recalled(sentences: list[str]) -> Iterator[str]:
    """The longest that are known together first: a message may be of several."""
    at = 0
    while at < len(sentences):
        for end in range(len(sentences), at, -1):
            text = " ".join(sentences[at:end])
            known = _Speaker.language.gettext(text) if text else text
            if known != text or end == at + 1:
                yield known
                at = end
                break


# --- As JSON ------------------------------------------------------------------------


def to_json(text: str) -> Any:
    """Return what `from_json` makes the same of again; None for a plain str."""
    if not isinstance(text, Said) or not text.message:
        return None
    told = {name: _to(value) for name, value in text.told.items()}
    many = [text.plural, text.number] if text.plural else []
    return [text.message, told, *many]


def _to(value: Any) -> Any:
    if isinstance(value, Figure):
        return {"figure": value}
    if isinstance(value, Moment):
        return {"moment": value.at.isoformat()}
    return {"said": to_json(value), "text": value} if isinstance(value, Said) else value


def from_json(text: str, kept: Any) -> str:
    """Return `text` as it was said; the plain text where `kept` does not tell it."""
    if not isinstance(kept, list) or len(kept) not in (2, 4):
        return text
    message, told = kept[0], {name: _from(value) for name, value in kept[1].items()}
    if len(kept) == 4:
        plural, count = kept[2], kept[3]
        said = say_many(message, plural, count, **told)
    else:
        said = say(message, **told)
    return said if said == text else text


def _from(value: Any) -> Any:
    if isinstance(value, dict) and "figure" in value:
        return Figure(value["figure"])
    if isinstance(value, dict) and "moment" in value:
        return Moment.of(datetime.fromisoformat(value["moment"]))
    if isinstance(value, dict):
        return from_json(value["text"], value["said"])
    return value
