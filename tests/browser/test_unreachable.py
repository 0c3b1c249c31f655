"""A host that does not answer: pages stay quick, and nothing is guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lab.cell import LabError
from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MakeGuest, fast
from tests.browser.people import Person

# A page that asked the host would take libvirt's ten seconds and more.
QUICK = 5.0  # seconds


@pytest.fixture
def far_guest(make_guest: MakeGuest, birch: PrivateHost) -> Iterator[Guest]:
    """A guest on birch, whose daemon runs again in the end."""
    yield make_guest(birch)
    try:
        birch.virsh("version")
    except LabError:
        birch.start()


def assert_quick(page: Page, *paths: str) -> None:
    for path in paths:
        began = time.monotonic()
        assert page.request.get(path).ok
        assert time.monotonic() - began < QUICK, path


def test_the_daemon_is_frozen_and_killed(
    olga: Person, far_guest: Guest, birch: PrivateHost
) -> None:
    page = olga.page
    new = fast(birch) / f"{far_guest.name}.qcow2"
    job = acts.start_copy(page, far_guest, new, bandwidth=acts.SLOW)
    expect(acts.state(page)).to_have_text("copying")
    acts.stay(page)
    acts.open_domain(second := olga.context.new_page(), far_guest.name)
    lists = ("/", "/jobs/", "/hosts/", "/storage/")
    paths = (job, *lists, "/copy/", second.url, f"{job}cancel/")

    birch.freeze()
    try:
        assert_quick(second, *paths)
    finally:
        birch.thaw()
    birch.kill()

    expect(page.get_by_role("status").filter(has_text="birch")).to_contain_text(
        "birch does not answer; last seen"
    )
    expect(acts.state(page)).to_have_text("copying")
    expect(page.get_by_text("Below is the last known state.")).to_be_visible()
    assert_quick(second, *paths)
    see_it_elsewhere(second, far_guest)

    birch.start()
    expect(page.get_by_role("status").filter(has_text="birch")).to_have_count(0)
    assert acts.has_stayed(page)
    assert truth.is_copied(far_guest)
    acts.confirm(page, "Cancel")
    expect(acts.state(page)).to_have_text("cancelled")


def see_it_elsewhere(page: Page, guest: Guest) -> None:
    """The overview, the hosts, the host and the domain say so too."""
    page.goto("/")
    strip = page.get_by_role("region", name="Hosts").get_by_role("listitem")
    expect(strip.filter(has_text="birch")).to_contain_text("does not answer")
    running = page.get_by_role("table", name="Jobs in flight")
    row = running.get_by_role("row", name=guest.name)
    expect(row).to_contain_text("copying")
    expect(row).to_contain_text("no answer, last seen")
    page.goto("/storage/?host=birch")
    expect(page.get_by_role("row", name="images")).to_contain_text("last seen")
    page.goto("/hosts/?reach=silent")
    page.get_by_role("link", name="birch", exact=True).click()
    expect(acts.state(page)).to_have_text("does not answer")
    expect(page.get_by_role("main")).to_contain_text("Last seen")
    page.get_by_role("link", name=guest.name, exact=True).first.click()
    expect(page.get_by_role("main")).to_contain_text(
        "birch does not answer; this is how the domain was"
    )


def test_a_guest_that_is_switched_off(olga: Person, far_guest: Guest) -> None:
    """No event of the copy tells of it: the page does, with what to do."""
    page = olga.page
    new = fast(far_guest.host) / f"{far_guest.name}.qcow2"
    acts.start_copy(page, far_guest, new, bandwidth=acts.SLOW)
    expect(acts.state(page)).to_have_text("copying")
    acts.stay(page)
    far_guest.destroy()
    expect(acts.state(page)).to_have_text("lost")
    expect(page.locator(".note", has_text="Left behind:")).to_contain_text(str(new))
    assert acts.has_stayed(page)
