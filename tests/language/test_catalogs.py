"""The catalogs: in step with the sources, complete, and with each part of a text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

CATALOGS = sorted((PROJECT / "locale").glob("*/LC_MESSAGES/*.po"))
NEEDED = ("blockcopy_web", "jobs", "locale", "static", "templates", "manage.py")


def tool(*command: str | Path, check: bool = True) -> str:
    """Return what a tool of gettext's writes, errors too."""
    done = subprocess.run(
        [str(part) for part in command],
        check=check,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    return done.stdout


def messages(catalog: str) -> set[str]:
    """Return the texts to be translated, each as gettext writes it."""
    blocks = re.split(r"\n\n", catalog)
    found = (re.search(r"^msgid .*?(?=^msgstr)", b, re.M | re.S) for b in blocks)
    return {match[0] for match in found if match} - {'msgid ""\n'}


def test_there_is_german() -> None:
    assert [path.parts[-3:] for path in CATALOGS] == [
        ("de", "LC_MESSAGES", "django.po"),
        ("de", "LC_MESSAGES", "djangojs.po"),
    ]


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.name)
def test_every_text_is_translated(path: Path) -> None:
    empty = tool("msgattrib", "--untranslated", "--no-obsolete", "--no-wrap", path)
    assert messages(empty) == set()
    guessed = tool("msgattrib", "--only-fuzzy", "--no-obsolete", "--no-wrap", path)
    assert messages(guessed) == set()


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.name)
def test_every_translation_has_what_its_text_has(path: Path) -> None:
    tool("msgfmt", "--check-format", "--output-file", "/dev/null", path)


def test_the_catalogs_are_in_step_with_the_sources(tmp_path: Path) -> None:
    """`script/messages` would change no text."""
    for name in NEEDED:
        source, copied = PROJECT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, copied, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy(source, copied)
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--verbosity", "0"],
        cwd=tmp_path,
        env={**os.environ, "SECRET_KEY": "x", "DJANGO_SETTINGS_MODULE": SETTINGS},
        check=True,
    )
    for path in CATALOGS:
        anew = tmp_path / path.relative_to(PROJECT)
        told, said = (
            messages(anew.read_text("utf-8")),
            messages(path.read_text("utf-8")),
        )
        assert told - said == set(), "not in the catalog: run script/messages"
        assert said - told == set(), "no longer in the sources: run script/messages"


SETTINGS = "blockcopy_web.settings"


def test_a_missing_text_is_found() -> None:
    """The reading of catalogs above finds what it looks for."""
    catalog = 'msgid ""\nmsgstr ""\n\nmsgid "A"\nmsgstr "B"\n\n#: x\nmsgid "C"\nmsgid_'
    assert messages(f'{catalog}plural "D"\nmsgstr[0] "E"\n') == {
        'msgid "A"\n',
        'msgid "C"\nmsgid_plural "D"\n',
    }
