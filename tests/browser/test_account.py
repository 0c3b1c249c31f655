"""What a person chooses on the account page: with JavaScript, without, elsewhere."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from lab.stack import Stack
from tests.browser.conftest import MeetPerson
from tests.browser.people import Person
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("as_usual_again")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Your preferences are saved.")).to_be_visible()


def assert_times_of(page: Page, zone: str) -> None:
    """The audit log's times are those of a zone, with UTC in their titles."""
    page.goto("/audit/")
    times = page.locator("#main time[data-moment]")
    expect(times.first).to_be_visible()
    for node in times.all()[:5]:
        at = datetime.fromisoformat(node.get_attribute("datetime") or "")
        there = at.astimezone(ZoneInfo(zone))
        expect(node).to_have_text(f"{there:%Y-%m-%d %H:%M:%S}")
        expect(node).to_have_attribute("title", f"{at:%Y-%m-%d %H:%M:%S} UTC")


def test_the_time_zone(meet: MeetPerson) -> None:
    """The browser's, or the chosen one; that also where no script runs."""
    ada = meet("ada", timezone_id="America/New_York")
    plain = meet("ada", timezone_id="America/New_York", java_script_enabled=False)
    assert_times_of(ada.page, "America/New_York")
    assert_times_of(plain.page, "UTC")
    ada.page.goto("/account/")
    expect(ada.page.locator("#browser-zone")).to_contain_text("America/New_York")
    field = ada.page.get_by_role("combobox", name="Time zone")
    field.fill("asia/kolkata")
    save(ada.page)
    expect(field).to_have_value("Asia/Kolkata")
    assert_times_of(ada.page, "Asia/Kolkata")
    assert_times_of(plain.page, "Asia/Kolkata")


def test_an_error_stands_by_its_field(ada: Person) -> None:
    page = ada.page
    ada.expect_refusal(422)
    page.goto("/account/")
    page.get_by_role("combobox", name="Time zone").fill("Mars/Olympus")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#time_zone-error")).to_contain_text("There is no time zone")
    expect(page.get_by_role("combobox", name="Time zone")).to_have_value("Mars/Olympus")


def test_all_of_it_without_javascript(meet: MeetPerson) -> None:
    page = meet("olga", java_script_enabled=False).page
    page.goto("/")
    page.get_by_label("Account of olga").click()
    page.get_by_role("link", name="Account", exact=True).click()
    page.get_by_role("radio", name="Dark").check()
    page.get_by_role("checkbox", name="failed or lost").uncheck()
    save(page)
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(page.get_by_role("checkbox", name="failed or lost")).not_to_be_checked()
    expect(page.get_by_role("checkbox", name="in sync")).to_be_checked()
    elsewhere = meet("olga").page
    elsewhere.goto("/")
    expect(elsewhere.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_a_new_password(meet: MeetPerson, stack: Stack) -> None:
    stack.add_user("paula", "viewer", PASSWORD)
    paula = meet("paula", stranger=True)
    page = paula.page
    page.goto("/account/password/")
    paula.sign_in()
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("staple battery horse")
    page.get_by_label("New password confirmation").fill("staple battery horse")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    again = meet("paula", stranger=True)
    again.page.goto("/login/")
    again.sign_in("staple battery horse")
    expect(again.page.get_by_role("heading", name="Overview")).to_be_visible()
