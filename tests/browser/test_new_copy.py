"""Bad input for a new copy: told beside the field, and nothing typed is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab.guest import Guest
from lab.host import PrivateHost
from tests.browser import acts, truth
from tests.browser.conftest import fast
from tests.browser.people import Person


def press_start(page: Page) -> None:
    """Greyed or not: the server then says why not. What the button says follows what
    is chosen, as soon as the server has been asked."""
    page.locator("#start-button").click(force=True)


def assert_nothing_was_started(page: Page, guest: Guest) -> None:
    assert re.search(r"/disks/\d+/copy/$", page.url)
    assert not truth.is_copied(guest)


def test_everything_is_wrong_at_once(olga: Person, guest: Guest) -> None:
    page = olga.page
    olga.expect_refusal(422)
    typed = {
        "Destination": "images/copy.qcow2",
        "Bandwidth": "as fast as you can",
        "Granularity": "3000",
        "buf-size": "-1",
        "Reason": "I have not slept <much>",
    }
    acts.fill_in_copy(page, guest, typed["Destination"])
    acts.unfold_advanced(page)
    for label, text in typed.items():
        acts.field(page, label).fill(text)
    page.get_by_role("radio", name="raw", exact=True).check()
    page.get_by_role("radio", name=re.compile("^Finish")).check()
    press_start(page)

    expect(page.get_by_text("Nothing would be started.")).to_be_visible()
    for label, text in typed.items():
        field = acts.field(page, label)
        expect(field).to_be_visible()
        expect(field).to_have_value(text)
        if label != "Reason":
            name = field.get_attribute("name")
            expect(page.locator(f"#{name}-error")).not_to_be_empty()
    expect(page.get_by_role("radio", name="raw", exact=True)).to_be_checked()
    expect(page.get_by_role("radio", name=re.compile("^Finish"))).to_be_checked()
    assert_nothing_was_started(page, guest)


@pytest.mark.parametrize("which", ["source", "backing file"])
def test_a_file_of_the_guest_as_destination(
    olga: Person, guest: Guest, which: str
) -> None:
    """Said while one types, and again by the server when one goes on all the same."""
    page, source = olga.page, Path(guest.source())
    olga.expect_refusal(422)
    base = source.with_name(f"{guest.name}.base1.raw")
    path = {"source": source, "backing file": base}[which]
    acts.fill_in_copy(page, guest, path)
    error = page.locator("#destination-error")
    expect(error).to_contain_text(str(path))
    press_start(page)
    expect(error).to_contain_text("Choose a path that no disk")
    expect(acts.field(page, "Destination")).to_have_value(str(path))
    assert_nothing_was_started(page, guest)


def test_the_enter_key_starts_nothing(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    page, new = olga.page, fast(alder) / f"{guest.name}.qcow2"
    acts.fill_in_copy(page, guest, new)
    acts.field(page, "Reason").fill("not yet")
    acts.field(page, "Destination").press("Enter")
    expect(page.get_by_label("Disk XML")).to_contain_text(str(new))
    expect(acts.field(page, "Reason")).to_have_value("not yet")
    assert_nothing_was_started(page, guest)


def test_a_click_while_the_preview_changes(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    """The button does not move away under the pointer: the click counts."""
    page = olga.page
    acts.fill_in_copy(page, guest, fast(alder) / f"{guest.name}.qcow2")
    acts.unfold_advanced(page)
    button = page.get_by_role("button", name="Start", exact=True)
    button.scroll_into_view_if_needed()
    with page.expect_request_finished(
        lambda sent: "bandwidth=7" in str(sent.post_data)
    ):
        acts.field(page, "Bandwidth").fill("7 MiB")
        button.hover(position={"x": 20, "y": 3})
        page.mouse.down()
    page.evaluate("new Promise(requestAnimationFrame)")  # what came is shown by then
    page.mouse.up()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(page.get_by_role("region", name="Options")).to_contain_text("7 MiB/s")


def test_what_only_the_host_knows(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    """A file that is there already is told of before anything is started."""
    page, taken = olga.page, fast(alder) / f"{guest.name}.qcow2"
    taken.write_bytes(b"dear to somebody")
    olga.expect_refusal(422)
    acts.fill_in_copy(page, guest, taken)
    acts.stay(page)
    stops = page.get_by_role("list", name="Stops")
    expect(stops).to_contain_text(str(taken))
    expect(page.get_by_text("alder answered")).to_be_visible()
    expect(acts.field(page, "Destination")).to_have_value(str(taken))
    assert acts.has_stayed(page)
    press_start(page)
    expect(page.locator("#destination-error")).to_contain_text(str(taken))
    assert_nothing_was_started(page, guest)
    assert taken.read_bytes() == b"dear to somebody"


def test_what_changed_since_the_host_was_asked(
    olga: Person, guest: Guest, alder: PrivateHost
) -> None:
    """The start looks once more, and the job says why nothing was started."""
    page, taken = olga.page, fast(alder) / f"{guest.name}.qcow2"
    acts.fill_in_copy(page, guest, taken)
    expect(page.get_by_text("alder answered")).to_be_visible()
    taken.write_bytes(b"dear to somebody")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    expect(acts.state(page)).to_have_text("failed")
    expect(page.locator(".note-bad")).to_contain_text(str(taken))
    expect(page.get_by_role("list", name="Stops")).to_contain_text(str(taken))
    assert taken.read_bytes() == b"dear to somebody"
    assert not truth.is_copied(guest)


def test_a_disk_that_is_being_copied(
    olga: Person, ada: Person, guest: Guest, alder: PrivateHost
) -> None:
    """Two people fill in the form for one disk; the second is told of the first."""
    page = ada.page
    ada.expect_refusal(422)
    acts.fill_in_copy(page, guest, fast(alder) / f"{guest.name}-ada.qcow2")
    acts.field(page, "Reason").fill("mine")
    acts.start_mirror(olga.page, guest, fast(alder) / f"{guest.name}-olga.qcow2")
    press_start(page)
    expect(page.get_by_role("main")).to_contain_text(
        re.compile(r"Job \d+ is active on this disk")
    )
    expect(acts.field(page, "Reason")).to_have_value("mine")
    acts.open_domain(page, guest.name)
    disk = acts.disk(page, "vda")
    expect(disk).to_contain_text(re.compile(r"Job \d+ is mirroring on this disk"))
    expect(disk.get_by_role("link", name="Copy this disk")).to_have_count(0)
