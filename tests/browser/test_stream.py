"""The page's event stream is cut: it says so, goes on by asking, and recovers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from lab.stack import Stack
from tests.browser import acts, truth
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import Person


def indicator(page: Page) -> Locator:
    """What the page says of its own freshness."""
    return page.locator("#live-state")


def test_the_web_server_is_killed(
    olga: Person, guest: Guest, alder: PrivateHost, stack: Stack
) -> None:
    """What happened meanwhile is on the page once the server is back."""
    page, new = olga.page, fast(alder) / f"{guest.name}.qcow2"
    olga.expect_broken_line()
    job = acts.start_mirror(page, guest, new)
    acts.stay(page)
    expect(indicator(page)).to_have_text("Live")

    stack.web.kill()
    try:
        expect(indicator(page)).to_contain_text("Reconnecting")
        expect(acts.state(page)).to_have_text("mirroring")
        page.get_by_role("button", name="Pivot", exact=True).click()
        expect(page.get_by_text("Try again when it is back.")).to_be_visible()
        expect(indicator(page)).to_contain_text("Reconnecting, trying every 3 s")
        stack.manage("blockcopy", "job", "finish", job.rstrip("/").rsplit("/")[-1])
    finally:
        stack.web.start()
        stack.web.wait_until(stack.answers)

    expect(indicator(page)).to_have_text("Live")
    expect(acts.state(page)).to_have_text("copied")
    assert acts.has_stayed(page)
    assert not truth.is_copied(guest)


def top_of(field: Locator) -> float:
    """How far below the window's edge something is seen, in pixels."""
    box = field.bounding_box()
    assert box is not None
    return box["y"]


def test_what_somebody_does_survives_a_cut(
    olga: Person, guest: Guest, alder: PrivateHost, stack: Stack
) -> None:
    """Half-typed text with its cursor, the scroll position, what is unfolded or open;
    and nothing is stale in silence meanwhile."""
    page = olga.page
    olga.expect_broken_line()
    new = fast(alder) / f"{guest.name}.qcow2"
    acts.start_copy(page, guest, new, bandwidth=acts.SLOW)
    expect(acts.state(page)).to_have_text("copying")
    ages = page.locator("#live .age").filter(has_text="as of")
    expect(ages).not_to_have_count(0)  # numbers there are, and they are fresh
    page.set_viewport_size({"width": 1280, "height": 500})
    menu = page.locator("details[data-menu]")
    fold = page.locator("#live details").first
    for each in (fold, menu):  # a menu closes by a click elsewhere
        each.locator("> summary").press("Enter")
    field = acts.field(page, "Bandwidth")
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("12 MiB/s")
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    acts.stay(page)

    stack.web.kill()
    try:
        expect(indicator(page)).to_contain_text("Reconnecting")
        expect(indicator(page)).to_contain_text(re.compile(r"as of \d+ s ago"))
        expect(ages.first).to_be_visible()
        page.keyboard.type("x")
        page.wait_for_timeout(1000)  # typing has led to the field
        place = top_of(field)
    finally:
        stack.web.start()
        stack.web.wait_until(stack.answers)

    expect(indicator(page)).to_have_text("Live")
    with page.expect_response(lambda answer: "/jobs/" in answer.url):
        pass  # one more look
    assert acts.has_stayed(page)
    expect(field).to_be_focused()
    expect(field).to_have_value("12 MiBx/s")
    assert field.evaluate("node => node.selectionStart") == len("12 MiBx")
    assert page.evaluate("scrollY") > 0
    assert top_of(field) == pytest.approx(place, abs=40)
    for each in (menu, fold):
        expect(each).to_have_attribute("open", "")


def test_a_line_that_falls_silent_is_told_from_a_quiet_one(
    olga: Person, stack: Stack
) -> None:
    """Nothing closes it, nothing comes: a frozen server, a network that is gone."""
    page = olga.page
    olga.expect_broken_line()
    page.goto("/hosts/")
    expect(indicator(page)).to_have_text("Live")
    stack.web.freeze()
    try:
        expect(indicator(page)).to_contain_text("Reconnecting")
        expect(indicator(page)).to_contain_text(re.compile(r"as of \d+ s ago"))
    finally:
        stack.web.thaw()
    expect(indicator(page)).to_have_text("Live")


def test_without_a_stream_the_page_asks(
    meet: MeetPerson, guest: Guest, alder: PrivateHost
) -> None:
    olga = meet("olga")
    page, new = olga.page, str(fast(alder) / f"{guest.name}.qcow2")
    olga.expect_broken_line()
    olga.context.route("**/stream/*", lambda route: route.abort())
    acts.start_copy(page, guest, new)
    acts.stay(page)
    expect(indicator(page)).to_have_text("Reconnecting, refreshed every 3 s")
    expect(acts.state(page)).to_have_text("mirroring")
    acts.confirm(page, "Pivot")
    expect(acts.state(page)).to_have_text("pivoted")
    expect(indicator(page)).to_have_text("Reconnecting, refreshed every 3 s")
    assert acts.has_stayed(page)
    assert guest.source() == new
