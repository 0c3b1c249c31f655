"""What lists are there to say is read whole: the longest words, in either language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, ViewportSize

from lab.stack import Stack
from tests.browser.people import Person
from tests.conftest import PASSWORD

WIDTHS = (1280, 1440, 1920)
TABLET = (768, 1000)
# What is cut by the edge of its cell, or ends in dots.
CUT = """(nodes, edge) => nodes.filter(node => {
    const box = node.closest(edge).getBoundingClientRect();
    const outside = [...node.getClientRects()].some(it => it.left < box.left - 1
        || it.right > box.right + 1 || it.bottom > box.bottom + 3);
    return outside || node.scrollWidth > node.clientWidth && node.clientWidth;
}).map(node => node.innerText)"""
# For each directory its first and its last sign: 1 if it is seen, 0 if not.
ENDS_SEEN = """nodes => nodes.map(node => {
    const text = node.firstChild, box = node.getBoundingClientRect();
    return [0, text.length - 1].map(at => {
        const range = document.createRange();
        range.setStart(text, at);
        range.setEnd(text, at + 1);
        const { left, right } = range.getBoundingClientRect();
        return left >= box.left - 1 && right <= box.right + 1 ? 1 : 0;
    }).join("");
})"""
# Where each sign of a text stands, from the left.
ORDER = """node => [...node.textContent].map((sign, at) => {
    const range = document.createRange();
    range.setStart(node.firstChild, at);
    range.setEnd(node.firstChild, at + 1);
    return { sign, left: range.getBoundingClientRect().left };
}).sort((one, other) => one.left - other.left).map(it => it.sign).join("")"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A console of pages alone, with rows that were made up."""
    stack = Stack(tmp_path_factory.mktemp("console"))
    try:
        stack.prepare()
        stack.add_user("ada", "administrator", PASSWORD)
        furnish = "from tests.browser.long_words import furnish; furnish()"
        stack.manage("shell", "-c", furnish)
        stack.web.start()
        stack.web.wait_until(stack.answers)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, console: Stack) -> StorageState:
    ada = Person(chromium, console.url, "ada")
    ada.page.goto("/login/")
    ada.sign_in()
    ada.page.wait_for_url("**/")
    state = ada.context.storage_state()
    ada.leave()
    return state


@pytest.fixture(params=["en-GB", "de-DE"])
def page(
    chromium: Browser,
    console: Stack,
    signed_in: StorageState,
    request: pytest.FixtureRequest,
) -> Iterator[Page]:
    """The browser of somebody who reads English, and of one who reads German."""
    ada = Person(chromium, console.url, "ada", state=signed_in, locale=request.param)
    yield ada.page
    assert ada.complaints == []
    ada.leave()


def seen(page: Page, address: str, width: int) -> None:
    page.set_viewport_size(size(width))
    page.goto(address)


def size(width: int) -> ViewportSize:
    return {"width": width, "height": 900}


@pytest.mark.parametrize("address", ["/", "/jobs/"])
def test_the_time_left_and_what_a_hold_costs(page: Page, address: str) -> None:
    """The rate and what follows give way to them; a row is one line."""
    for width in WIDTHS:
        seen(page, address, width)
        cells = page.locator(".job-progress")
        parts = cells.locator(".in-sync, .text-nowrap, .line-parts > .small:not(.part)")
        assert parts.count() >= 6
        assert parts.evaluate_all(CUT, "td") == [], width
        assert cells.evaluate_all(CUT, "td") == [], width
        rows = page.locator(".job-table:not(.deciding) tbody tr")
        heights = rows.evaluate_all("rows => rows.map(row => row.offsetHeight)")
        assert max(heights) <= 28
        meters = page.locator(".line-meter")
        assert all(
            box["width"] > 90 for each in meters.all() if (box := each.bounding_box())
        )


def test_the_rate_is_told_where_there_is_room(page: Page) -> None:
    seen(page, "/jobs/", 1280)
    rates = page.locator(".line-parts > .line-meter ~ .part")
    assert rates.count() == 3
    assert len(rates.evaluate_all(CUT, ".line-parts")) < 3


@pytest.mark.parametrize("width", [360, 1000, 1280])
def test_the_end_of_a_directory_is_seen(page: Page, width: int) -> None:
    """Where a path is too long its start gives way, whichever way its names run."""
    seen(page, "/jobs/", width)
    directories = page.locator(".path-dir")
    ends = directories.evaluate_all(ENDS_SEEN)
    assert "01" in ends
    assert {end[1] for end in ends} == {"1"}


def test_a_path_keeps_its_own_direction(page: Page) -> None:
    """From the root on from left to right; a name from right to left within it."""
    seen(page, "/jobs/", 700)
    directory = page.locator(".path-dir", has_text="machines/\N{HEBREW LETTER ALEF}")
    gimel_first = "\N{HEBREW LETTER GIMEL}\N{HEBREW LETTER BET}\N{HEBREW LETTER ALEF}"
    shown = directory.first.evaluate(ORDER)
    assert shown == f"/srv/virtual-machines/{gimel_first}/fast/"


def test_rows_with_verbs_say_where_on_a_tablet(page: Page) -> None:
    for width in TABLET:
        seen(page, "/", width)
        waiting = page.locator(".deciding tbody tr")
        assert waiting.get_by_role("button", name="Pivot").first.is_visible()
        hosts = waiting.locator(".job-host")
        assert hosts.evaluate_all(CUT, "td") == []
        assert all(host.is_visible() for host in hosts.all())
        assert waiting.locator(".job-path").first.is_visible() == (width == 1000)
        assert waiting.locator(".btn").evaluate_all(CUT, "td") == []
