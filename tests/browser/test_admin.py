"""The administrator's pages on the running console, under its strict content policy."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from lab.stack import Stack
from tests.browser import acts, truth
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import Person

MODELS = (
    *("jobs/site", "jobs/host", "jobs/domain", "jobs/disk", "jobs/storagepool"),
    *("jobs/copyjob", "jobs/jobevent", "jobs/auditentry", "auth/user", "auth/group"),
)
# The audit log speaks of these.
TOLD_OF = {
    *("jobs/site", "jobs/host", "jobs/domain", "jobs/copyjob"),
    *("auth/user", "auth/group"),
}

# What Django's own markup breaks: headings of tables that have no words, and help whose
# only words are a label.
DJANGOS = ("empty-table-header", "aria-prohibited-attr")


def assert_accessible(page: Page) -> None:
    """Nothing for axe to find in light and in dark."""
    page.evaluate(Axe().axe_script)
    rules = {rule: {"enabled": False} for rule in DJANGOS}
    # Without a preload, for which axe makes styles that the policy does not allow.
    options = {"resultTypes": ["violations"], "rules": rules, "preload": False}
    looks: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for look in looks:
        page.emulate_media(color_scheme=look, reduced_motion="reduce")
        found = page.evaluate(
            "o => axe.run(document, o).then(r => r.violations)", options
        )
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


@pytest.mark.parametrize("model", MODELS)
def test_the_lists_and_the_first_row(ada: Person, guest: Guest, model: str) -> None:
    """No page makes the browser complain; that is asserted when ada leaves."""
    page = ada.page
    answer = page.goto(f"/admin/{model}/")
    assert answer is not None
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert_accessible(page)
    rows = page.locator("#result_list tbody th a")
    if rows.count():
        rows.first.click()
        expect(page.locator("#content h1")).to_be_visible()
        assert_accessible(page)
        if model in TOLD_OF:
            page.locator(".historylink").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")
            expect(page).to_have_url(
                re.compile(r"/audit/\?object_type=.+&object_id=\d")
            )


def test_the_entrance_and_the_password_page(ada: Person) -> None:
    page = ada.page
    page.goto("/")
    page.get_by_role("link", name="Admin", exact=True).click()
    expect(page.locator("#content h1")).to_be_visible()
    assert_accessible(page)
    page.goto("/admin/password_change/")
    expect(page.get_by_label("Old password")).to_be_visible()
    assert_accessible(page)


def test_verbs_from_the_list_of_jobs(
    ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    page, new = ada.page, str(fast(alder) / f"{guest.name}.qcow2")
    job = acts.start_mirror(page, guest, new).rstrip("/").rpartition("/")[2]
    page.goto("/admin/jobs/copyjob/")
    page.locator(f"[name=_selected_action][value='{job}']").check()
    page.get_by_label("Action:").select_option("pivot")
    page.get_by_role("button", name=re.compile("Go|Run")).click()
    expect(page.locator("#content")).to_contain_text(f"will run from {new}")
    page.get_by_label("Reason").fill("from the admin")
    page.locator("input[type=submit].default").click()
    expect(page.locator(".messagelist")).to_contain_text("Pivot was asked for")
    page.goto(f"/jobs/{job}/")
    expect(acts.state(page)).to_have_text("pivoted")
    expect(page.get_by_text("from the admin").first).to_be_visible()
    assert guest.source() == truth.persistent_source(guest) == new


def test_a_host_is_added_tested_and_left(
    meet: MeetPerson, stack: Stack, birch: PrivateHost
) -> None:
    """By fields, with what is wrong beside them; its first look comes by itself."""
    ada = meet("ada")
    page = ada.page
    ada.expect_refusal(422)
    page.goto("/hosts/")
    page.get_by_role("link", name="Add a host").click()
    page.get_by_label("Name", exact=True).fill("cedar")
    page.get_by_role("radio", name="Socket").check()
    page.get_by_label("Socket", exact=True).fill("/etc/passwd")
    page.get_by_role("radio", name="session").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#socket-error")).not_to_be_empty()
    expect(page.get_by_label("Name", exact=True)).to_have_value("cedar")

    missing = birch.socket.with_name("nobody-listens")
    page.get_by_label("Socket", exact=True).fill(str(missing))
    page.get_by_role("button", name="Save").click()
    expect(acts.state(page)).to_have_text("does not answer")
    page.get_by_role("button", name="Test connection").click()
    # What it found stands on the page already.
    facts = page.get_by_role("region", name="Facts")
    expect(facts).to_contain_text(re.compile(r"Last test\s+failed, .*, by ada"))

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Enabled").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(acts.state(page)).to_have_text("disabled")
