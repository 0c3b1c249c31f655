"""What reaches people who look elsewhere: the tab's title and icon, toasts, and the
browser's notifications, as each of them chose."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import Person

pytestmark = pytest.mark.usefixtures("as_usual_again")


def choose(page: Page, *on: str, off: tuple[str, ...] = ()) -> None:
    """Tick boxes of the account page, and take the ticks from others."""
    page.goto("/account/")
    for label in on:
        page.get_by_role("checkbox", name=label).check()
    for label in off:
        page.get_by_role("checkbox", name=label).uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your preferences are saved.")).to_be_visible()


def icon(page: Page) -> Locator:
    return page.locator("link[rel=icon]")


def assert_icon(page: Page, family: str) -> None:
    """The icon is there, and it is that of a family."""
    expect(icon(page)).to_have_attribute("href", re.compile(rf"/tabs/{family}\b"))
    answer = page.request.get(icon(page).get_attribute("href") or "")
    assert answer.ok
    assert answer.headers["content-type"].startswith("image/svg+xml")


def test_the_tab_follows_the_job(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page, name = olga.page, f"vda of {guest.name} · Blockcopy Console"
    acts.start_copy(page, guest, fast(alder) / f"{guest.name}.qcow2", bandwidth="64KiB")
    expect(page).to_have_title(re.compile(rf"^\d+ %: {name}$"))
    assert_icon(page, "blue")
    acts.stay(page)
    lists = olga.context.new_page()
    lists.goto("/jobs/?q=" + guest.name)
    expect(lists).to_have_title("Jobs · Blockcopy Console")
    set_bandwidth(page, "0")
    expect(page).to_have_title(f"In sync: {name}")
    assert_icon(page, "violet")
    expect(lists).to_have_title("(1) Jobs · Blockcopy Console")
    assert_icon(lists, "violet")
    lists.goto("/")
    expect(lists).to_have_title(re.compile(r"^\(\d+\) Overview · "))
    acts.confirm(page, "Cancel")
    expect(page).to_have_title(f"Cancelled: {name}")
    assert_icon(page, "neutral")
    assert acts.has_stayed(page)
    page.reload()
    expect(page).to_have_title(f"Cancelled: {name}")


def set_bandwidth(page: Page, typed: str) -> None:
    """Change the bandwidth of the open page's job, by the keyboard alone."""
    acts.field(page, "Bandwidth").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("was asked for.")
    expect(acts.field(page, "Bandwidth")).to_be_focused()


# --- Toasts --------------------------------------------------------------------------


def toasts(page: Page) -> Locator:
    return page.locator(".toast-box")


def test_each_is_told_what_they_chose(
    olga: Person, victor: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    """On any page, also one on which nothing is live."""
    choose(victor.page, off=("in sync",))
    choose(ada.page, off=("On the page",))
    victor.page.goto("/account/")
    for person in (victor, ada):
        expect(person.page.locator("#toasts")).to_be_attached()
    with victor.page.expect_response("**/stream/*"):
        victor.page.reload()
    job = acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    acts.confirm(olga.page, "Pivot")
    ended = toasts(victor.page).filter(has_text=guest.name)
    expect(ended).to_contain_text(f"vda of {guest.name}: pivoted")
    expect(toasts(victor.page)).to_have_count(1)
    expect(toasts(ada.page)).to_have_count(0)
    ended.get_by_role("link").click()
    victor.page.wait_for_url(job)


def test_only_one_s_own_copies(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    for person in (olga, ada):
        person.page.goto("/account/")
        person.page.get_by_role("radio", name="Those that I asked for").check()
        person.page.get_by_role("button", name="Save").click()
    elsewhere = olga.context.new_page()
    elsewhere.goto("/hosts/")
    with ada.page.expect_response("**/stream/*"):
        ada.page.goto("/hosts/")
    acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    expect(toasts(elsewhere)).to_contain_text("in sync, waits for a decision")
    expect(toasts(ada.page)).to_have_count(0)


# --- The browser's notifications ------------------------------------------------------

# Keeps what is shown, and shows it; a tab is hidden when a test says so, since a
# browser without a window hides none.
WITNESS = """
(() => {
  window.told = [];
  window.Notification = class extends Notification {
    constructor(text, options) {
      super(text, options);
      window.told.push({ text, ...options, notice: this });
    }
  };
  let hidden = false;
  Object.defineProperty(document, "hidden", { get: () => hidden });
  window.hide = (now) => {
    hidden = now;
    document.dispatchEvent(new Event("visibilitychange"));
  };
})();
"""


def told(page: Page) -> list[dict[str, Any]]:
    words = "({ text, body, tag }) => ({ text, body, tag })"
    found: list[dict[str, Any]] = page.evaluate(f"window.told.map({words})")
    return found


def hide(page: Page, hidden: bool = True) -> None:
    """Hide a tab; the one that then watches has its stream when this returns."""
    page.evaluate("hidden => window.hide(hidden)", hidden)


def test_a_hidden_tab_notifies_once(
    meet: MeetPerson, olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    ada = meet("ada")
    ada.context.grant_permissions(["notifications"])
    ada.context.add_init_script(WITNESS)
    choose(ada.page, "By the browser")
    tabs = [ada.page, ada.context.new_page(), ada.context.new_page()]
    for tab in tabs:
        tab.goto("/hosts/")
        expect(tab.locator("#live-state")).to_have_text("Live")
    with tabs[0].expect_response("**/stream/*"):
        hide(tabs[0])
    for tab in tabs[1:]:
        hide(tab)
    new = fast(alder) / f"{guest.name}.qcow2"
    job = acts.start_mirror(olga.page, guest, new)
    tabs[0].wait_for_function("window.told.length")
    notice = {
        "text": f"vda of {guest.name}: in sync, waits for a decision",
        "body": "on alder",
        "tag": f"job-{job.rstrip('/').rsplit('/')[-1]}",
    }
    assert [told(tab) for tab in tabs] == [[notice], [], []]

    with ada.context.expect_page() as opened:
        tabs[0].evaluate("window.told[0].notice.dispatchEvent(new Event('click'))")
    opened.value.wait_for_url(job)
    opened.value.close()

    hide(tabs[2], False)  # who looks at the console sees it there
    acts.confirm(olga.page, "Pivot")
    expect(toasts(tabs[2]).filter(has_text="pivoted")).to_be_visible()
    assert [len(told(tab)) for tab in tabs] == [1, 0, 0]


def test_the_next_hidden_tab_takes_over(
    meet: MeetPerson, olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    ada = meet("ada")
    ada.context.grant_permissions(["notifications"])
    ada.context.add_init_script(WITNESS)
    choose(ada.page, "By the browser")
    first, second = ada.page, ada.context.new_page()
    for tab in (first, second):
        tab.goto("/hosts/")
        expect(tab.locator("#live-state")).to_have_text("Live")
        hide(tab)
    with second.expect_response("**/stream/*"):
        first.close()
    acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}.qcow2")
    second.wait_for_function("window.told.length")


def test_a_hidden_tab_looks_seldom(olga: Person) -> None:
    """It gives its stream back and asks each 30 s; shown again, it is live at once."""
    page = olga.page
    page.add_init_script(WITNESS)
    page.clock.install()
    # The stream begins with a beat, for which the page is fetched once.
    with page.expect_response(lambda got: "hx-request" in got.request.headers):
        page.goto("/hosts/")
    expect(page.locator("#live-state")).to_have_text("Live")
    expect(page.locator(".htmx-request")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hide(page)
    page.clock.run_for(25_000)
    assert asked == []
    with page.expect_response("**/hosts/"):
        page.clock.run_for(6_000)
    assert len(asked) == 1
    with page.expect_response("**/stream/*"), page.expect_response("**/hosts/"):
        hide(page, False)
    expect(page.locator("#live-state")).to_have_text("Live")


def test_the_browser_is_asked_on_a_click_and_nowhere_else(ada: Person) -> None:
    page = ada.page
    page.add_init_script(
        """
        window.asked = 0;
        const really = Notification.requestPermission.bind(Notification);
        Notification.requestPermission = () => (window.asked++, really());
        """
    )
    page.goto("/")
    assert page.evaluate("window.asked") == 0
    page.goto("/account/")
    assert page.evaluate("window.asked") == 0
    answer = page.locator("#permission")
    ask = answer.get_by_role("button", name="Ask it")
    expect(ask).to_be_visible()
    # What a person would answer in the browser's own window.
    ada.context.grant_permissions(["notifications"])
    ask.click()
    expect(answer.get_by_text("This browser may.")).to_be_visible()
    expect(ask).to_be_hidden()
    assert page.evaluate("window.asked") == 1
    ada.context.clear_permissions()
