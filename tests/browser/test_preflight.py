"""The host's own word in the form of a new copy: it comes by itself, stops are final,
warnings are accepted one by one with a reason."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import MeetPerson, fast
from tests.browser.people import Person


def stops(page: Page) -> Locator:
    return page.get_by_role("list", name="Stops")


def warnings(page: Page) -> Locator:
    return page.get_by_role("list", name="Warnings")


def choose(page: Page, kind: str) -> None:
    """Choose what the copy is written to, or what follows when it is ready."""
    page.get_by_role("radio", name=re.compile(f"^{kind}")).check()


def test_evidence_arrives_while_one_types(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page, new = olga.page, fast(alder) / f"{guest.name}.qcow2"
    acts.fill_in_copy(page, guest, alder.directory / "no-such-folder" / "x.qcow2")
    acts.stay(page)
    acts.field(page, "Reason").fill("half a sent")
    expect(stops(page)).to_contain_text("no-such-folder")
    expect(acts.start_button(page)).to_have_attribute("aria-disabled", "true")

    acts.field(page, "Destination").fill(str(new))
    acts.field(page, "Reason").press_sequentially("ence")
    expect(page.get_by_text("alder answered")).to_be_visible()
    expect(stops(page)).to_have_count(0)
    expect(acts.start_button(page)).not_to_have_attribute("aria-disabled", "true")
    expect(acts.field(page, "Reason")).to_have_value("half a sentence")
    expect(acts.field(page, "Reason")).to_be_focused()
    assert acts.has_stayed(page)
    assert not truth.is_copied(guest)


def test_no_answer_is_shown_to_what_was_asked_before(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    """As soon as one types, what the host said before is no answer any more."""
    page = olga.page
    acts.fill_in_copy(page, guest, fast(alder) / f"{guest.name}.qcow2")
    expect(page.get_by_text("alder answered")).to_be_visible()
    page.route("**/disks/*/copy/", lambda route: None)  # the server is slow now
    acts.field(page, "Destination").press_sequentially("x")
    expect(page.get_by_text("alder answered")).to_be_hidden()
    expect(page.get_by_text("asking alder…")).to_be_visible()
    page.unroute("**/disks/*/copy/")


def test_a_volume_with_a_warning_accepted(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    """The guest has no agent: a copy that should be guest-consistent can't be."""
    page, name = olga.page, f"{guest.name}-copy.qcow2"
    olga.expect_refusal(422)
    acts.fill_in_copy(page, guest, "/unused")
    choose(page, "Storage volume")
    page.get_by_label("Pool", exact=True).select_option("fast")
    acts.field(page, "Name of the volume").fill(name)
    choose(page, "Finish")
    page.get_by_role("checkbox", name="Guest-consistent").check()
    accept = warnings(page).get_by_role("checkbox", name="Accept this")
    expect(accept).to_have_count(1)
    expect(page.get_by_text("Accept the warning first")).to_be_visible()

    accept.focus()
    accept.press("Space")
    expect(acts.start_button(page)).not_to_have_attribute("aria-disabled", "true")
    expect(accept).to_be_focused()
    acts.start_button(page).click()
    expect(page.locator("#reason-error")).to_contain_text("with a reason")
    expect(accept).to_be_checked()
    acts.field(page, "Reason").fill("crash-consistent will do")
    assert not truth.is_copied(guest)
    acts.press_start(page)

    expect(acts.state(page)).to_have_text("copied")
    volume = fast(alder) / name
    assert volume.exists()
    main = page.get_by_role("main")
    expect(main).to_contain_text("The console made this volume for the job.")
    expect(page.get_by_role("region", name="Destination")).to_contain_text(str(volume))
    expect(main).to_contain_text("Accepted by olga")
    expect(main).to_contain_text("crash-consistent will do")
    expect(page.get_by_role("region", name="Left behind")).to_contain_text(str(volume))
    ada.page.goto("/audit/?action=request")
    expect(ada.page.locator("#live")).to_contain_text("crash-consistent will do")
    assert truth.is_unharmed(guest)


def test_a_reused_file_is_declared_as_what_it_is(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    """A raw file of the right size for a qcow2 disk: looked up by us, not by QEMU."""
    page, there = olga.page, fast(alder) / f"{guest.name}.there"
    with there.open("wb") as file:
        file.truncate(truth.capacity(guest))
    acts.fill_in_copy(page, guest, there)
    page.get_by_role("checkbox", name="Reuse what is there").check()
    expect(stops(page)).to_contain_text("raw")
    page.get_by_role("radio", name="what is there").check()
    expect(page.get_by_label("Disk XML")).to_contain_text('type="raw"')
    expect(page.get_by_text("alder answered")).to_be_visible()
    expect(stops(page)).to_have_count(0)
    for box in warnings(page).get_by_role("checkbox").all():
        box.check()
    acts.field(page, "Reason").fill("it was made for this")
    expect(acts.start_button(page)).not_to_have_attribute("aria-disabled", "true")
    acts.press_start(page)
    expect(acts.state(page)).to_have_text("mirroring")
    acts.confirm(page, "Pivot")
    expect(acts.state(page)).to_have_text("pivoted")
    assert guest.source() == str(there)
    assert truth.is_unharmed(guest)


def test_without_scripts_the_check_waits_for_the_host(
    meet: MeetPerson, guest: Guest, alder: PrivateHost
) -> None:
    taken = fast(alder) / f"{guest.name}.qcow2"
    taken.write_bytes(b"dear to somebody")
    olga = meet("olga")
    acts.open_domain(olga.page, guest.name)
    link = acts.disk(olga.page, "vda").get_by_role("link", name="Copy this disk")
    address = link.get_attribute("href") or ""
    page = meet("olga", java_script_enabled=False).page
    page.goto(address)
    acts.field(page, "Destination").fill(str(taken))
    page.locator("noscript button[name=check]").click()
    expect(stops(page)).to_contain_text(str(taken))
    expect(page.get_by_text("alder answered")).to_be_visible()
    assert Path(taken).read_bytes() == b"dear to somebody"
