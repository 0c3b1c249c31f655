"""What copies leave: seen by all, removed by administrators, and only what is free."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import fast
from tests.browser.people import Person
from tests.browser.test_every_page import assert_good


def row(page: Page, place: str | Path) -> Locator:
    return page.get_by_role("row").filter(has_text=str(place))


def pivot(page: Page, guest: Guest, new: Path) -> str:
    """Move the guest; return where it was."""
    old = guest.source()
    acts.start_copy(page, guest, new, when_ready="Pivot")
    expect(acts.state(page)).to_have_text("pivoted")
    return old


def remove_button(page: Page, place: str) -> Locator:
    name = re.compile(r"^Remove ")
    return row(page, place).get_by_role("button", name=name)


def test_an_old_source_is_removed_and_nothing_else(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    new = fast(alder) / f"{guest.name}.qcow2"
    old = pivot(olga.page, guest, new)
    olga.page.goto("/leftovers/")
    expect(row(olga.page, old)).to_contain_text("old source")
    expect(olga.page.get_by_text("Administrators remove leftovers.")).to_be_visible()
    expect(remove_button(olga.page, old)).to_have_count(0)

    page = ada.page
    page.goto("/leftovers/")
    acts.stay(page)
    remove_button(page, old).click()
    assert_good(page)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{old}")
    expect(dialog).to_contain_text("is deleted on alder for good")
    assert Path(old).exists()
    dialog.get_by_label("Reason").fill("the move went well")
    dialog.get_by_role("button", name="Remove", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(row(page, old)).to_have_count(0)
    assert acts.has_stayed(page)
    assert not Path(old).exists()
    assert new.exists()

    page.get_by_role("link", name="Removed", exact=True).click()
    expect(row(page, old)).to_contain_text(guest.name)
    page.goto("/audit/?action=remove+leftover")
    expect(page.locator("#live")).to_contain_text("the move went well")
    assert truth.is_unharmed(guest)


def test_what_a_guest_that_is_off_needs_is_not_removed(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    """libvirt itself would not mind; the next start of that guest would."""
    old = pivot(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    other = f"{guest.name}-off"
    definition = alder.virsh("dumpxml", "--inactive", guest.name)
    definition = re.sub(r"<uuid>.*</uuid>", "", definition)
    definition = definition.replace(f"<name>{guest.name}<", f"<name>{other}<")
    alder.virsh(
        "define", "/dev/stdin", text=definition.replace(guest.source(), str(old))
    )
    try:
        page = ada.page
        page.goto("/leftovers/")
        expect(row(page, old)).to_contain_text(other)
        expect(row(page, old)).to_contain_text("In use.")
        expect(remove_button(page, old)).to_have_count(0)
        assert Path(old).exists()
    finally:
        alder.virsh("undefine", other)
