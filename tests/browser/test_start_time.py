"""A disk chosen by the keyboard; a copy that starts at a time of the reader's zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MeetPerson, fast

BERLIN = "Europe/Berlin"


def combobox(page: Page, guest: Guest) -> None:
    """Wait until the console knows the guest, on the page of new copies."""
    acts.open_domain(page, guest.name)
    page.goto("/copy/")


def test_a_disk_is_chosen_with_the_keyboard(meet: MeetPerson, guest: Guest) -> None:
    page = meet("olga").page
    combobox(page, guest)
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type(guest.name)
    option = page.get_by_role("row", name=re.compile(f"^{guest.name} .*vda"))
    expect(option).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute(
        "aria-activedescendant", str(option.get_attribute("id"))
    )
    expect(page.locator("#choices-found")).to_have_text(re.compile(r"\d+ disks? found"))
    page.keyboard.press("Escape")
    expect(option).to_have_attribute("aria-selected", "false")
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        f"Copy vda of {guest.name}"
    )


def in_berlin() -> datetime:
    """Return a minute of the clock in Berlin that is an hour or two away."""
    return datetime.now(ZoneInfo(BERLIN)) + timedelta(minutes=90)


def test_start_later_then_now(
    meet: MeetPerson, guest: Guest, alder: PrivateHost
) -> None:
    page = meet("olga", timezone_id=BERLIN).page
    acts.fill_in_copy(page, guest, fast(alder) / f"{guest.name}.qcow2")
    hour = f"{in_berlin():%H:%M}"
    page.get_by_label("Start time").fill(hour)
    expect(page.locator("#start-later-when")).to_contain_text(f"{hour} {BERLIN}")
    page.get_by_role("button", name=f"Start at {hour}").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(acts.state(page)).to_have_text("requested")
    expect(page.locator("#starts")).to_contain_text(f"{hour}:00")
    expect(page.locator("#starts")).to_contain_text("in 1 h 2")
    assert not truth.is_copied(guest)
    acts.confirm(page, "Start now", "the night is quiet")
    expect(acts.state(page)).to_have_text("mirroring")
    assert truth.is_copied(guest)


def test_a_scheduled_copy_is_cancelled(
    meet: MeetPerson, guest: Guest, alder: PrivateHost
) -> None:
    page = meet("olga").page
    acts.fill_in_copy(page, guest, fast(alder) / f"{guest.name}.qcow2")
    day = in_berlin() + timedelta(days=3)
    page.get_by_label(re.compile("^Day")).fill(f"{day:%Y-%m-%d}")
    page.get_by_role("button", name="Start at 02:00").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    pivot = page.get_by_role("button", name="Pivot", exact=True)
    expect(pivot).to_have_attribute("aria-disabled", "true")
    expect(pivot).to_have_accessible_description(re.compile("once .* in sync"))
    job = page.url
    page.goto("/")
    scheduled = page.get_by_role("region", name="Scheduled")
    expect(scheduled).to_contain_text(guest.name)
    page.goto(job)
    acts.confirm(page, "Cancel")
    expect(acts.state(page)).to_have_text("cancelled")
    assert not truth.is_copied(guest)


def test_start_and_pivot(meet: MeetPerson, guest: Guest, alder: PrivateHost) -> None:
    page, new = meet("olga").page, str(fast(alder) / f"{guest.name}.qcow2")
    acts.fill_in_copy(page, guest, new)
    page.get_by_role("button", name="Start and pivot when ready").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(acts.state(page)).to_have_text("pivoted")
    assert guest.source() == truth.persistent_source(guest) == new
    page.locator("#xml summary").click()
    old = page.locator("#xml del").filter(has_text=guest.name)
    expect(old).not_to_have_count(0)
    expect(page.locator("#xml ins").filter(has_text=new)).not_to_have_count(0)


def test_without_javascript(meet: MeetPerson, guest: Guest, alder: PrivateHost) -> None:
    acts.open_domain(meet("ada").page, guest.name)
    page = meet("olga", java_script_enabled=False).page
    page.goto("/copy/")
    page.get_by_role("textbox").fill(guest.name)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile("^Copy this disk")).first.click()
    acts.field(page, "Destination").fill(str(fast(alder) / f"{guest.name}.qcow2"))
    page.get_by_label("Start time").fill("03:45")
    page.locator("noscript button[name=check]").click()
    expect(page.locator("#start-later-when")).to_contain_text("03:45 UTC, in")
    page.get_by_role("button", name="Start at 03:45").click()
    expect(acts.state(page)).to_have_text("requested")
    expect(page.get_by_role("main")).to_contain_text("03:45 UTC")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(acts.state(page)).to_have_text("cancelled")
