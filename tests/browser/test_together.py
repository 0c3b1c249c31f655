"""Two people at the same job."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import fast
from tests.browser.people import Person


def test_one_pivots_and_the_other_sees_it(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    new = str(fast(alder) / f"{guest.name}.qcow2")
    job = acts.start_mirror(olga.page, guest, new)
    overview = ada.context.new_page()
    overview.goto("/")
    ada.page.goto(job)
    for page in (ada.page, overview):
        acts.stay(page)
    waiting = overview.get_by_role("table", name="Jobs waiting for a decision")
    expect(waiting.get_by_role("row", name=guest.name)).to_be_visible()

    acts.confirm(olga.page, "Pivot", "olga was here")
    expect(acts.state(ada.page)).to_have_text("pivoted")
    events = ada.page.get_by_role("region", name="Events")
    expect(events).to_contain_text("Pivot asked for by olga: “olga was here”.")
    ended = overview.get_by_role("table", name="Jobs that ended lately")
    expect(ended.get_by_role("row", name=guest.name)).to_contain_text("pivoted")
    expect(waiting.get_by_role("row", name=guest.name)).to_have_count(0)
    assert acts.has_stayed(ada.page)
    assert acts.has_stayed(overview)
    assert guest.source() == truth.persistent_source(guest) == new


def send_at_once(*pages: Page) -> None:
    """Send the form in each page's dialog, all at the same moment."""
    moment = (time.time() + 1) * 1000
    for page in pages:
        page.evaluate(
            """moment => {
                const form = document.querySelector("#dialog form");
                setTimeout(() => form.requestSubmit(), moment - Date.now());
            }""",
            moment,
        )


def test_pivot_and_cancel_at_once(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    """One of them wins, and the other is told."""
    old, new = guest.source(), str(fast(alder) / f"{guest.name}.qcow2")
    ada.page.goto(acts.start_mirror(olga.page, guest, new))
    for person, verb in ((olga, "Pivot"), (ada, "Cancel")):
        person.expect_refusal(409)
        acts.open_dialog(person.page, verb)
    send_at_once(olga.page, ada.page)

    for person in (olga, ada):
        expect(person.page.locator("#dialog form")).to_have_count(0)
        expect(acts.state(person.page)).to_have_text(re.compile("pivoted|cancelled"))
    dialogs = [person.page.get_by_role("dialog") for person in (olga, ada)]
    told = [dialog for dialog in dialogs if dialog.is_visible()]
    assert len(told) == 1
    expect(told[0].get_by_role("heading")).to_contain_text("was not carried out")
    expect(told[0].get_by_role("alert")).not_to_be_empty()
    olga_won = told[0] is dialogs[1]
    outcome = "pivoted" if olga_won else "cancelled"
    for person in (olga, ada):
        expect(acts.state(person.page)).to_have_text(outcome)
    assert guest.source() == (new if olga_won else old)
    assert not truth.is_copied(guest)
