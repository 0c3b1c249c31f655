"""Whoever has no mouse can do all of it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import fast
from tests.browser.people import Person

MOST_TABS = 80


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until `wanted` has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("node => node === document.activeElement"):
            return
    raise AssertionError(f"{MOST_TABS} tabs do not lead to {wanted}")


def test_a_whole_pivot(olga: Person, guest: Guest, alder: PrivateHost) -> None:
    page, new = olga.page, str(fast(alder) / f"{guest.name}.qcow2")
    acts.start_mirror(page, guest, new)
    page.goto("/jobs/")
    tab_to(page, page.get_by_role("link", name=guest.name))
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Pivot", exact=True)
    dialog = page.get_by_role("dialog")
    expect(button).to_be_visible()

    tab_to(page, button)
    page.keyboard.press("Space")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()

    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("no mouse at hand")
    tab_to(page, dialog.get_by_role("button", name="Pivot", exact=True))
    page.keyboard.press("Enter")

    expect(acts.state(page)).to_have_text("pivoted")
    assert guest.source() == truth.persistent_source(guest) == new
    expect(page.get_by_text("no mouse at hand").first).to_be_visible()


def test_the_focus_stays_in_an_open_dialog(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page = olga.page
    acts.start_mirror(page, guest, fast(alder) / f"{guest.name}.qcow2")
    dialog = acts.open_dialog(page, "Finish")
    inside = "node => node.contains(document.activeElement) || !document.hasFocus()"
    for _ in range(8):
        page.keyboard.press("Tab")
        outside = "document.activeElement !== document.body"
        assert dialog.evaluate(inside) or not page.evaluate(outside)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert truth.is_copied(guest), "Escape carries nothing out"


def test_the_menu_and_the_skip_link(olga: Person) -> None:
    page = olga.page
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()

    summary = page.get_by_label("Account of olga")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(summary).to_be_focused()
