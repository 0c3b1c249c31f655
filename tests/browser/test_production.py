"""On a host in production the domain's name is typed before a copy is ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from lab.guest import Guest
from lab.host import PrivateHost
from lab.stack import Stack
from tests.browser import acts, truth
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import Person
from tests.browser.test_keyboard import tab_to


@pytest.fixture(scope="module", autouse=True)
def production(stack: Stack, alder: PrivateHost) -> Iterator[None]:
    """The time in which alder is in production."""
    stack.manage("blockcopy", "host", "edit", alder.name, "--production")
    yield
    stack.manage("blockcopy", "host", "edit", alder.name, "--no-production")


def test_the_name_is_typed_by_keyboard(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    olga.expect_refusal(422)
    page, new = olga.page, str(fast(alder) / f"{guest.name}.qcow2")
    acts.start_mirror(page, guest, new)
    button = page.locator("#live").get_by_role("button", name="Pivot", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("alder is marked as production.")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("tonight")
    typed = dialog.get_by_label(f"Type {guest.name} to confirm")
    tab_to(page, typed)
    page.keyboard.type("something else")
    page.keyboard.press("Enter")

    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was done yet")
    expect(typed).to_be_focused()
    expect(typed).to_have_value("something else")
    expect(dialog.get_by_label("Reason")).to_have_value("tonight")
    assert truth.is_copied(guest)

    page.keyboard.press("Control+A")
    page.keyboard.type(guest.name)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(acts.state(page)).to_have_text("pivoted")
    assert guest.source() == truth.persistent_source(guest) == new


def test_the_name_is_typed_without_javascript(
    olga: Person,
    meet: MeetPerson,
    guest: Guest,
    alder: PrivateHost,
) -> None:
    job = acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    scriptless = meet("olga", java_script_enabled=False)
    scriptless.expect_refusal(422)
    page = scriptless.page
    page.goto(job)
    expect(page.locator(".page-title")).to_contain_text("production")
    page.get_by_role("button", name="Cancel", exact=True).click()
    typed = page.get_by_label(f"Type {guest.name} to confirm")
    typed.fill("something else")
    page.get_by_label("Reason").fill("no scripts")
    page.get_by_role("button", name="Cancel", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was done yet")
    expect(typed).to_have_value("something else")
    expect(page.get_by_label("Reason")).to_have_value("no scripts")
    assert truth.is_copied(guest)

    typed.fill(guest.name)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("was asked for.")
    expect(acts.state(olga.page)).to_have_text("cancelled")
