"""The account page: what a person chooses, and where it holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from jobs.audit import Outcome
from jobs.console.preferences import zones
from jobs.lifecycle import State
from jobs.models import AuditEntry, Disk, Preferences, SavedView
from tests.conftest import PASSWORD, signed_in
from tests.console.fleet_rows import HOSTILE_NAMES
from tests.console.rows import job_in, queries_of, text_of

ACCOUNT, NEW_PASSWORD = reverse("account"), reverse("password")
# What a browser sends when nothing was changed on the page.
USUAL: dict[str, str] = {
    "appearance": "system",
    "density": "comfortable",
    "language": "",
    "time_zone": "",
    "shortcuts": "on",
    "tell_waiting": "on",
    "tell_failed": "on",
    "tell_ended": "on",
    "told_of": "all",
    "toasts": "on",
}


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    with translation.override("en"):
        yield


def save(client: Client, **chosen: str) -> Any:
    return client.post(ACCOUNT, {**USUAL, **chosen}, follow=True)


# --- The page ------------------------------------------------------------------------


def test_ladder(olga: User, otto: User) -> None:
    assert Client().get(ACCOUNT).status_code == 302
    assert Client().post(ACCOUNT, USUAL).status_code == 302
    assert signed_in(olga).get(ACCOUNT).status_code == 200
    assert signed_in(olga).put(ACCOUNT).status_code == 405
    assert not Preferences.objects.exists()


def test_who_has_no_role_may_choose_a_look_and_a_password(otto: User) -> None:
    page = text_of(signed_in(otto).get(ACCOUNT))
    assert NEW_PASSWORD in page
    assert "Notifications" not in page
    assert "Saved views" not in page


def test_the_menu_leads_there(olga: User) -> None:
    assert f'href="{ACCOUNT}"' in text_of(signed_in(olga).get("/"))


def test_compact_lists_are_a_choice(olga: User) -> None:
    client = signed_in(olga)
    assert 'data-density="comfortable"' in text_of(client.get("/jobs/"))
    save(client, density="compact")
    page = text_of(client.get("/jobs/"))
    assert 'data-density="compact"' in page
    assert Preferences.objects.get().density == Preferences.Density.COMPACT
    save(client, density="cramped")
    assert 'data-density="compact"' in text_of(client.get("/jobs/"))


def test_what_is_chosen_is_kept_for_the_person(olga: User, victor: User) -> None:
    page = save(
        signed_in(olga),
        appearance="dark",
        time_zone="europe/berlin",
        told_of="mine",
        notifications="on",
    )
    assert "Your preferences are saved." in text_of(page)
    kept = Preferences.objects.get()
    assert kept.user == olga
    assert (kept.appearance, kept.time_zone) == ("dark", "Europe/Berlin")
    assert (kept.told_of, kept.notifications, kept.tell_ended) == ("mine", True, True)
    elsewhere = text_of(signed_in(olga).get(ACCOUNT))
    assert 'data-appearance="dark" data-time-zone="Europe/Berlin"' in elsewhere
    assert 'data-appearance="system"' in text_of(signed_in(victor).get(ACCOUNT))


def test_a_box_without_a_tick_is_a_choice(olga: User) -> None:
    client = signed_in(olga)
    client.post(ACCOUNT, {"appearance": "system", "told_of": "all"})
    kept = Preferences.objects.get()
    boxes = (kept.shortcuts, kept.tell_waiting, kept.tell_failed, kept.toasts)
    assert not any(boxes)


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("tokyo", "Asia/Tokyo"),
        ("  Kolk ", "Asia/Kolkata"),
        ("new  york", "America/New_York"),
        ("utc", "UTC"),
        ("north dakota/center", "America/North_Dakota/Center"),
        # A city of that name comes before others that have it in theirs.
        ("omsk", "Asia/Omsk"),  # not Asia/Tomsk
    ],
)
def test_a_part_of_a_zones_name_will_do(olga: User, typed: str, zone: str) -> None:
    save(signed_in(olga), time_zone=typed)
    assert Preferences.objects.get().time_zone == zone


def test_zones_with_that_part_are_named(olga: User) -> None:
    answer = signed_in(olga).post(ACCOUNT, {**USUAL, "time_zone": "north d"})
    assert answer.status_code == 422
    assert (
        "“north d” may mean several time zones: America/North_Dakota/Beulah, America/"
        in text_of(answer)
    )
    answer = signed_in(olga).post(ACCOUNT, {**USUAL, "time_zone": "america"})
    assert "several time zones: America/Adak, America/Anch" in text_of(answer)
    assert " more." in text_of(answer)
    assert not Preferences.objects.exists()


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"time_zone": "Mars/Olympus"}, "There is no time zone “Mars/Olympus”"),
        ({"time_zone": HOSTILE_NAMES[0]}, "There is no time zone “&lt;img"),
        ({"appearance": "neon"}, "not one of the available choices"),
        ({"language": "tlh"}, "not one of the available choices"),
        ({"told_of": "none"}, "not one of the available choices"),
    ],
)
def test_what_is_none_is_refused(
    olga: User, chosen: dict[str, str], words: str
) -> None:
    answer = signed_in(olga).post(ACCOUNT, {**USUAL, **chosen})
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not Preferences.objects.exists()


def test_saved_views_are_renamed_and_deleted_from_there(olga: User) -> None:
    view = SavedView.objects.create(user=olga, name="mine", query="state=failed")
    client = signed_in(olga)
    assert 'value="mine"' in text_of(client.get(ACCOUNT))
    rename = reverse("view-act", args=[view.pk, "rename"])
    post = {"name": "ours", "next": ACCOUNT}
    assert client.post(rename, post)["Location"] == ACCOUNT
    delete = reverse("view-act", args=[view.pk, "delete"])
    elsewhere = {"next": "https://elsewhere.example/"}
    assert client.post(delete, elsewhere)["Location"] == reverse("views")


# --- Time zone -----------------------------------------------------------------------


def test_times_are_in_the_chosen_zone_with_utc_in_the_title(
    olga: User, disk: Disk
) -> None:
    at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    job = job_in(State.PIVOTED, disk, ended_at=at)
    client, address = signed_in(olga), reverse("job", args=[job.pk])
    utc = 'title="2026-07-01 22:30:00 UTC" data-moment>'
    assert f"{utc}2026-07-01 22:30:00<" in text_of(client.get(address))
    save(client, time_zone="Asia/Kolkata")
    assert f"{utc}2026-07-02 04:00:00<" in text_of(client.get(address))


def test_a_zone_holds_for_its_reader_only(
    olga: User, victor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    Preferences.objects.create(user=olga, time_zone="Asia/Tokyo")
    assert 'data-time-zone="Asia/Tokyo"' in text_of(signed_in(olga).get("/"))
    assert timezone.get_current_timezone_name() == "UTC"
    assert "data-time-zone" not in text_of(signed_in(victor).get("/"))


@pytest.mark.parametrize("gone", ["Nowhere/City", "../../etc/passwd"])
def test_a_zone_that_is_no_more_is_none(olga: User, gone: str) -> None:
    Preferences.objects.create(user=olga, time_zone=gone)
    page = signed_in(olga).get(ACCOUNT)
    assert page.status_code == 200
    assert "data-time-zone" not in text_of(page)


def test_the_zones_to_choose_from_are_places() -> None:
    assert {"UTC", "Europe/Berlin", "America/New_York"} <= set(zones())
    assert not [name for name in zones() if name.startswith(("Etc/", "posix"))]
    assert all(ZoneInfo(name) for name in zones())


# --- Where it must hold before anybody has signed in ---------------------------------


def test_another_machine_looks_so_from_the_sign_in_on(olga: User) -> None:
    Preferences.objects.create(user=olga, appearance="dark", language="de")
    machine = Client()
    machine.post("/login/", {"username": "olga", "password": PASSWORD})
    machine.post("/logout/")
    page = machine.get("/login/")
    assert 'data-appearance="dark"' in text_of(page)
    assert page["Content-Language"] == "de"


def test_a_person_s_choice_wins_over_the_browser_s(olga: User) -> None:
    client = signed_in(olga)
    client.cookies["appearance"] = "light"
    client.cookies["django_language"] = "en"
    assert 'data-appearance="light"' in text_of(client.get("/"))
    Preferences.objects.create(user=olga, appearance="dark", language="de")
    page = client.get("/")
    assert 'data-appearance="dark"' in text_of(page)
    assert page["Content-Language"] == "de"


def test_a_language_that_is_given_up_is_the_browser_s_again(olga: User) -> None:
    client = signed_in(olga)
    save(client, language="de")
    german = {"Accept-Language": "en"}
    assert client.get(ACCOUNT, headers=german)["Content-Language"] == "de"
    save(client, language="")
    assert client.get(ACCOUNT, headers=german)["Content-Language"] == "en"


def test_a_click_on_the_appearance_is_kept_for_the_person_too(olga: User) -> None:
    post = {"appearance": "dark", "next": "/jobs/"}
    signed_in(olga).post(reverse("preferences"), post)
    assert 'data-appearance="dark"' in text_of(signed_in(olga).get("/"))
    assert Preferences.objects.get().toasts, "the rest stays as usual"


def test_a_click_leads_back_to_a_page_of_ours_as_safe_as_it_was(olga: User) -> None:
    client, address = signed_in(olga), reverse("preferences")
    for back, whither in (
        ("https://testserver/jobs/", "https://testserver/jobs/"),
        ("http://testserver/jobs/", "/"),
        ("//elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
    ):
        post = {"appearance": "dark", "next": back}
        assert client.post(address, post, secure=True)["Location"] == whither


def test_choices_take_one_query(olga: User) -> None:
    client = signed_in(olga)
    before = queries_of(client, reverse("hosts"))
    Preferences.objects.create(user=olga, appearance="dark", time_zone="Asia/Tokyo")
    assert queries_of(client, reverse("hosts")) == before


# --- The password --------------------------------------------------------------------

FRESH = "staple battery horse"


def change(client: Client, old: str = PASSWORD, new: str = FRESH) -> Any:
    post = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(NEW_PASSWORD, post, follow=True)


def test_a_new_password_ends_the_sessions_elsewhere(olga: User) -> None:
    here, elsewhere = signed_in(olga), signed_in(olga)
    page = text_of(change(here))
    assert "Your password is changed." in page
    assert elsewhere.get(ACCOUNT).status_code == 302
    assert here.get(ACCOUNT).status_code == 200
    entry = AuditEntry.objects.filter(action="change password").get()
    assert (entry.actor, entry.outcome) == ("olga", Outcome.DONE)
    assert Client().login(username="olga", password=FRESH)


def test_a_wrong_old_password_changes_nothing_and_is_audited(olga: User) -> None:
    answer = change(signed_in(olga), old="guess")
    assert answer.status_code == 422
    assert "Your old password was entered incorrectly" in text_of(answer)
    entry = AuditEntry.objects.filter(action="change password").get()
    assert (entry.actor, entry.outcome) == ("olga", Outcome.REFUSED)
    assert Client().login(username="olga", password=PASSWORD)


def test_a_weak_password_is_refused_and_no_attempt(olga: User) -> None:
    answer = change(signed_in(olga), new="12345")
    assert answer.status_code == 422
    assert "too short" in text_of(answer)
    assert not AuditEntry.objects.filter(action="change password").exists()


def test_the_password_page_is_for_who_is_signed_in() -> None:
    assert Client().get(NEW_PASSWORD).status_code == 302


def test_who_has_no_password_here_is_told_so(olga: User) -> None:
    client = signed_in(olga)
    olga.set_unusable_password()
    olga.save()
    client.force_login(olga)
    page = text_of(client.get(ACCOUNT))
    assert NEW_PASSWORD not in page
    assert "Your password is kept elsewhere" in page
