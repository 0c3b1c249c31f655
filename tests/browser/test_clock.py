"""Ages and durations go on in the browser, in the words in which the server began."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.utils import translation

from jobs.console import clock
from tests.browser.conftest import MeetPerson

MINUTE, HOUR, DAY = 60, 3600, 86400
AGES = (
    *(0, 0.9, 1, 1.9, 2, 5, 59.9, MINUTE, 119, 59 * MINUTE, HOUR - 1, HOUR),
    *(HOUR + MINUTE, 10 * HOUR - 1, 10 * HOUR, DAY - 1, DAY, 2 * DAY - 1),
    *(2 * DAY, 2 * DAY + 3 * HOUR + 5, 400 * DAY),
)
WORDS: dict[str, Callable[[float], str]] = {
    "ago": clock.ago_text,
    "since": clock.duration_text,
    "age": clock.as_of_text,
    "until": clock.until_text,
}
# Has clock.js tell each of the ages; those of "until" are ahead.
TELL = """
([kind, ages]) => {
  const now = Number(document.body.dataset.now);
  const nodes = ages.map((age) => {
    const node = document.createElement("time");
    const at = now + (kind === "until" ? 1 : -1) * Math.round(age * 1000);
    node.dateTime = new Date(at).toISOString();
    node.dataset[kind] = "";
    return node;
  });
  document.querySelector("main").append(...nodes);
  document.dispatchEvent(new CustomEvent("console:fresh"));
  return nodes.map((node) => node.textContent);
}
"""


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_browser_says_the_words_of_the_server(
    meet: MeetPerson, language: str
) -> None:
    page = meet("olga", locale=language).page
    page.clock.set_fixed_time(datetime.now(UTC))  # not a second passes meanwhile
    page.goto("/account/")
    for kind, words in WORDS.items():
        with translation.override(language):
            expected = [words(age) for age in AGES]
        assert page.evaluate(TELL, [kind, AGES]) == expected
