"""Sentences that are English in records and translated on pages."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from collections.abc import Iterator
from gettext import NullTranslations
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils import translation
from django.utils.html import conditional_escape, format_html

from jobs.lifecycle import State
from jobs.said import (
    Said,
    from_json,
    joined,
    localized,
    recalled,
    say,
    say_many,
    to_json,
)
from jobs.units import bandwidth_text, bytes_text, rough_text
from tests.language.marks import LANGUAGE, marking

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture
def german() -> Iterator[None]:
    with marking(), translation.override(LANGUAGE):
        yield


def shown(text: str) -> str:
    return Template("{{ text }}").render(Context({"text": text}))


def test_a_record_is_english_whatever_the_language(german: None) -> None:
    said = say("%(domain)s is %(state)s.", domain="web", state=State.COPYING.label)
    assert said == "web is copying."
    assert f"{said}" == str(said) == "".join([said]) == "web is copying."
    assert json.dumps(said) == '"web is copying."'


def test_a_page_shows_it_in_the_readers_language(german: None) -> None:
    said = say("%(domain)s is %(state)s.", domain="<b>", state=State.COPYING.label)
    assert localized(said) == "⟦<b> is ⟦copying⟧.⟧"
    assert shown(said) == "⟦&lt;b&gt; is ⟦copying⟧.⟧"
    assert format_html("<p>{}</p>", said) == "<p>⟦&lt;b&gt; is ⟦copying⟧.⟧</p>"


def test_in_english_nothing_is_added() -> None:
    said = say("100 % of it")
    assert said == localized(said) == shown(said) == "100 % of it"


def test_a_plain_text_and_a_name_are_nobodys_to_translate(german: None) -> None:
    assert localized("copying") == "copying"
    assert localized("") == "" == localized(joined("", ""))
    assert localized(say("to %(name)s", name="copying")) == "⟦to copying⟧"


def test_one_and_many(german: None) -> None:
    for count, english in ((1, "1 job"), (2, "2 jobs")):
        said = say_many("%(count)d job", "%(count)d jobs", count)
        assert (said, localized(said)) == (english, f"⟦{english}⟧")


def test_sentences_one_after_the_other(german: None) -> None:
    said = joined(say("No."), "", "web", say("Stop."))
    assert said == "No. web Stop."
    assert localized(said).replace("⟦", "").replace("⟧", "") == "No. web Stop."
    assert "⟦No.⟧ web ⟦Stop.⟧" in localized(said)


def test_numbers_are_written_as_the_reader_writes_them(german: None) -> None:
    size = bytes_text(1536)
    assert (size, localized(size)) == ("1.5 KiB", "⟦1,5 KiB⟧")
    assert bandwidth_text(1536) == "1.5 KiB/s"
    assert "1,5" in localized(bandwidth_text(1536))
    assert localized(bytes_text(None)) == "⟦unknown⟧"
    assert localized(rough_text(3 * 3600 + 1200)) == "⟦3 h 20 min⟧"


def test_it_goes_through_json_and_comes_back(german: None) -> None:
    said = say_many(
        "%(where)s has %(count)d job of %(size)s",
        "%(where)s has %(count)d jobs of %(size)s",
        2,
        where=say("the pool %(name)s", name="fast"),
        size=bytes_text(1536),
    )
    kept = json.loads(json.dumps([said, to_json(said)]))
    again = from_json(*kept)
    assert again == said
    assert localized(again) == localized(said)


def test_what_was_kept_must_say_the_same() -> None:
    assert localized(from_json("web runs.", None)) == "web runs."
    other = to_json(say("%(domain)s is gone.", domain="web"))
    assert type(from_json("web runs.", other)) is str


def test_copies_of_it_say_the_same(german: None) -> None:
    said = say("%(domain)s runs.", domain="web")
    for again in (copy.deepcopy(said), pickle.loads(pickle.dumps(said))):
        assert isinstance(again, Said)
        assert localized(again) == "⟦web runs.⟧"


KNOWN = {"The copy failed.": "Die Kopie schlug fehl.", "Wait. Then pivot.": "Warten."}


class Knowing(NullTranslations):
    """A language that knows little."""

    def gettext(self, message: str) -> str:
        return KNOWN.get(message, message)

    def to_language(self) -> str:
        return "de"


def test_what_was_written_down_is_told_as_far_as_it_is_known() -> None:
    kept = "The copy failed. QEMU said: e. g. nothing. Wait. Then pivot."
    with marking(Knowing()), translation.override(LANGUAGE):
        told = recalled(kept)
        assert told == "Die Kopie schlug fehl. QEMU said: e. g. nothing. Warten."
        assert recalled("") == ""
        assert recalled("Who knows.") == "Who knows."
    assert recalled(kept) == kept


# --- Every call in the product --------------------------------------------------------


def calls() -> Iterator[tuple[str, ast.Call, int]]:
    """Yield every call of say and say_many, where it is, and how many its messages."""
    for file in JOBS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                count = {"say": 1, "say_many": 2}.get(node.func.id)
                if count and file.name != "said.py":
                    yield f"{file.name}:{node.lineno}", node, count


def test_every_message_is_a_literal_that_is_told_what_it_names() -> None:
    found = 0
    for where, call, count in calls():
        told = {keyword.arg for keyword in call.keywords}
        for message in call.args[:count]:
            assert isinstance(message, ast.Constant), where
            assert isinstance(message.value, str), where
            names = set(re.findall(r"%\((\w+)\)", message.value))
            given = told | ({"count"} if count == 2 else set())
            assert None in told or names <= given, where
            assert None in told or count == 2 or told <= names, where
            found += 1
    assert found > 100


def test_what_is_escaped_once_is_not_escaped_again() -> None:
    """Django's admin puts what it has made safe into its templates as any text."""
    said = say("libvirt's default")
    assert shown(conditional_escape(said)) == shown(said) == "libvirt&#x27;s default"
