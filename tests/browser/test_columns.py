"""What lists are there to say is read whole: the longest words, in either language."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, expect

from lab.stack import Stack
from tests.browser.people import Person
from tests.conftest import PASSWORD

WIDTHS = (1280, 1440, 1920)
TABLET = (768, 1000)
PHONE = 360
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

# The hints in empty fields that are wider than their fields.
HINTS_CUT = """fields => fields.filter(field => {
    const look = getComputedStyle(field);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = look.font;
    const room = field.clientWidth - parseFloat(look.paddingLeft)
        - parseFloat(look.paddingRight);
    return pen.measureText(field.placeholder).width > room;
}).map(field => field.placeholder)"""
# By how much a select is narrower than its longest option.
LACKS = """select => {
    const shown = select.offsetWidth;
    Object.assign(select.style, { flex: "none", width: "max-content" });
    return select.offsetWidth - shown;
}"""


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
    said = page.locator(".line-parts").all_inner_texts()
    assert [words for words in said if " ," in words] == []


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


@pytest.mark.parametrize("width", [1000, 1280])
def test_the_audit_log_says_from_where_and_about_what(page: Page, width: int) -> None:
    seen(page, "/audit/", width)
    cells = page.locator(".audit td")
    assert cells.get_by_text("192.168.117.123").count() == 8
    parts = page.locator(".audit td, .audit .name-line > bdi, .audit .name-line > a")
    assert parts.evaluate_all(CUT, "td") == []
    assert page.locator(".audit .state").evaluate_all(CUT, "td") == []
    assert page.locator("#outcome").evaluate(LACKS) <= 0
    signed_in = page.locator(".audit tr", has_text="sign in").first.bounding_box()
    assert width < 1280 or (signed_in and signed_in["height"] < 32)


@pytest.mark.parametrize("width", [1000, 1280])
def test_a_host_tells_the_state_of_each_copy(page: Page, width: int) -> None:
    seen(page, "/hosts/", width)
    page.get_by_role("link", name="alder", exact=True).first.click()
    states = page.locator(".domains .disk-job .state")
    states.nth(5).wait_for()  # the click waits for the answer, not for all of the page
    assert states.evaluate_all(CUT, "td") == []


@pytest.mark.parametrize(
    "address", ["/jobs/", "/leftovers/", "/domains/", "/storage/", "/hosts/", "/audit/"]
)
def test_a_phone_shows_what_can_be_searched_and_pushed(
    page: Page, address: str
) -> None:
    seen(page, address, PHONE)
    assert page.locator(".filter-text").evaluate_all(HINTS_CUT) == []
    for chips in page.locator(".chips-nav .chips").all():
        expect(chips).to_have_css("mask-image", re.compile("^linear-gradient"))


def test_a_phone_says_what_is_not_known_of_a_leftover(page: Page) -> None:
    seen(page, "/leftovers/", PHONE)
    cell = page.locator(".leftovers td.whole.name")
    assert re.match("(Used by|Benutzt von): ", cell.inner_text())


def test_more_filters_unfold_below_their_button(page: Page) -> None:
    for width in (PHONE, *WIDTHS):
        seen(page, "/jobs/", width)
        button = page.locator(".more-filters > summary")
        field = page.locator("#id_asked_after")
        assert field.is_hidden()
        before = button.bounding_box()
        button.click()
        assert field.is_visible()
        assert button.bounding_box() == before


def test_a_new_copy_folds_its_xml_and_shows_that_there_is_more(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 560})
    page.goto("/copy/?q=orders-db")
    page.locator("#choices a[href^='/disks/']").first.click()
    xml = page.locator("pre.sent")
    expect(xml).to_be_hidden()
    page.locator(".sent-fold > summary").click()
    expect(xml).to_be_visible()
    assert xml.inner_text().startswith("<disk")
    assert "\n  <source" in xml.inner_text()
    preview = page.locator("#preview")
    assert preview.evaluate("it => it.scrollHeight - it.clientHeight") > 0
    edge = "it => getComputedStyle(it, '::after').position"
    assert preview.evaluate(edge) == "sticky"
    preview.evaluate("it => it.scrollTo(0, it.scrollHeight)")
    last = preview.locator(".sent-with li").last.bounding_box()
    box = preview.bounding_box()
    assert last
    assert box
    fade = 1.75 * 16
    assert last["y"] + last["height"] <= box["y"] + box["height"] - fade + 1
