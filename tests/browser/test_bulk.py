"""Several jobs decided together in a browser: chosen, confirmed, each answered."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts
from tests.browser.conftest import MakeGuest, MeetPerson, fast
from tests.browser.people import Person


def _mirror(page: Page, guest: Guest, alder: PrivateHost) -> Path:
    to = fast(alder) / f"{guest.name}.qcow2"
    acts.start_mirror(page, guest, to)
    return to


def test_two_are_chosen_and_cancelled_together(
    olga: Person, make_guest: MakeGuest, meet: MeetPerson, alder: PrivateHost
) -> None:
    page, guests = olga.page, [make_guest(), make_guest()]
    for guest in guests:
        _mirror(page, guest, alder)
    page.goto("/jobs/?state=mirroring&actor=olga")
    bar = page.get_by_role("group", name="With the selected jobs")
    for guest in guests:
        page.get_by_role("checkbox", name=f"Select vda of {guest.name},").check()
    expect(bar).to_contain_text("2 selected:")
    # What is selected stays so while the list goes on.
    page.evaluate("document.dispatchEvent(new CustomEvent('console:refresh'))")
    page.wait_for_timeout(500)
    expect(bar).to_contain_text("2 selected:")

    bar.get_by_role("button", name="Cancel").click()
    for guest in guests:
        expect(page.get_by_role("main")).to_contain_text(f"{guest.name} (vda)")
    page.get_by_role("button", name="Cancel 2 jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel: 2 jobs?")
    page.get_by_label("Type cancel 2 jobs to confirm").fill("cancel 2 jobs")
    page.get_by_label("Reason").fill("made room")
    page.get_by_role("button", name="Cancel 2 jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Cancel: 2 of 2 asked for"
    )

    # The same without JavaScript, by whoever comes next: nothing is left to pivot.
    again = meet("olga", java_script_enabled=False)
    again.expect_refusal(409)
    plain = again.page
    plain.goto("/jobs/?state=ended&actor=olga")
    for guest in guests:
        row = plain.get_by_role("row", name=guest.name)
        expect(row).to_contain_text("cancelled")
        row.get_by_role("checkbox").check()
    plain.get_by_role("button", name="Pivot").click()
    expect(plain.get_by_role("heading", level=1)).to_have_text(
        "Pivot: none of these jobs"
    )
    expect(plain.get_by_role("main")).to_contain_text("The job has ended: cancelled.")
