"""Lists go on by themselves, and what somebody filtered them by holds."""

from __future__ import annotations

from playwright.sync_api import expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts
from tests.browser.conftest import MakeGuest, fast
from tests.browser.people import Person


def test_a_typed_filter_holds_while_the_list_goes_on(
    olga: Person, make_guest: MakeGuest
) -> None:
    page, wanted = olga.page, make_guest()
    page.goto("/domains/")
    acts.stay(page)
    rows = page.locator("#live tbody").get_by_role("row")
    page.get_by_role("searchbox").fill(wanted.name)
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("running")

    make_guest()
    wanted.destroy()
    expect(rows.filter(has_text=wanted.name)).to_contain_text("off")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value(wanted.name)
    assert f"?q={wanted.name}&" in page.url
    assert acts.has_stayed(page)


def test_jobs_move_from_list_to_list(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    """A job leaves the list of those that wait as soon as somebody decides."""
    page = olga.page
    job = acts.start_mirror(page, guest, fast(alder) / f"{guest.name}.qcow2")
    lists = olga.context.new_page()
    lists.goto("/jobs/")
    lists.get_by_role("link", name="Waiting for a decision").click()
    acts.stay(lists)
    row = lists.locator("#live").get_by_role("row", name=guest.name)
    expect(row).to_contain_text("in sync for")
    page.goto(job)
    acts.confirm(page, "Cancel")
    expect(row).to_have_count(0)
    assert acts.has_stayed(lists)
    lists.get_by_role("link", name="Ended").click()
    expect(row).to_contain_text("cancelled")
