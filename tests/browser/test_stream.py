"""The page's event stream is cut: it says so, goes on by asking, and recovers."""

from __future__ import annotations

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
        stack.manage("blockcopy", "job", "finish", job.rstrip("/").rsplit("/")[-1])
    finally:
        stack.web.start()
        stack.web.wait_until(stack.answers)

    expect(indicator(page)).to_have_text("Live")
    expect(acts.state(page)).to_have_text("copied")
    assert acts.has_stayed(page)
    assert not truth.is_copied(guest)


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
