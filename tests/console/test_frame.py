"""The frame: sign-in, appearance, errors, and what stands on every page."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import AuditEntry
from tests.conftest import PASSWORD, signed_in
from tests.console.rows import text_of

HTMX = {"HX-Request": "true", "HX-Target": "live"}


# --- Signing in and out ---------------------------------------------------


def test_every_page_leads_to_the_sign_in_and_back(olga: User) -> None:
    client = Client()
    asked = reverse("jobs") + "?state=failed"
    answer = client.get(asked)
    assert answer.status_code == 302
    sign_in = answer["Location"]
    assert sign_in.startswith("/login/?next=")
    credentials = {"username": "olga", "password": PASSWORD, "next": asked}
    assert client.post(sign_in, credentials)["Location"] == asked


def test_a_wrong_password_is_said_and_audited(olga: User) -> None:
    answer = Client().post("/login/", {"username": "olga", "password": "guess"})
    assert answer.status_code == 200
    assert 'role="alert"' in text_of(answer)
    assert 'value="olga"' in text_of(answer)
    assert AuditEntry.objects.get().outcome == "refused"


def test_sign_in_leads_to_no_other_site(olga: User) -> None:
    credentials = {"username": "olga", "password": PASSWORD}
    answer = Client().post("/login/?next=https://elsewhere.example/", credentials)
    assert answer["Location"] == reverse("overview")


def test_signing_out_is_a_post(olga: User) -> None:
    client = signed_in(olga)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get("/").status_code == 302


def test_a_fragment_without_a_session_leads_the_whole_page_to_the_sign_in(
    db: None,
) -> None:
    """Else the sign-in page would be swapped into the live region."""
    headers = {**HTMX, "HX-Current-URL": "http://testserver/jobs/?q=web"}
    answer = Client().get("/jobs/", headers=headers, follow=True)
    assert answer["HX-Redirect"] == "/login/?next=%2Fjobs%2F%3Fq%3Dweb"
    assert answer.content == b""


# --- Appearance -----------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "theme"), [("dark", "dark"), ("light", "light"), ("system", "light")]
)
def test_the_appearance_is_kept(olga: User, chosen: str, theme: str) -> None:
    client = signed_in(olga)
    answer = client.post(
        reverse("preferences"), {"appearance": chosen, "next": "/jobs/"}
    )
    assert answer["Location"] == "/jobs/"
    page = text_of(client.get("/login/", follow=True))
    assert f'data-appearance="{chosen}" data-bs-theme="{theme}"' in page


def test_an_appearance_that_is_none_is_refused(olga: User) -> None:
    client = signed_in(olga)
    assert client.get(reverse("preferences")).status_code == 405
    assert client.post(reverse("preferences"), {"appearance": "x"}).status_code == 400
    client.cookies["appearance"] = '"><script>'
    assert 'data-appearance="system"' in text_of(client.get("/"))


def test_preferences_lead_to_no_other_site(olga: User) -> None:
    form = {"appearance": "dark", "next": "https://elsewhere.example/"}
    answer = signed_in(olga).post(reverse("preferences"), form)
    assert answer["Location"] == reverse("overview")


# --- What stands on every page --------------------------------------------


def test_the_policy_lets_nothing_in_from_elsewhere(olga: User) -> None:
    answer = signed_in(olga).get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = text_of(answer)
    assert "<script>" not in page
    assert "style=" not in page
    assert "https://" not in page


def test_administration_is_shown_to_administrators_only(ada: User, olga: User) -> None:
    address = f'href="{reverse("admin:index")}"'
    assert address in text_of(signed_in(ada).get("/"))
    assert address not in text_of(signed_in(olga).get("/"))


def test_the_present_page_is_marked(olga: User) -> None:
    page = text_of(signed_in(olga).get(reverse("jobs")))
    assert '<a href="/jobs/" aria-current="page">Jobs</a>' in page
    assert page.count('aria-current="page"') == 1


# --- Errors ---------------------------------------------------------------


def test_who_has_no_role_is_told_so(otto: User) -> None:
    answer = signed_in(otto).get("/")
    assert answer.status_code == 403
    assert "Your account has no role yet." in text_of(answer)
    assert "Sign out" in text_of(answer)
    assert "To the overview" not in text_of(answer)
    assert 'aria-label="Main"' not in text_of(answer)


def test_a_page_that_is_not_there(olga: User) -> None:
    answer = signed_in(olga).get("/nowhere/")
    assert answer.status_code == 404
    assert "There is no such page" in text_of(answer)


def test_a_forged_form_changes_nothing(olga: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(olga)
    answer = client.post("/logout/")
    assert answer.status_code == 403
    assert "This form is out of date" in text_of(answer)


def test_a_fault_of_our_own_is_said_in_the_frame(
    olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError

    monkeypatch.setattr("jobs.console.views.overview.job_counts", fail)
    client = signed_in(olga)
    client.raise_request_exception = False
    answer = client.get("/")
    assert answer.status_code == 500
    assert "The console made a mistake" in text_of(answer)


# --- Motion ---------------------------------------------------------------


def test_nothing_moves_for_who_wants_no_motion() -> None:
    """Bootstrap's own sheets keep that promise for what is theirs."""
    moves = re.compile(r"\b(transition|animation|scroll-behavior)[\w-]*:(?! none)")
    asked = "@media (prefers-reduced-motion: no-preference)"
    sheets = list((settings.BASE_DIR / "static" / "console").glob("*.css"))
    lines = [line for sheet in sheets for line in sheet.read_text().splitlines()]
    assert any(moves.search(line) for line in lines)
    assert [line for line in lines if moves.search(line) and asked not in line] == []
