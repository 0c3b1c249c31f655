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
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from jobs import audit
from jobs.actor import Actor
from jobs.lifecycle import State
from jobs.models import (
    AuditEntry,
    CopyJob,
    Disk,
    Domain,
    Host,
    JobEvent,
    Leftover,
    Preferences,
    Site,
    StoragePool,
)
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


@pytest.fixture
def long_names(rows: dict[str, int], ada: User) -> None:
    """Hosts, domains, places and people as large sites call them, in every list."""
    host = "hypervisor-rack12-node03.fra.example.org"
    domain = "orders-database-replica-02.production"
    person = "annegret.schluesselburger@example.org"
    place = f"/srv/libvirt/images/production/{domain}-vda.qcow2"
    now = timezone.now()
    Site.objects.update(name="frankfurt-am-main-2", description=f"{place} " * 3)
    Host.objects.update(
        name=host,
        transport=Host.Transport.SOCKET,
        socket=f"/srv/libvirt/run/{host}/libvirt-sock",
        last_seen_at=now,
        listener="listener-7.fra.example.org:12345",
    )
    Domain.objects.update(name=domain, seen_at=now, gone_at=now)
    Disk.objects.update(source=place, mirror=place, capacity=2**40, gone_at=now)
    StoragePool.objects.update(name="production-images", path=place, seen_at=now)
    CopyJob.objects.update(
        host_name=host,
        domain_name=domain,
        destination=place,
        requested_by_name=person,
        ended_at=now,
    )
    JobEvent.objects.update(message=f"Starting: {place} → {place}.", actor=person)
    Leftover.objects.update(
        host_name=host,
        location=place,
        removal_asked_by=person,
        removed_at=now,
        refusal=f"{domain} uses {place}.",
    )
    audit.record(
        Actor(person, "console", ada, "2001:db8:85a3:1319:8a2e:370:7344:ffff"),
        "add or change host or whatever else is done",
        CopyJob.objects.first(),
        audit.Outcome.REFUSED,
        reason=f"{place} is in the way",
    )


def hidden_columns(
    address: str, user: User, models: tuple[str, ...]
) -> dict[str, tuple[int, int]]:
    """Return the lists whose columns do not all fit at 1280 pixels."""
    hidden: dict[str, tuple[int, int]] = {}
    complaints: list[str] = []
    with browsing(address, user, complaints) as page:
        page.set_viewport_size({"width": 1280, "height": 800})
        for model in models:
            page.goto(f"/admin/{model}/")
            wide, room = page.locator(".results").evaluate(
                "box => [box.scrollWidth, box.clientWidth]"
            )
            page_is_wide = page.evaluate(
                "document.documentElement.scrollWidth > innerWidth"
            )
            if wide > room or page_is_wide:
                hidden[model] = (wide, room)
    assert not complaints
    return hidden


@pytest.mark.parametrize("language", ["en", "de"])
def test_all_columns_of_a_list_are_seen_on_a_laptop(
    address: str, ada: User, long_names: None, language: str
) -> None:
    Preferences.objects.create(user=ada, language=language)
    models = (*(f"jobs/{model}" for model in MODELS), "auth/user")
    assert outside(hidden_columns, address, ada, models) == {}
