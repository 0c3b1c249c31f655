"""Names and texts full of markup are shown as what they are: text."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MakeGuest, fast
from tests.browser.people import Person

# libvirt takes any name without a slash or a line break.
NAME = """<img src=x onerror=alert(1)>&lt;"'`{{7*7}}"""
FILE = """"><svg onload=alert(2)>'&.qcow2"""
REASON = """<script>alert(3)</script>"><b onmouseover=alert(4)>'"""
INJECTED = "img[onerror], svg[onload], b[onmouseover]"
SCRIPTS = "[...document.scripts].filter(it => it.textContent.includes('alert')).length"


def assert_text_only(page: Page, *texts: str) -> None:
    """The texts are to be read on the page, and nothing of them became an element."""
    for text in texts:
        expect(page.get_by_text(text).first).to_be_attached()
    expect(page.locator(INJECTED)).to_have_count(0)
    assert page.evaluate(SCRIPTS) == 0


def test_markup_in_names_paths_and_reasons(
    olga: Person, ada: Person, make_guest: MakeGuest, alder: PrivateHost
) -> None:
    page = olga.page
    guest = make_guest(name=NAME, image="old.qcow2")
    new = fast(alder) / f"new-{FILE}"
    elsewhere = ada.page
    elsewhere.goto("/audit/")  # hears of the job by toasts only

    job = acts.start_copy(page, guest, new, reason=REASON)
    expect(acts.state(page)).to_have_text("mirroring")
    assert_text_only(page, NAME, FILE, REASON)
    expect(page).to_have_title(f"In sync: vda of {NAME} · Blockcopy Console")
    dialog = acts.open_dialog(page, "Pivot")
    expect(dialog).to_contain_text(f"{NAME} will run from {new}")
    dialog.get_by_label("Reason").fill(REASON)
    dialog.get_by_role("button", name="Pivot").click()
    expect(acts.state(page)).to_have_text("pivoted")
    assert guest.source() == truth.persistent_source(guest) == str(new)
    assert_text_only(page, f"Pivot asked for by olga: “{REASON}”.")
    expect(elsewhere.locator("#toasts")).to_contain_text(NAME)
    assert_text_only(elsewhere, NAME, REASON)

    for path in ("/", "/jobs/", "/domains/", "/copy/"):
        page.goto(path)
        assert_text_only(page, NAME)
    page.goto("/hosts/")
    page.get_by_role("link", name="alder", exact=True).click()
    assert_text_only(page, NAME, FILE)
    acts.open_domain(page, NAME)
    acts.disk(page, "vda").get_by_role("link", name="Copy this disk").click()
    assert_text_only(page, NAME, FILE)
    number = job.rstrip("/").rpartition("/")[2]
    elsewhere.goto(f"/admin/jobs/copyjob/{number}/change/")
    assert_text_only(elsewhere, NAME, FILE, REASON)
    for model in ("copyjob", "domain", "disk", "auditentry"):
        elsewhere.goto(f"/admin/jobs/{model}/")
        assert_text_only(elsewhere, NAME)


def test_markup_in_searches(olga: Person) -> None:
    """What is typed into an address comes back as text, in fields and in sentences."""
    page = olga.page
    for path in ("/jobs/", "/hosts/", "/domains/", "/copy/", "/audit/"):
        page.goto(path)
        search = page.locator("input[name=q]").first
        search.fill(REASON)
        search.press("Enter")
        page.wait_for_url("**?*script*")
        expect(search).to_have_value(REASON)
        assert_text_only(page)
