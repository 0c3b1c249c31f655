"""Keys without a modifier: what each does, and where none of them does anything."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import acts
from tests.browser.conftest import MakeGuest, fast
from tests.browser.people import Person
from tests.browser.test_every_page import assert_good

PAGES = {
    "o": "/",
    "j": "/jobs/",
    "h": "/hosts/",
    "d": "/domains/",
    "s": "/storage/",
    "l": "/leftovers/",
    "a": "/audit/",
    "n": "/copy/",
}
ANY = "/?jkxgoh"


def help_dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Keys")


def press(page: Page, keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_moving_selecting_and_opening(olga: Person, make_guest: MakeGuest) -> None:
    page, jobs = olga.page, {}
    for _ in range(2):
        guest = make_guest(writing=False)
        new = fast(guest.host) / f"{guest.name}.qcow2"
        jobs[guest.name] = acts.start_copy(page, guest, new, bandwidth=acts.SLOW)
    names = sorted(jobs)  # web-10 before web-9
    page.goto("/jobs/?sort=domain&state=active&q=web-")
    links = [page.locator("#live").get_by_role("link", name=name) for name in names]
    first, second = links
    press(page, "j")
    expect(first).to_be_focused()
    press(page, "jj")
    expect(second).to_be_focused()  # the last one stays
    press(page, "x")
    selected = page.locator("#live input[name=job]:checked")
    expect(selected).to_have_count(1)
    expect(selected).to_have_attribute("aria-label", re.compile(names[1]))
    press(page, "kx")
    expect(first).to_be_focused()
    expect(selected).to_have_count(2)
    outline = "node => getComputedStyle(node).outlineStyle"
    assert first.evaluate(outline) == "solid"

    acts.stay(page)
    with page.expect_response(lambda answer: "/jobs/" in answer.url):
        pass  # a refresh takes neither the focus nor what is selected
    expect(first).to_be_focused()
    expect(selected).to_have_count(2)
    press(page, "xx")
    expect(selected).to_have_count(2)
    assert acts.has_stayed(page)
    press(page, "j")
    page.keyboard.press("Enter")
    page.wait_for_url(jobs[names[1]])


@pytest.mark.parametrize(("key", "path"), PAGES.items())
def test_g_and_a_letter_lead_to_a_page(olga: Person, key: str, path: str) -> None:
    page = olga.page
    page.goto("/hosts/" if path != "/hosts/" else "/")
    press(page, f"g{key}")
    page.wait_for_url(lambda url: url.split("?")[0].endswith(path))


def test_search(olga: Person) -> None:
    page = olga.page
    page.goto("/domains/?q=web")
    search = page.get_by_role("searchbox")
    expect(search).to_have_attribute("aria-keyshortcuts", "/")
    press(page, "/")
    expect(search).to_be_focused()
    page.keyboard.type("/")
    expect(search).to_have_value("/")
    page.goto("/")
    press(page, "/")
    page.wait_for_url("**/jobs/#q")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_the_help_lists_them_and_keeps_them_off(olga: Person) -> None:
    page = olga.page
    page.goto("/hosts/")
    press(page, "?")
    expect(help_dialog(page)).to_be_visible()
    listed = help_dialog(page).locator("li")
    for key in (*"/jkxg?", *PAGES):
        expect(
            listed.filter(has=page.locator(f"kbd:text-is('{key}')")).first
        ).to_be_visible()
    assert_good(page)
    press(page, "gj")
    expect(help_dialog(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_dialog(page)).to_be_hidden()
    assert page.url.endswith("/hosts/")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_label("Account of olga").click()
    page.get_by_role("button", name="Keys").click()
    expect(help_dialog(page)).to_be_visible()
    help_dialog(page).get_by_role("link", name="Domains").click()
    page.wait_for_url("**/domains/")


# --- Where they do nothing -----------------------------------------------------------


def assert_nothing_happens(page: Page) -> None:
    """Every key is pressed, and the page and its focus stay as they are."""
    acts.stay(page)
    focused = page.evaluate_handle("document.activeElement")
    press(page, ANY)
    page.wait_for_timeout(300)
    assert acts.has_stayed(page)
    assert page.evaluate("node => node === document.activeElement", focused)
    expect(help_dialog(page)).to_be_hidden()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/jobs/", "input[type=search]"),
        ("/hosts/", "select"),
        ("/hosts/add/", "input[name=name]"),
        ("/account/", "input[type=checkbox]"),
    ],
)
def test_not_in_fields(ada: Person, path: str, field: str) -> None:
    ada.page.goto(path)
    ada.page.locator(f"#main {field}").first.focus()
    assert_nothing_happens(ada.page)


@pytest.mark.parametrize(
    "markup", ["<textarea></textarea>", "<p contenteditable>x</p>"]
)
def test_not_where_text_is_written(olga: Person, markup: str) -> None:
    """No page has these now; the promise is kept for the first that will."""
    page = olga.page
    page.goto("/hosts/")
    page.locator("#main").evaluate(
        "(main, markup) => main.insertAdjacentHTML('afterbegin', markup)", markup
    )
    page.locator("#main > :first-child").focus()
    assert_nothing_happens(page)


def test_not_in_a_dialog(olga: Person, make_guest: MakeGuest) -> None:
    page, guest = olga.page, make_guest(writing=False)
    new = fast(guest.host) / f"{guest.name}.qcow2"
    acts.start_copy(page, guest, new, bandwidth=acts.SLOW)
    dialog = acts.open_dialog(page, "Cancel")
    dialog.get_by_role("button", name="Cancel", exact=True).focus()
    assert_nothing_happens(page)
    expect(dialog).to_be_visible()


@pytest.mark.parametrize("modifier", ["Control", "Alt", "Meta"])
def test_not_with_a_modifier(olga: Person, modifier: str) -> None:
    page = olga.page
    page.goto("/hosts/")
    acts.stay(page)
    for key in "jx?/":
        page.keyboard.press(f"{modifier}+{key}")
    page.keyboard.press("g")
    page.keyboard.press(f"{modifier}+o")
    assert page.evaluate("document.activeElement === document.body")
    expect(help_dialog(page)).to_be_hidden()
    assert acts.has_stayed(page)


def test_a_letter_that_leads_nowhere_does_nothing_else(olga: Person) -> None:
    page = olga.page
    page.goto("/hosts/")
    acts.stay(page)
    press(page, "gx")
    press(page, "j")
    expect(page.locator("#live tbody a").first).to_be_focused()
    assert acts.has_stayed(page)


@pytest.mark.usefixtures("as_usual_again")
def test_they_can_be_switched_off(olga: Person) -> None:
    page = olga.page
    box = page.get_by_role("checkbox", name="Keys without a modifier")
    page.goto("/account/")
    box.uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your preferences are saved.")).to_be_visible()
    page.goto("/hosts/")
    assert_nothing_happens(page)
    page.get_by_label("Account of olga").click()
    expect(page.get_by_role("button", name="Keys")).to_have_count(0)
