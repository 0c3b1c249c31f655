"""The admin in a real browser: all of it works under the strict content policy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Host, Leftover, Site, StoragePool
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MODELS = (
    *("site", "host", "domain", "disk", "storagepool"),
    *("copyjob", "jobevent", "leftover", "auditentry"),
)


def every_page(user: User, rows: dict[str, int]) -> list[str]:
    models = [
        f"/admin/jobs/{model}/{page}"
        for model in MODELS
        for page in ("", f"{rows[model]}/change/", f"{rows[model]}/history/")
    ]
    user_page = f"/admin/auth/user/{user.pk}"
    return [
        *("/admin/", "/admin/jobs/", "/admin/password_change/", *models),
        *("/admin/jobs/host/add/", "/admin/jobs/site/add/"),
        *("/admin/auth/user/", "/admin/auth/user/add/", "/admin/auth/group/add/"),
        *(f"{user_page}/change/", f"{user_page}/password/"),
        "/admin/jobs/copyjob/?q=web&state__exact=mirroring&requested_at__year=2026",
    ]


@contextmanager
def browsing(address: str, user: User, complaints: list[str]) -> Iterator[Page]:
    """A page of a signed-in `user`; what the browser objects to is added."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(base_url=address)
        page.on("console", lambda said: _note(complaints, page, said.type, said.text))
        page.on("pageerror", lambda error: _note(complaints, page, "error", str(error)))
        page.goto("/admin/")
        page.fill("[name=username]", user.username)
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url("**/admin/")
        yield page
        browser.close()


def _note(complaints: list[str], page: Page, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        complaints.append(f"{page.url}: {text}")


def visit(address: str, user: User, pages: list[str]) -> list[str]:
    """Open each page; return what the browser objected to."""
    complaints: list[str] = []
    with browsing(address, user, complaints) as page:
        for path in pages:
            response = page.goto(path)
            assert response is not None
            assert response.status == 200, path
            assert "script-src 'self'" in response.headers["content-security-policy"]
    return complaints


def pivot_in_the_list(address: str, user: User) -> list[str]:
    """Choose all jobs, ask for the pivot and confirm it; return the page's words."""
    complaints: list[str] = []
    with browsing(address, user, complaints) as page:
        page.goto("/admin/jobs/copyjob/")
        page.check("#action-toggle")
        page.select_option("[name=action]", "pivot")
        page.click("button[name=index]")
        page.fill("[name=reason]", "tonight")
        page.click("input[type=submit].default")
        page.locator(".messagelist li").first.wait_for()
        told = page.locator(".messagelist li").all_inner_texts()
    assert not complaints
    return told


def outside(work: Any, *args: Any) -> Any:
    """Run in another thread: Playwright's event loop would bar the database in ours."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *args).result()


@pytest.fixture
def address(
    transactional_db: None, redis: None, settings: Any, tmp_path: Path
) -> Iterator[str]:
    """The address of a server in this process, which has its static files too."""
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    server = LiveServer("localhost")
    yield server.url
    server.stop()


@pytest.fixture
def rows(
    site: Site,
    host: Host,
    pool: StoragePool,
    job: CopyJob,
    leftover: Leftover,
    entry: AuditEntry,
    transactional_db: None,
) -> dict[str, int]:
    """One row of every model, by its number."""
    return {
        "site": site.pk,
        "host": host.pk,
        "domain": job.domain_id,
        "disk": job.domain.disks.get().pk,
        "storagepool": pool.pk,
        "copyjob": job.pk,
        "jobevent": job.events.get().pk,
        "leftover": leftover.pk,
        "auditentry": entry.pk,
    }


def test_no_page_of_the_admin_breaks_the_content_policy(
    address: str, sue: User, rows: dict[str, int]
) -> None:
    pages = every_page(sue, rows)

    assert outside(visit, address, sue, pages) == []


def test_a_verb_from_the_list_to_the_audit_log(
    address: str, ada: User, job: CopyJob
) -> None:
    told = outside(pivot_in_the_list, address, ada)

    assert told == [f"Job {job.pk}: vda of web on alder: Pivot was asked for."]
    job.refresh_from_db()
    assert job.state == State.PIVOTING
    assert AuditEntry.objects.get(action="pivot").reason == "tonight"
