"""Copies that somebody began with virsh: told within seconds, adopted, and led to an
end like any other."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest
from tests.browser import acts, truth
from tests.browser.conftest import MakeGuest, MeetPerson
from tests.browser.people import Person
from tests.browser.test_every_page import assert_good
from tests.browser.test_hostile import FILE, NAME, assert_text_only
from tests.browser.test_keyboard import tab_to

# Far less than PATIENCE: what stands on a page must not wait for the next inventory.
SECONDS = 15_000


def begin_by_virsh(guest: Guest, *options: str, name: str = "") -> str:
    """A copy that the console knows nothing of; return where it goes."""
    place = f"{guest.source()}.{name or 'by-virsh'}"
    mirror = ("--dest", place, "--format", "qcow2", "--transient-job")
    guest.host.virsh("blockcopy", guest.name, "vda", *mirror, *options)
    return place


def foreign(page: Page, place: str) -> Locator:
    """The row of a foreign copy on the overview and on a host's page."""
    found = page.get_by_role("region", name="Foreign copies")
    return found.get_by_role("row").filter(has_text=place)


def adopt_button(where: Locator) -> Locator:
    return where.get_by_role("button", name=re.compile("^Adopt"))


@pytest.fixture
def hosts_page(ada: Person) -> Page:
    """The page of alder, left open by somebody else."""
    ada.page.goto("/hosts/")
    ada.page.get_by_role("link", name="alder", exact=True).click()
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("alder")
    return ada.page


def test_from_virsh_to_a_pivot(
    olga: Person, victor: Person, hosts_page: Page, guest: Guest
) -> None:
    """Three pages stand open and nobody reloads them."""
    page, domains_page = olga.page, victor.page
    acts.open_domain(domains_page, guest.name)
    page.goto("/")
    for each in (page, domains_page, hosts_page):
        acts.stay(each)
    place = begin_by_virsh(guest)
    row = foreign(page, place)
    expect(row).to_be_visible(timeout=SECONDS)
    expect(row).to_contain_text(guest.name)
    expect(row).to_contain_text("alder")
    expect(foreign(hosts_page, place)).to_be_visible(timeout=SECONDS)
    card = acts.disk(domains_page, "vda")
    expect(card.get_by_text("Foreign copy, not started here")).to_be_visible()
    greyed = adopt_button(card)
    expect(greyed).to_be_disabled()
    why = "Your role does not allow you to adopt a copy."
    expect(greyed).to_have_accessible_description(why)
    assert all(map(acts.has_stayed, (page, domains_page, hosts_page)))
    assert_good(domains_page)
    assert_good(hosts_page)
    assert_good(page)

    adopt_button(row).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Nothing changes on alder: {guest.name} stays on")
    assert_good(page)
    dialog.get_by_label("Reason").fill("begun by hand in the night")
    dialog.get_by_role("button", name="Adopt", exact=True).click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(page.get_by_text("The copy was adopted as job")).to_be_visible()
    expect(acts.state(page)).to_have_text("mirroring")
    expect(page.locator("#adopted")).to_contain_text("the copy was begun elsewhere.")
    assert_good(page)
    expect(foreign(hosts_page, place)).to_have_count(0)
    expect(card.get_by_text("Foreign copy, not started here")).to_have_count(0)

    acts.confirm(page, "Pivot")
    expect(acts.state(page)).to_have_text("pivoted")
    assert guest.source() == truth.persistent_source(guest) == place
    assert truth.is_unharmed(guest)
    page.goto("/audit/?action=adopt")
    expect(page.locator("#live")).to_contain_text("begun by hand in the night")


def test_without_a_mouse(olga: Person, guest: Guest) -> None:
    page = olga.page
    place = begin_by_virsh(guest)
    page.goto("/")
    button, dialog = adopt_button(foreign(page, place)), page.get_by_role("dialog")
    expect(button).to_be_visible()
    tab_to(page, button)
    page.keyboard.press("Space")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    tab_to(page, dialog.get_by_role("button", name="Adopt", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(acts.state(page)).to_have_text("mirroring")


def test_without_javascript(meet: MeetPerson, guest: Guest) -> None:
    olga = meet("olga", java_script_enabled=False)
    page, place = olga.page, begin_by_virsh(guest)
    page.goto("/")
    while not foreign(page, place).count():  # until the test's own end
        page.wait_for_timeout(500)
        page.reload()
    adopt_button(foreign(page, place)).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        f"Adopt the copy of vda of {guest.name}?"
    )
    page.get_by_label("Reason").fill("no scripts")
    page.get_by_role("button", name="Adopt", exact=True).click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(page.get_by_text("The copy was adopted as job")).to_be_visible()
    expect(page.get_by_text("“no scripts”").first).to_be_visible()


def test_somebody_was_first(olga: Person, ada: Person, guest: Guest) -> None:
    """What is asked in a dialog may be settled before it is answered."""
    place = begin_by_virsh(guest)
    page = olga.page
    olga.expect_refusal(409)
    page.goto("/")
    adopt_button(foreign(page, place)).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    ada.page.goto("/")
    adopt_button(foreign(ada.page, place)).click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Adopt").click()
    ada.page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    dialog.get_by_role("button", name="Adopt", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("is on this disk already.")


def test_a_commit_is_not_adopted(olga: Person, make_guest: MakeGuest) -> None:
    """It is a block job, and no copy."""
    guest = make_guest(backing=("raw",))
    top = guest.source()
    guest.host.virsh("blockcommit", guest.name, "vda", "--active")
    page = olga.page
    acts.open_domain(page, guest.name)
    card = acts.disk(page, "vda")
    expect(card).to_contain_text("active commit to", timeout=SECONDS)
    expect(adopt_button(card)).to_be_disabled()
    expect(card).to_contain_text("a job of another kind (active-commit)")
    assert guest.source() == top


def test_markup_in_its_names(olga: Person, make_guest: MakeGuest) -> None:
    page = olga.page
    guest = make_guest(name=NAME, image="strange.qcow2")
    place = begin_by_virsh(guest, name=FILE)
    page.goto("/")
    expect(foreign(page, place)).to_be_visible(timeout=SECONDS)
    assert_text_only(page, NAME, place)
    adopt_button(foreign(page, place)).click()
    expect(page.get_by_role("dialog")).to_contain_text(f"vda of {NAME} to {place}")
    assert_text_only(page, NAME, place)
    page.get_by_role("dialog").get_by_role("button", name="Adopt").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(acts.state(page)).to_have_text("mirroring")
    assert_text_only(page, NAME, place)
