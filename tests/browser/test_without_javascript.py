"""Without JavaScript all of it works by full pages."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import PATIENCE


def reload_until(page: Page, state: str) -> None:
    """Ask again, as a person would, until a job is in a state."""
    end = time.monotonic() + PATIENCE / 1000
    while acts.state(page).inner_text() != state and time.monotonic() < end:
        page.reload()
    expect(acts.state(page)).to_have_text(state)


def find_domain(page: Page, name: str) -> None:
    """Look in the list of domains, again and again, until the console knows of it."""
    page.goto(f"/domains/?q={name}")
    link = page.get_by_role("link", name=name, exact=True)
    end = time.monotonic() + PATIENCE / 1000
    while not link.count() and time.monotonic() < end:
        page.reload()
    link.click()


def test_sign_in_start_and_pivot(
    meet: MeetPerson, guest: Guest, alder: PrivateHost
) -> None:
    olga = meet("olga", stranger=True, java_script_enabled=False)
    page, new = olga.page, str(fast(alder) / f"{guest.name}.qcow2")
    page.goto("/")
    olga.sign_in()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    # Playwright's words for what is on a page pass over <noscript>.
    expect(page.locator("noscript .live-state")).to_be_visible()

    find_domain(page, guest.name)
    page.get_by_role("link", name="Copy this disk").click()
    acts.field(page, "Destination").fill(new)
    acts.field(page, "Reason").fill("no scripts")
    page.locator("noscript button[name=check]").click()
    preview = page.get_by_label("Disk XML")
    expect(preview).to_contain_text(new)
    expect(acts.field(page, "Reason")).to_have_value("no scripts")
    assert not truth.is_copied(guest)
    page.get_by_role("button", name="Start", exact=True).click()
    reload_until(page, "mirroring")

    page.get_by_role("button", name="Pivot", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        f"Pivot vda of {guest.name}?"
    )
    expect(page.get_by_role("main")).to_contain_text(f"will run from {new}")
    page.get_by_label("Reason").fill("still no scripts")
    page.get_by_role("button", name="Pivot", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("was asked for.")
    reload_until(page, "pivoted")
    assert guest.source() == truth.persistent_source(guest) == new
    assert truth.is_unharmed(guest)
