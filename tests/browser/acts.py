"""What a person does on the console's pages, in their words."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest

# Far too slow to end by itself, whatever little the guest has on its disk.
SLOW = "16 KiB"


def open_domain(page: Page, name: str) -> None:
    """Look a domain up in the list, which it enters by itself, and open it."""
    page.goto(f"/domains/?q={quote(name)}")
    page.locator("#live").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def disk(page: Page, target: str) -> Locator:
    """What a domain's page shows of one of its disks."""
    return page.get_by_role("region", name=re.compile(f"^{target} "))


def field(page: Page, label: str) -> Locator:
    """A field that one types into."""
    return page.get_by_role("textbox", name=label, exact=True)


def fill_in_copy(page: Page, guest: Guest, destination: str | Path) -> None:
    """Open the form for a copy of the guest's first disk, and say where to."""
    open_domain(page, guest.name)
    disk(page, "vda").get_by_role("link", name="Copy this disk").click()
    field(page, "Destination").fill(str(destination))


def unfold_advanced(page: Page) -> None:
    """Show the options of a copy that are seldom wanted."""
    page.locator("summary", has_text="Advanced").click()


def limit_bandwidth(page: Page, limit: str) -> None:
    """Give the copy a bandwidth, with little in flight so that it keeps to it."""
    unfold_advanced(page)
    field(page, "Bandwidth").fill(limit)
    field(page, "buf-size").fill("1 MiB")


def start_copy(
    page: Page,
    guest: Guest,
    destination: str | Path,
    *,
    bandwidth: str = "",
    when_ready: str = "",
    reason: str = "",
) -> str:
    """Start a copy of the guest's first disk; return its job's address."""
    fill_in_copy(page, guest, destination)
    if bandwidth:
        limit_bandwidth(page, bandwidth)
    if when_ready:
        page.get_by_role("radio", name=re.compile(f"^{when_ready}")).check()
    field(page, "Reason").fill(reason)
    return press_start(page)


def start_button(page: Page) -> Locator:
    """The first of them; it says what follows when in sync, where that was chosen."""
    return page.get_by_role("button", name=re.compile(r"^Start\b")).first


def press_start(page: Page) -> str:
    """Start what the form says; return its job's address."""
    start_button(page).click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    return page.url


def start_mirror(page: Page, guest: Guest, destination: str | Path) -> str:
    """Start a copy and wait until both sides are in sync; return its address."""
    address = start_copy(page, guest, destination)
    expect(state(page)).to_have_text("mirroring")
    return address


def state(page: Page) -> Locator:
    """The badge beside the heading of a job's, a domain's or a host's page."""
    return page.locator(".page-title .state")


def open_dialog(page: Page, verb: str) -> Locator:
    """Press a verb's button; return the dialog that asks what is meant."""
    page.locator("#live").get_by_role("button", name=verb, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def confirm(page: Page, verb: str, reason: str = "") -> None:
    """Press a verb's button, give a reason and confirm."""
    dialog = open_dialog(page, verb)
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=verb, exact=True).click()
    expect(dialog).to_be_hidden()


def stay(page: Page) -> None:
    """Mark the page as it stands, so that a reload would be noticed."""
    page.evaluate("window.hasStayed = true")


def has_stayed(page: Page) -> bool:
    """Whether the page was not loaded again since `stay`."""
    return bool(page.evaluate("window.hasStayed === true"))
