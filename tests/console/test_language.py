"""The reader's language: of pages, of the scripts' texts, of moments."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.template import Context, Template
from django.test import Client
from django.utils import timezone, translation

from jobs.console.clock import duration_text
from jobs.console.fields import SizeField
from jobs.console.shown import bandwidth_field
from jobs.console.views.verbs import typed_bandwidth
from jobs.said import localized
from tests.conftest import signed_in
from tests.console.rows import text_of

GERMAN = {"Accept-Language": "de-AT, en;q=0.5"}


def script_of(page: str) -> str:
    """Return the address of the texts that a page has its scripts say."""
    found = re.search(r'<script src="(/texts/[^"]+)" defer>', page)
    assert found
    return found[1]


@pytest.mark.parametrize(("asked", "language"), [("de", "de"), ("fr", "en")])
def test_the_page_says_which_language_it_is_in(asked: str, language: str) -> None:
    page = text_of(Client().get("/login/", headers={"Accept-Language": asked}))
    assert f'<html lang="{language}"' in page
    assert script_of(page).startswith(f"/texts/{language}/")


def test_scripts_speak_the_readers_language() -> None:
    address = script_of(text_of(Client().get("/login/", headers=GERMAN)))
    answer = Client().get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/javascript")
    assert '"Dismiss": "Schlie\\u00dfen"' in answer.content.decode()
    assert '"SHORT_DATETIME_FORMAT": "d.m.Y H:i:s"' in answer.content.decode()
    # They are another's, and the admin's texts are not in them.
    assert "Cancel" not in answer.content.decode()


def test_texts_are_kept_by_the_browser_until_they_are_others() -> None:
    address = script_of(text_of(Client().get("/login/")))
    assert "immutable" in Client().get(address)["Cache-Control"]
    older = re.sub(r"/[0-9a-f]+\.js$", "/0123456789ab.js", address)
    assert Client().get(older).status_code == 404
    assert Client().get(address.replace("/en/", "/xx/")).status_code == 404


def moment_for(zone: str, language: str) -> str:
    template = Template("{% load console %}{% moment when %}")
    when = datetime(2026, 11, 27, 23, 5, 9, tzinfo=UTC)
    with translation.override(language), timezone.override(zone):
        return template.render(Context({"when": when}))


def test_a_moment_is_written_in_the_readers_order_and_zone_and_utc_on_hover() -> None:
    english = moment_for("Asia/Kathmandu", "en")
    assert 'title="2026-11-27 23:05:09 UTC"' in english
    assert ">2026-11-28 04:50:09<" in english
    german = moment_for("Asia/Kathmandu", "de")
    assert 'datetime="2026-11-27T23:05:09.000+00:00"' in german
    assert 'title="27.11.2026 23:05:09 UTC"' in german
    assert ">28.11.2026 04:50:09<" in german


def test_durations_are_exact_in_each_language() -> None:
    for language in ("en", "de"):
        with translation.override(language):
            assert duration_text(2 * 86400 + 11045) == "2 d 3:04:05"


@pytest.mark.parametrize(
    ("language", "typed", "read"),
    [
        ("de", "1,5 GiB", 1.5 * 2**30),
        ("de", "1.5 GiB", 1.5 * 2**30),
        ("de", "1500", 1500),
        ("en", "1.5 GiB", 1.5 * 2**30),
        ("en", "1.500 GiB", 1.5 * 2**30),
    ],
)
def test_sizes_are_typed_in_the_readers_way(
    language: str, typed: str, read: float
) -> None:
    with translation.override(language):
        assert SizeField().clean(typed) == read
        assert typed_bandwidth(typed) == read


def test_a_size_with_two_meanings_is_refused() -> None:
    with translation.override("de"), pytest.raises(ValidationError, match="1500"):
        SizeField().clean("1.500 GiB")
    with translation.override("en"), pytest.raises(ValidationError):
        SizeField().clean("1,5 GiB")


def test_no_limit_is_typed_as_it_is_shown() -> None:
    for language in ("en", "de"):
        with translation.override(language):
            assert typed_bandwidth(localized(bandwidth_field(0))) == 0


def test_whoever_has_no_choice_gets_english(olga: User) -> None:
    page = text_of(signed_in(olga).get("/jobs/"))
    assert '<html lang="en"' in page
