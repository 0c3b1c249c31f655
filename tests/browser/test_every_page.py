"""Every page, with real data on it: axe finds nothing in light and dark, none goes
sideways on a phone, on a tablet or at 200 %, and a finger hits what it aims at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, expect

from lab.guest import Guest
from lab.host import PrivateHost
from lab.stack import Stack
from tests.browser import acts
from tests.browser.conftest import MakeGuest, MeetPerson, fast, guest_maker
from tests.browser.people import Person

PHONE: ViewportSize = {"width": 360, "height": 740}
TABLET: ViewportSize = {"width": 768, "height": 1024}
# A desk of 1280 by 900 pixels, at 200 %.
ZOOMED: ViewportSize = {"width": 640, "height": 450}
DESK: ViewportSize = {"width": 1440, "height": 900}
LISTS = {
    "overview": "/",
    "jobs": "/jobs/",
    "jobs that ended": "/jobs/?state=ended",
    "no jobs": "/jobs/?q=nobody-has-this-name",
    "jobs by some filters": "/jobs/?state=mirroring&state=copying&q=w&sort=-host",
    "jobs by a filter that is none": "/jobs/?colour=red",
    "saved views": "/jobs/views/",
    "cancel many": "/jobs/bulk/?act=cancel&all=9&state=active",
    "set the bandwidth of many": "/jobs/bulk/?act=speed&all=9&state=copying",
    "hosts": "/hosts/",
    "silent hosts": "/hosts/?reach=silent",
    "domains": "/domains/",
    "domains by some filters": "/domains/?state=on&q=w&site=default&sort=-host",
    "storage": "/storage/",
    "storage of a silent host": "/storage/?host=birch&sort=full",
    "storage by a filter that is none": "/storage/?colour=red",
    "new copy": "/copy/",
    "leftovers": "/leftovers/",
    "no leftovers": "/leftovers/?q=nobody-has-this-name",
    "leftovers that were removed": "/leftovers/?state=removed",
    "audit": "/audit/",
    "refusals in the audit log": "/audit/?outcome=refused",
    "add a host": "/hosts/add/",
    "account": "/account/",
    "change the password": "/account/password/",
}
PLACES = (
    *("copying", "mirroring", "pivoted", "copied", "cancelled", "failed", "lost"),
    *("job on a silent host", "silent host", "host", "edit a host", "domain"),
    *("odd domain", "copy this disk", "confirm a pivot", "confirm a cancel"),
    *("copy to a volume", "copy to the network", "copy by raw XML"),
    *("confirm a finish", "confirm an adoption", "adopted", "copy several disks"),
)

# What reaches beyond the edge of a page that can be pushed sideways.
TOO_WIDE = """
() => document.documentElement.scrollWidth <= innerWidth ? [] :
    [...document.querySelectorAll("body *")]
        .filter(node => node.getBoundingClientRect().right > innerWidth)
        .map(node => node.outerHTML.slice(0, 80))
"""

Furniture = dict[str, str]


@pytest.fixture(scope="module")
def furniture(
    chromium: Browser,
    stack: Stack,
    sessions: dict[str, StorageState],
    alder: PrivateHost,
    birch: PrivateHost,
) -> Iterator[Furniture]:
    """Addresses of pages: a job in every state, and birch, which does not answer."""
    ada = Person(chromium, stack.url, "ada", state=sessions["ada"])
    with guest_maker(alder) as make:
        places = furnish(ada.page, partial(make, writing=False), birch)
        birch.kill()
        ada.page.goto(places["job on a silent host"])
        expect(ada.page.get_by_text("Below is the last known state.")).to_be_visible()
        ada.leave()
        yield places
        birch.start()


def furnish(page: Page, make: MakeGuest, birch: PrivateHost) -> Furniture:
    at = {"job on a silent host": start(page, make(birch), bandwidth=acts.SLOW)}
    at["silent host"] = host_of(page)
    guest = make(backing=("raw",))
    acts.open_domain(page, guest.name)
    at["domain"] = page.url
    link = acts.disk(page, "vda").get_by_role("link", name="Copy this disk")
    form = link.get_attribute("href") or ""
    at["copy this disk"] = f"{form}?bandwidth=1+MiB"
    at["copy several disks"] = f"{at['domain']}copy/?disk={form.split('/')[2]}"
    at["copy to a volume"] = f"{form}?destination_kind=volume&when_ready=finish"
    at["copy to the network"] = (
        f"{form}?destination_kind=network&protocol=rbd&servers=x&encryption=y"
    )
    at["copy by raw XML"] = f"{form}?destination_kind=xml"
    at["mirroring"] = start(page, guest, reason="Move it before the weekend")
    expect(acts.state(page)).to_have_text("mirroring")
    at["host"] = host_of(page)
    at["edit a host"] = f"{at['host']}edit/"
    at["confirm a pivot"] = f"{at['mirroring']}pivot/"
    at["confirm a finish"] = f"{at['mirroring']}finish/"
    at["copying"] = start(page, make(), bandwidth=acts.SLOW)
    at["confirm a cancel"] = f"{at['copying']}cancel/"
    at["odd domain"] = odd_domain(page, make(), at["host"])
    at["confirm an adoption"] = adoption(page)
    at["adopted"] = adopted(page, make())
    return at | ended_jobs(page, make)


def start(page: Page, guest: Guest, **options: str) -> str:
    return acts.start_copy(
        page, guest, fast(guest.host) / f"{guest.name}.qcow2", **options
    )


def host_of(page: Page) -> str:
    """The address of the host that a job's page names."""
    link = page.locator(".page-title a[href^='/hosts/']")
    return link.get_attribute("href") or ""


def odd_domain(page: Page, guest: Guest, host: str) -> str:
    """A domain with somebody else's copy, whose next boot would use another file."""
    begin_by_virsh(guest)
    source = guest.source()
    definition = guest.host.virsh("dumpxml", "--inactive", guest.name)
    other = definition.replace(source, f"{source}.old")
    guest.host.virsh("define", "/dev/stdin", text=other)
    acts.open_domain(page, guest.name)
    address = page.url
    page.goto(host)
    page.get_by_role("button", name="Sync now").click()
    page.goto(address)
    expect(page.get_by_text("Foreign copy, not started here:")).to_be_visible()
    expect(page.get_by_text("The next boot would use another file.")).to_be_visible()
    return address


def begin_by_virsh(guest: Guest) -> None:
    """A copy that the console knows nothing of."""
    place = f"{guest.source()}.foreign"
    mirror = ("--dest", place, "--format", "qcow2", "--transient-job")
    guest.host.virsh("blockcopy", guest.name, "vda", *mirror)


def adoption(page: Page) -> str:
    """The question whether to adopt what the open page of a domain shows."""
    button = acts.disk(page, "vda").get_by_role("button", name=re.compile("^Adopt"))
    expect(button).to_have_attribute("href", re.compile("/adopt/"))
    return button.get_attribute("href") or ""


def adopted(page: Page, guest: Guest) -> str:
    """The job that a copy begun elsewhere became."""
    begin_by_virsh(guest)
    acts.open_domain(page, guest.name)
    page.goto(adoption(page))
    page.get_by_role("button", name="Adopt", exact=True).click()
    expect(acts.state(page)).to_have_text("mirroring")
    return page.url


def ended_jobs(page: Page, make: MakeGuest) -> Furniture:
    """A job that came to each of the ends that there are."""
    at = {}
    at["pivoted"] = start(page, make(backing=("raw", "qcow2")), when_ready="Pivot")
    expect(acts.state(page)).to_have_text("pivoted")
    at |= removals(page)
    at["copied"] = start(page, make(), when_ready="Finish")
    expect(acts.state(page)).to_have_text("copied")
    guest = make()
    taken = fast(guest.host) / f"{guest.name}-taken.qcow2"
    acts.fill_in_copy(page, guest, taken)
    expect(page.get_by_text(f"{guest.host.name} answered")).to_be_visible()
    taken.write_bytes(b"dear to somebody")
    at["failed"] = acts.press_start(page)
    expect(acts.state(page)).to_have_text("failed")
    at["cancelled"] = start(page, guest, bandwidth=acts.SLOW)
    acts.confirm(page, "Cancel")
    expect(acts.state(page)).to_have_text("cancelled")
    at["lost"] = start(page, (ended := make()), bandwidth=acts.SLOW)
    expect(acts.state(page)).to_have_text("copying")
    ended.destroy()
    expect(acts.state(page)).to_have_text("lost")
    return at


def removals(page: Page) -> Furniture:
    """A removal that nobody can confirm while birch does not answer."""
    remove = page.get_by_role("region", name="Left behind").get_by_role(
        "button", name=re.compile("^Remove")
    )
    expect(remove).to_have_attribute("href", re.compile("/leftovers/"))
    address = remove.get_attribute("href") or ""
    return {"a refused removal": address}


# --- What is asked of a page -------------------------------------------------------


def assert_good(page: Page) -> None:
    """Nothing for axe to find in light and in dark, nothing beyond the edge."""
    page.set_viewport_size(DESK)
    page.evaluate(Axe().axe_script)
    assert violations(page, "light") == []
    # What else axe looks at is the same in the dark.
    assert violations(page, "dark", "color-contrast") == []
    for size in (TABLET, ZOOMED, PHONE):
        page.set_viewport_size(size)
        assert page.evaluate(TOO_WIDE) == []
    # The rule of 24 pixels, which axe leaves out unless it is asked; what the bar
    # above hides of a page that is scrolled is not meant by it.
    page.evaluate("scrollTo(0, 0)")
    assert violations(page, "light", "target-size") == []


def violations(page: Page, look: Literal["light", "dark"], *rules: str) -> list[str]:
    """What axe finds, by these rules or by all that it has."""
    # Without motion the colours are at once what they will be.
    page.emulate_media(color_scheme=look, reduced_motion="reduce")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", look)
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = page.evaluate(
        "options => axe.run(document, options).then(results => results.violations)",
        options,
    )
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("name", [*LISTS, *PLACES])
def test_each_page_as_the_administrator(
    ada: Person, furniture: Furniture, name: str
) -> None:
    answer = ada.page.goto({**LISTS, **furniture}[name])
    assert answer is not None
    assert answer.ok
    expect(ada.page.get_by_role("heading", level=1)).to_have_count(1)
    assert_good(ada.page)


@pytest.mark.parametrize(
    "name",
    [
        *("overview", "mirroring", "copy this disk", "new copy", "hosts", "host"),
        "odd domain",
    ],
)
def test_pages_with_greyed_buttons(
    victor: Person, furniture: Furniture, name: str
) -> None:
    victor.page.goto({**LISTS, **furniture}[name])
    assert_good(victor.page)


@pytest.mark.parametrize("path", ["/nowhere/", "/hosts/add/", "/jobs/1/fly/"])
def test_error_pages(victor: Person, path: str) -> None:
    for status in (403, 404):
        victor.expect_refusal(status)
    victor.page.goto(path)
    expect(victor.page.get_by_role("link", name="To the overview")).to_be_visible()
    assert_good(victor.page)


def test_a_removal_that_is_refused(ada: Person, furniture: Furniture) -> None:
    ada.expect_refusal(409)
    ada.page.goto(furniture["a refused removal"])
    expect(ada.page.get_by_role("alert")).to_contain_text("birch does not answer")
    assert_good(ada.page)


def test_the_sign_in_page(meet: MeetPerson) -> None:
    olga = meet("olga", stranger=True)
    olga.page.goto("/audit/")
    assert_good(olga.page)
    olga.sign_in("wrong horse")
    expect(olga.page.get_by_role("alert")).to_be_visible()
    assert_good(olga.page)


def test_an_open_dialog_and_an_open_menu(ada: Person, furniture: Furniture) -> None:
    page = ada.page
    page.goto(furniture["mirroring"])
    page.get_by_label("Account of ada").click()
    assert_good(page)
    page.keyboard.press("Escape")
    acts.open_dialog(page, "Pivot")
    assert_good(page)


def test_an_open_list_of_disks(ada: Person, furniture: Furniture) -> None:
    """While one types a disk is active in it, and the field says which."""
    page = ada.page
    page.goto(LISTS["new copy"])
    field = page.get_by_role("combobox")
    with page.expect_response(lambda answer: "/copy/?q=w" in answer.url):
        field.press_sequentially("w")
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", re.compile("."))
    expect(field).to_have_attribute("aria-expanded", "true")
    assert_good(page)


@pytest.mark.usefixtures("as_usual_again")
def test_compact_lists(ada: Person, furniture: Furniture) -> None:
    """Forty rows are 960 pixels, and each can be hit."""
    page = ada.page
    page.goto("/account/")
    page.get_by_role("radio", name="Compact").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Your preferences are saved.")).to_be_visible()
    for name in ("jobs", "domains", "hosts", "audit", "overview"):
        page.set_viewport_size(DESK)
        page.goto(LISTS[name])
        page.evaluate(Axe().axe_script)
        rows = page.locator("main .dense tbody tr:not(.silent)")
        heights = rows.evaluate_all("rows => rows.map(row => row.offsetHeight)")
        assert sorted(heights)[len(heights) // 2] == 24, name
        assert violations(page, "light", "target-size", "color-contrast") == []
        for size in (TABLET, PHONE):
            page.set_viewport_size(size)
            assert page.evaluate(TOO_WIDE) == []


def test_forms_full_of_errors(ada: Person, furniture: Furniture) -> None:
    page = ada.page
    ada.expect_refusal(422)
    page.goto(furniture["copy this disk"])
    acts.field(page, "Destination").fill("relative")
    acts.field(page, "Granularity").fill("3")
    page.get_by_role("button", name="Start", exact=True).click(force=True)
    expect(page.locator("#granularity-error")).not_to_be_empty()
    assert_good(page)
    page.goto(LISTS["cancel many"])
    page.get_by_label(re.compile("^Type cancel")).fill("something else")
    page.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(page.locator("#typed-error")).not_to_be_empty()
    assert_good(page)
    page.goto("/hosts/add/")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#name-error")).not_to_be_empty()
    assert_good(page)
