"""What a viewer and an outsider may, and how they are told."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MakeGuest, MeetPerson, fast
from tests.browser.people import Person
from tests.conftest import PASSWORD

VERBS = ("Pivot", "Finish", "Cancel")


def assert_greyed(page: Page, button: str, why: str) -> None:
    """It is there, can't be pressed, and says why to those who hear it too."""
    greyed = page.locator("#main").get_by_role("button", name=button, exact=True)
    expect(greyed).to_be_disabled()
    expect(greyed).to_have_accessible_description(why)
    expect(page.get_by_text(why).first).to_be_visible()


def test_a_viewer_sees_and_may_not(
    olga: Person, victor: Person, make_guest: MakeGuest, alder: PrivateHost
) -> None:
    page, guest, other = victor.page, make_guest(), make_guest()
    job = acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    page.goto(job)
    expect(acts.state(page)).to_have_text("mirroring")
    for verb in VERBS:
        why = f"Your role does not allow you to {verb.lower()} a copy."
        assert_greyed(page, verb, why)
        page.get_by_role("button", name=verb, exact=True).click(force=True)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_text("does not allow you to change a copy's")).to_be_visible()

    acts.open_domain(page, other.name)
    why = "Your role does not allow you to start a copy."
    assert_greyed(page, "Copy this disk", why)
    page.goto(f"/copy/?q={other.name}")
    assert_greyed(page, "Copy this disk", why)
    page.goto("/hosts/")
    page.get_by_role("link", name="alder", exact=True).click()
    why = "Your role does not allow you to sync or test a host."
    assert_greyed(page, "Sync now", why)


def test_a_viewer_who_knows_the_address(
    olga: Person, victor: Person, guest: Guest, alder: PrivateHost
) -> None:
    """Neither the page of a verb nor a form sent by hand lets them."""
    page, old = victor.page, guest.source()
    victor.expect_refusal(403)
    job = acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    page.goto(f"{job}pivot/")
    expect(page.get_by_role("alert")).to_have_text(
        "Your role does not allow you to pivot a copy."
    )
    token = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
    answer = page.request.post(
        f"{job}pivot/",
        form={"csrfmiddlewaretoken": token or "", "reason": "let me"},
        headers={"Referer": job},
    )
    assert answer.status == 403
    assert "Your role does not allow you to pivot a copy." in answer.text()
    assert truth.is_copied(guest)
    assert guest.source() == old

    olga.page.goto("/audit/?outcome=refused&actor=victor")
    refused = olga.page.locator("#live").get_by_role("row").filter(has_text="let me")
    expect(refused).to_contain_text(re.compile("victor.*pivot.*refused", re.DOTALL))


@pytest.fixture
def otto(ada: Person, meet: MeetPerson) -> Person:
    """The outsider, to whom ada gave an account and no role."""
    page = ada.page
    page.goto("/admin/auth/user/")
    if not page.get_by_role("link", name="otto", exact=True).count():
        page.goto("/admin/auth/user/add/")
        page.get_by_label("Username").fill("otto")
        page.get_by_label("Password:", exact=True).fill(PASSWORD)
        page.get_by_label("Password confirmation").fill(PASSWORD)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    return meet("otto")


@pytest.mark.parametrize(
    "path", ["/", "/jobs/", "/hosts/", "/domains/", "/copy/", "/audit/", "/jobs/1/"]
)
def test_an_outsider_is_refused_in_words(otto: Person, path: str) -> None:
    page = otto.page
    otto.expect_refusal(403)
    page.goto(path)
    otto.sign_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("This is not allowed")
    expect(page.get_by_role("main")).to_contain_text(
        "Your account has no role yet. Ask an administrator to give it one."
    )
    expect(page.get_by_role("navigation")).to_have_count(0)
    page.get_by_label("Account of otto").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signed_out_is_signed_out(meet: MeetPerson) -> None:
    """Going back shows the sign-in page, and leads on to where one wanted to go."""
    olga = meet("olga", stranger=True)
    page = olga.page
    page.goto("/audit/")
    expect(page.get_by_role("main")).to_contain_text("go on to the page you asked for")
    olga.sign_in()
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    page.get_by_label("Account of olga").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/jobs/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
