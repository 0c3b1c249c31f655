"""The main job as an operator does it: sign in, find a disk, copy, watch, decide."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from lab.guest import MIB, Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MakeGuest, MeetPerson, fast
from tests.browser.people import Person

UNTIL_FRESH = (
    "new Promise(done => document.addEventListener('console:fresh', () => done()))"
)


def test_from_sign_in_to_a_pivot(
    meet: MeetPerson, make_guest: MakeGuest, alder: PrivateHost
) -> None:
    guest = make_guest(data=48 * MIB, backing=("raw",))
    olga = meet("olga", stranger=True)
    page = olga.page
    old, new = guest.source(), str(fast(alder) / f"{guest.name}-fast.qcow2")

    sign_in(olga)
    look_around(page, guest)
    describe_the_copy(page, new)
    page.get_by_role("button", name="Start", exact=True).click()
    acts.stay(page)
    watch_it_become_ready(page)
    assert guest.source() == old
    pivot(page, guest, old, new)

    assert acts.has_stayed(page)
    assert (guest.source(), truth.persistent_source(guest)) == (new, new)
    assert truth.is_unharmed(guest)
    read_the_audit_log(page, guest)


def sign_in(olga: Person) -> None:
    """First with a wrong password, then with the right one."""
    page = olga.page
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    olga.sign_in("wrong horse")
    expect(page.get_by_role("alert")).to_contain_text("enter a correct username")
    expect(page.get_by_label("User name")).to_have_value("olga")
    olga.sign_in()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def look_around(page: Page, guest: Guest) -> None:
    """From the overview over the hosts to the domain's disk and its chain."""
    menu = page.get_by_role("navigation", name="Main")
    menu.get_by_role("link", name="Hosts").click()
    page.get_by_role("link", name="alder", exact=True).click()
    expect(acts.state(page)).to_have_text("answers")
    page.get_by_role("link", name=guest.name, exact=True).click()
    expect(acts.state(page)).to_have_text("running")
    disk = acts.disk(page, "vda")
    files = disk.get_by_role("list", name="Backing chain, 2 images")
    links = files.get_by_role("listitem")
    expect(links.nth(0)).to_contain_text(Path(guest.source()).name)
    expect(links.nth(1)).to_contain_text(f"{guest.name}.base1.raw")
    disk.get_by_role("link", name="Copy this disk").click()


def describe_the_copy(page: Page, new: str) -> None:
    """Into the other pool, at a bandwidth at which one can watch it."""
    destination = acts.field(page, "Destination")
    page.get_by_role("button", name=re.compile("^fast")).click()
    expect(destination).to_have_value(re.compile(f"^{Path(new).parent}/"))
    destination.fill(new)
    acts.limit_bandwidth(page, "4 MiB")
    acts.field(page, "Reason").fill("The old pool is full")
    preview = page.get_by_role("region", name="What will happen")
    expect(preview).to_contain_text("until a person pivots, finishes or cancels")
    expect(preview.get_by_label("Disk XML")).to_contain_text(f'file="{new}"')
    expect(preview).to_contain_text("bandwidth=4194304")


def watch_it_become_ready(page: Page) -> None:
    """The page goes on by itself: nobody reloads it."""
    expect(acts.state(page)).to_have_text("copying")
    copied = page.get_by_role("progressbar", name="Copied")
    seen: list[str] = []
    for _ in range(3):
        if seen:
            expect(copied).not_to_have_attribute("value", seen[-1])
        else:
            expect(copied).to_have_attribute("value", re.compile("[1-9]"))
        seen.append(copied.get_attribute("value") or "")
    assert sorted(seen, key=float) == seen, "progress went back"
    expect(page.get_by_role("button", name="Pivot")).to_be_disabled()
    expect(acts.state(page)).to_have_text("mirroring")
    progress = page.get_by_role("region", name="Progress")
    expect(progress).to_contain_text(re.compile(r"In sync for\s+\d:\d\d"))


def pivot(page: Page, guest: Guest, old: str, new: str) -> None:
    """Read what it will do, give a reason, do it."""
    dialog = acts.open_dialog(page, "Pivot")
    expect(dialog).to_contain_text(
        f"{guest.name} will run from {new}. The old file {old} stays on alder and "
        "goes stale."
    )
    dialog.get_by_label("Reason").fill("ticket 4711")
    dialog.get_by_role("button", name="Pivot").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text(
        f"Pivot of vda of {guest.name} was asked for."
    )
    expect(acts.state(page)).to_have_text("pivoted")
    expect(page.get_by_role("region", name="Destination")).to_contain_text(
        "the guest runs on it"
    )
    expect(page.get_by_text("Left behind:")).to_be_visible()


def read_the_audit_log(page: Page, guest: Guest) -> None:
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_label("Search in the texts").fill(guest.name)
    log = page.locator("#live").get_by_role("row").filter(has_text=guest.name)
    asked = log.filter(has_text="ticket 4711")
    expect(asked).to_contain_text(re.compile("olga.*pivot.*asked", re.DOTALL))
    requested = log.filter(has_text="The old pool is full")
    expect(requested).to_contain_text(re.compile("olga.*request.*asked", re.DOTALL))
    done = log.filter(has_text="system").filter(has_text="pivot")
    expect(done).to_contain_text("The guest runs on the destination")


def test_finish_keeps_an_exact_copy(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page, old, new = olga.page, guest.source(), fast(alder) / f"{guest.name}.qcow2"
    acts.start_mirror(page, guest, new)
    guest.host.virsh("suspend", guest.name)
    acts.confirm(page, "Finish", "nightly copy")

    expect(acts.state(page)).to_have_text("copied")
    expect(page.get_by_role("region", name="Destination")).to_contain_text("complete")
    assert not truth.is_copied(guest)
    assert truth.are_identical(old, new)
    guest.host.virsh("resume", guest.name)
    assert (guest.source(), truth.persistent_source(guest)) == (old, old)
    assert truth.is_unharmed(guest)


def test_cancel_while_it_copies(olga: Person, guest: Guest, alder: PrivateHost) -> None:
    page, old, new = olga.page, guest.source(), fast(alder) / f"{guest.name}.qcow2"
    acts.start_copy(page, guest, new, bandwidth=acts.SLOW)
    expect(acts.state(page)).to_have_text("copying")
    dialog = acts.open_dialog(page, "Cancel")
    expect(dialog).to_contain_text("can't be relied on")
    dialog.get_by_role("button", name="Leave it as it is").click()
    expect(dialog).to_be_hidden()
    assert truth.is_copied(guest)
    acts.confirm(page, "Cancel")

    expect(acts.state(page)).to_have_text("cancelled")
    left = page.locator(".note", has_text="Left behind:")
    expect(left).to_contain_text(str(new))
    assert not truth.is_copied(guest)
    assert new.exists()
    assert (guest.source(), truth.persistent_source(guest)) == (old, old)
    assert truth.is_unharmed(guest)


def test_bandwidth_is_changed_in_place(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page = olga.page
    olga.expect_refusal(422)
    acts.start_copy(
        page, guest, fast(alder) / f"{guest.name}.qcow2", bandwidth=acts.SLOW
    )
    expect(acts.state(page)).to_have_text("copying")
    acts.stay(page)
    options = page.get_by_role("region", name="Options")
    field = options.get_by_label("Bandwidth", exact=True)

    field.fill("quickly")
    options.get_by_role("button", name="Set").click()
    expect(options.get_by_role("alert")).not_to_be_empty()
    expect(field).to_have_value("quickly")
    expect(field).to_have_attribute("aria-invalid", "true")
    page.evaluate(UNTIL_FRESH)
    expect(field).to_have_attribute("aria-invalid", "true")

    field.fill("1 MiB/s")
    options.get_by_role("button", name="Set").click()
    expect(options.locator(".in-force")).to_have_text("1 MiB/s")
    expect(options.get_by_role("alert")).to_be_empty()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    assert truth.bandwidth(guest) == MIB

    field.fill("0")
    field.press("Enter")
    expect(options.locator(".in-force")).to_have_text("unlimited")
    expect(acts.state(page)).to_have_text("mirroring")
    assert acts.has_stayed(page)
