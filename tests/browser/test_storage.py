"""The storage page in a browser: what copies take of the pools, and what they leave."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import Person


def test_a_copy_is_promised_room_and_leaves_something(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page, new = olga.page, fast(alder) / f"{guest.name}.qcow2"
    job = acts.start_copy(page, guest, new, bandwidth=acts.SLOW)
    expect(acts.state(page)).to_have_text("copying")
    storage = olga.context.new_page()
    storage.goto("/storage/?host=alder&q=fast")
    row = storage.get_by_role("row").filter(has_text=str(fast(alder)))
    expect(row).to_contain_text(guest.name)
    expect(row).to_contain_text("copying")
    acts.stay(storage)

    acts.confirm(page, "Cancel")
    expect(acts.state(page)).to_have_text("cancelled")

    # The open page says so by itself.
    expect(row).not_to_contain_text(guest.name)
    expect(row.get_by_role("link", name=re.compile("leftover"))).to_be_visible()
    assert acts.has_stayed(storage)
    row.get_by_role("link", name=re.compile("leftover")).click()
    expect(storage.get_by_role("table")).to_contain_text(str(new))
    assert job


def test_filters_by_typing_and_by_a_click(olga: Person, alder: PrivateHost) -> None:
    page = olga.page
    page.goto("/storage/")
    acts.stay(page)
    rows = page.get_by_role("table").get_by_role("row")
    page.get_by_role("searchbox", name="Search pools").fill("images")
    expect(rows.filter(has_text=str(fast(alder)))).to_have_count(0)
    page.get_by_label("Host", exact=True).select_option("alder")
    elsewhere = rows.filter(has=page.get_by_role("cell")).filter(has_not_text="alder")
    expect(elsewhere).to_have_count(0)
    expect(rows.filter(has_text="images").first).to_be_visible()
    assert acts.has_stayed(page)
    expect(page).to_have_url(re.compile(r"q=images.*host=alder"))
    page.get_by_role("link", name=re.compile("^host alder")).click()
    expect(elsewhere.first).to_be_visible()
    page.get_by_role("link", name="Host", exact=True).click()
    expect(page.get_by_role("columnheader", name="Host")).to_have_attribute(
        "aria-sort", "ascending"
    )


def test_an_answer_of_before_the_filter_does_not_undo_it(
    olga: Person, alder: PrivateHost
) -> None:
    """The region that looks again by itself may be answered late."""
    page = olga.page
    slow: list[Route] = []

    def hold_unfiltered(route: Route) -> None:
        if "q=" in route.request.url or "hx-request" not in route.request.headers:
            route.continue_()
        else:
            slow.append(route)

    page.route("**/storage/**", hold_unfiltered)
    page.goto("/storage/")
    rows = page.get_by_role("table").get_by_role("row")
    page.evaluate("document.dispatchEvent(new CustomEvent('console:refresh'))")
    page.get_by_role("searchbox", name="Search pools").fill("images")
    elsewhere = rows.filter(has_text=str(fast(alder)))
    expect(elsewhere).to_have_count(0)
    assert slow
    with page.expect_response(lambda answer: "q=images" in answer.url):
        for route in slow:
            route.continue_()  # what it asks for is asked anew, with the filter
    expect(elsewhere).to_have_count(0)


def test_without_javascript(meet: MeetPerson, alder: PrivateHost) -> None:
    page = meet("olga", java_script_enabled=False).page
    page.goto("/storage/")
    page.get_by_role("searchbox", name="Search pools").fill(str(fast(alder)))
    page.get_by_role("button", name="Filter").click()
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("% of")
    page.get_by_role("link", name=re.compile("^Nearly full")).click()
    expect(page.get_by_role("link", name=re.compile("^Nearly full"))).to_have_attribute(
        "aria-current", "true"
    )
