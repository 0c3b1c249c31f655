"""The styleguide: axe finds nothing in light and dark, and it goes sideways nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.console import specimens
from lab.stack import Stack
from tests.browser.people import Person
from tests.browser.test_every_page import assert_good
from tests.conftest import PASSWORD

CUT_OFF = """cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth)
    .map(cell => cell.innerText)"""
HEIGHTS = "rows => rows.map(row => row.offsetHeight)"


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Stack]:
    """A console for those who make it; of its processes the pages' alone."""
    stack = Stack(tmp_path / "console", {"BLOCKCOPY_DEBUG": "true"})
    try:
        stack.prepare()
        stack.add_user("olga", "operator", PASSWORD)
        stack.web.start()
        stack.web.wait_until(stack.answers)
        yield stack
    finally:
        stack.stop()


def test_every_part_in_every_look(chromium: Browser, workshop: Stack) -> None:
    olga = Person(chromium, workshop.url, "olga")
    olga.page.goto("/login/?next=/styleguide/")
    olga.sign_in()
    main = olga.page.locator("main")
    expect(main.get_by_role("heading", name="Styleguide")).to_be_visible()
    for name in specimens.NAMES:
        expect(main.get_by_title(name, exact=True).first).to_have_text(name)
    assert_good(olga.page)
    assert_cost_is_whole(olga.page)
    assert olga.complaints == []
    olga.leave()


def assert_cost_is_whole(page: Page) -> None:
    """What a hold has cost is read whole beside the verbs; on a desk in one line."""
    cells = page.locator(".deciding .job-progress")
    for width in (360, 800, 1024, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        page.reload()  # what is over five seconds old says so in a second line
        for text in cells.all_inner_texts():
            assert "mirrored" in text
        assert cells.evaluate_all(CUT_OFF) == [], width
        heights = page.locator(".deciding tbody tr").evaluate_all(HEIGHTS)
        assert width < 1280 or max(heights) < 32
