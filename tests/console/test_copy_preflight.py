"""New copy and the host's own word: asked for, awaited, shown, and accepted.

The answer is left in Redis as a worker leaves it.
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs import checks
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host
from jobs.preflight import Finding, Level
from tests.conftest import signed_in
from tests.console.rows import text_of

pytestmark = pytest.mark.usefixtures("redis")

TYPED = {
    "destination_kind": "file",
    "destination": "/srv/images/new.qcow2",
    "format": "same",
    "when_ready": "wait",
    "reason": "",
}
STOP = Finding("full", Level.STOP, "No room.", "Choose another pool.", "destination")
WARN = Finding("stale", Level.WARN, "Snapshots go stale.", "Remove them.", "disk", "s1")
OTHER = Finding("thick", Level.WARN, "The copy becomes thick.")
NOTICE = Finding("blocked", Level.NOTICE, "No save meanwhile.")
PASS = Finding("there", Level.PASS, "The directory is there.")


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.console.views.copy.ANSWER_SECONDS", 0)


def address_of(disk: Disk) -> str:
    return reverse("disk-copy", args=[disk.pk])


def look(client: Client, disk: Disk, **typed: Any) -> Any:
    """Return the answer to what the page asks while one types."""
    response = client.post(
        address_of(disk),
        {**TYPED, "check": "1", **typed},
        headers={"HX-Request": "true", "HX-Target": "preview"},
    )
    assert response.status_code == 200
    return response


def answered(client: Client, disk: Disk, *found: Finding, **typed: Any) -> Any:
    """Let the host answer, then look again."""
    key = look(client, disk, **typed).context["verdict"].key
    checks.keep(key, found)
    return look(client, disk, **typed)


def token_of(response: Any, rule: str) -> str:
    """Return the value of the checkbox that accepts a warning."""
    shown = response.context["verdict"].warnings
    return str(next(each.token for each in shown if each.finding.rule == rule))


# --- Asking --------------------------------------------------------------------------


def test_says_that_it_asks(olga: User, disk: Disk) -> None:
    response = look(signed_in(olga), disk)
    text = text_of(response)
    assert "data-asking" in text
    assert "asking alder…" in text
    assert response.context["verdict"].asking


def test_a_get_asks_nobody(olga: User, disk: Disk) -> None:
    verdict = signed_in(olga).get(address_of(disk)).context["verdict"]
    assert verdict.key == ""
    assert not verdict.asking


def test_shows_the_answer_by_its_level(olga: User, disk: Disk) -> None:
    response = answered(signed_in(olga), disk, STOP, WARN, NOTICE, PASS)
    text, verdict = text_of(response), response.context["verdict"]
    assert "data-asking" not in text
    for group, finding in (
        (verdict.stops, STOP),
        (verdict.warnings, WARN),
        (verdict.notices, NOTICE),
        (verdict.passed, PASS),
    ):
        assert finding in [shown.finding for shown in group]
    for words in ("No room.", "Choose another pool.", "Snapshots go stale.", "s1"):
        assert words in text
    assert "alder answered" in text


def test_an_answer_is_never_shown_for_something_else(olga: User, disk: Disk) -> None:
    client = signed_in(olga)
    assert "No room." in text_of(answered(client, disk, STOP))
    for change in (
        {"destination": "/srv/images/other.qcow2"},
        {"format": "raw"},
        {"bandwidth": "1 MiB"},
    ):
        text = text_of(look(client, disk, **change))
        assert "No room." not in text
        assert "asking alder…" in text
    assert "No room." in text_of(look(client, disk))


def test_what_the_database_knows_since_counts_too(olga: User, disk: Disk) -> None:
    """The host's answer may be older than a job on the same disk."""
    client = signed_in(olga)
    answered(client, disk, PASS)
    Domain.objects.update(state="shutoff", libvirt_id=None)
    verdict = look(client, disk).context["verdict"]
    assert "web is not running." in [shown.finding.cause for shown in verdict.stops]


@pytest.mark.parametrize("typed", [{"destination": "relative"}, {"bandwidth": "fast"}])
def test_nonsense_is_not_asked_of_a_host(
    typed: dict[str, str], olga: User, disk: Disk
) -> None:
    assert look(signed_in(olga), disk, **typed).context["verdict"].key == ""


def test_a_silent_host_is_not_asked(olga: User, disk: Disk) -> None:
    Host.objects.update(error="No route.")
    assert look(signed_in(olga), disk).context["verdict"].key == ""


def test_who_may_not_start_asks_nobody(victor: User, disk: Disk) -> None:
    response = look(signed_in(victor), disk)
    assert response.context["verdict"].key == ""
    assert "Your role does not allow you to start a copy." in text_of(response)


def test_says_so_when_no_answer_comes(olga: User, disk: Disk) -> None:
    client = signed_in(olga)
    first = look(client, disk).context["verdict"]
    long_ago = f"{first.key}@{time.time() - 9:.2f}"
    text = text_of(look(client, disk, asked=long_ago))
    assert "alder has not answered for" in text
    other = f"{'0' * 32}@{time.time() - 9:.2f}"
    assert "has not answered" not in text_of(look(client, disk, asked=other))
    assert "has not answered" not in text_of(look(client, disk, asked="@@nonsense"))


def test_without_scripts_a_page_waits_for_the_answer(
    olga: User, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(olga)
    answered(client, disk, WARN)
    response = client.post(address_of(disk), {**TYPED, "check": "1"})
    assert "<html" in text_of(response)
    assert "Snapshots go stale." in text_of(response)
    monkeypatch.setattr("jobs.console.views.copy.ANSWER_SECONDS", 0.2)
    began = time.monotonic()
    response = client.post(
        address_of(disk), {**TYPED, "check": "1", "destination": "/x"}
    )
    assert time.monotonic() - began >= 0.2
    assert "asking alder…" in text_of(response)


# --- Stops ---------------------------------------------------------------------------


def test_a_stop_greys_the_button_and_says_why(olga: User, disk: Disk) -> None:
    text = text_of(answered(signed_in(olga), disk, STOP))
    button = re.search(r'<button[^>]*id="start-button"[^>]*>', text)
    assert button
    assert 'aria-disabled="true"' in button[0]
    assert 'type="submit"' in button[0]
    assert '<p id="start-why" class="why">No room.</p>' in text
    assert "Choose another pool." in text


def test_a_stop_is_said_again_when_one_starts_all_the_same(
    olga: User, disk: Disk
) -> None:
    client = signed_in(olga)
    answered(client, disk, STOP)
    response = client.post(address_of(disk), {**TYPED, "accepted": ["full:x"]})
    assert response.status_code == 422
    assert response.context["form"].errors["destination"] == ["No room."]
    assert not CopyJob.objects.exists()


# --- Warnings ------------------------------------------------------------------------


class TestAccepting:
    def test_an_open_warning_greys_the_button(self, olga: User, disk: Disk) -> None:
        text = text_of(answered(signed_in(olga), disk, WARN, OTHER))
        assert "Accept the 2 warnings first" in text
        assert text.count('name="accepted"') == 2

    def test_is_refused_while_any_is_open(self, olga: User, disk: Disk) -> None:
        client = signed_in(olga)
        shown = answered(client, disk, WARN, OTHER)
        typed = {**TYPED, "reason": "it is known"}
        for accepted in ([], [token_of(shown, "stale")]):
            response = client.post(address_of(disk), {**typed, "accepted": accepted})
            assert response.status_code == 422
            assert "Accept the" in text_of(response)
        assert not CopyJob.objects.exists()

    def test_needs_a_reason(self, olga: User, disk: Disk) -> None:
        client = signed_in(olga)
        token = token_of(answered(client, disk, WARN), "stale")
        response = client.post(address_of(disk), {**TYPED, "accepted": [token]})
        assert response.status_code == 422
        assert "with a reason" in " ".join(response.context["form"].errors["reason"])
        assert not CopyJob.objects.exists()

    def test_starts_with_a_reason(self, olga: User, disk: Disk) -> None:
        client = signed_in(olga)
        shown = answered(client, disk, WARN, OTHER)
        tokens = [token_of(shown, "stale"), token_of(shown, "thick")]
        typed = {**TYPED, "accepted": tokens, "reason": "they are old"}
        assert client.post(address_of(disk), typed).status_code == 302
        job = CopyJob.objects.get()
        assert (job.accepted, job.reason) == (["stale", "thick"], "they are old")
        entry = AuditEntry.objects.get(action="request")
        assert "Snapshots go stale." in entry.intent
        assert entry.reason == "they are old"

    def test_stays_accepted_while_other_things_change(
        self, olga: User, disk: Disk
    ) -> None:
        client = signed_in(olga)
        token = token_of(answered(client, disk, WARN), "stale")
        asking = look(client, disk, bandwidth="1 MiB", accepted=[token])
        hidden = f'<input type="hidden" name="accepted" value="{token}">'
        assert hidden in text_of(asking)
        again = answered(client, disk, WARN, bandwidth="1 MiB", accepted=[token])
        assert again.context["verdict"].why_not == ""
        assert hidden not in text_of(again)

    def test_is_not_carried_to_another_destination(
        self, olga: User, disk: Disk
    ) -> None:
        """What was accepted of one place says nothing of another one."""
        client = signed_in(olga)
        token = token_of(answered(client, disk, WARN), "stale")
        other = {"destination": "/srv/images/other.qcow2", "accepted": [token]}
        verdict = answered(client, disk, WARN, **other).context["verdict"]
        assert [shown.finding for shown in verdict.open_warnings] == [WARN]
        typed = {**TYPED, **other, "reason": "it is known"}
        assert client.post(address_of(disk), typed).status_code == 422

    def test_forged_tokens_accept_nothing(self, olga: User, disk: Disk) -> None:
        client = signed_in(olga)
        for token in ("stale", "stale:", ":", "x" * 9000, "stale:000000000000"):
            verdict = answered(client, disk, WARN, accepted=[token]).context["verdict"]
            assert verdict.open_warnings


# --- The format of what is there ------------------------------------------------------


def test_the_format_is_what_was_found(olga: User, disk: Disk) -> None:
    client = signed_in(olga)
    typed = {"format": "found", "reuse_external": "on"}
    first = look(client, disk, **typed).context
    assert first["form"].wanted.destination.format == "qcow2"
    checks.keep(first["verdict"].key, [PASS], found="raw")
    second = look(client, disk, **typed).context
    assert second["form"].wanted.destination.format == "raw"
    assert second["verdict"].asking  # of the copy as it would be now
    assert 'type="raw"' in second["preview"].xml
    response = client.post(address_of(disk), {**TYPED, **typed})
    assert response.status_code == 302
    assert CopyJob.objects.get().destination_format == "raw"


def test_a_format_that_we_do_not_write_is_not_taken_over(
    olga: User, disk: Disk
) -> None:
    client = signed_in(olga)
    typed = {"format": "found", "reuse_external": "on"}
    first = look(client, disk, **typed).context
    checks.keep(first["verdict"].key, [STOP], found="vmdk")
    second = look(client, disk, **typed).context
    assert second["form"].wanted.destination.format == "qcow2"
    assert second["verdict"].stops


def test_every_wrong_field_is_named_at_the_start(olga: User, disk: Disk) -> None:
    wrong = {"bandwidth": "10 bananas", "stall_limit": "soon", "granularity": "1000"}
    told = "See “Bandwidth”, “Granularity”, “Stalled for”."
    page = text_of(look(signed_in(olga), disk, **wrong))
    assert f'<p id="start-why" class="why">{told}</p>' in page
    assert "Not yet: see “Bandwidth”, “Granularity”, “Stalled for”." in page
    assert "The granularity must be a power of two." in page
    assert "Choose 64 KiB, 128 KiB, 256 KiB …" in page
    assert "Correct the value." not in page
    # Of one field it is said at once what is wrong with it.
    one = text_of(look(signed_in(olga), disk, granularity="1000"))
    assert '<p id="start-why" class="why">The granularity must be a' in one


def test_fields_are_called_alike_wherever_they_are_named(
    olga: User, disk: Disk
) -> None:
    page = signed_in(olga).get(address_of(disk))
    form, text = page.context["form"], text_of(page)
    apart = {"destination_kind", "when_ready", "name", "servers", "protocol"}
    for field in form:
        if field.name not in apart and f'name="{field.name}"' in text:
            label = re.escape(str(field.label))
            assert re.search(rf">\s*{label}\s*<", text), field.name
