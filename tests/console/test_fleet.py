"""Hosts and domains: who may see them, what hosts tell, and what is asked of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs import audit
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import AuditEntry, Disk, Domain, Host, Site, StoragePool
from tests.conftest import actor_of, signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain, add_job
from tests.console.rows import queries_of, text_of

Outcome = AuditEntry.Outcome


# --- The ladder ---------------------------------------------------------------------

LISTS = ("hosts", "domains")


@pytest.mark.parametrize("name_of_page", LISTS)
def test_lists_need_a_role(
    name_of_page: str, otto: User, victor: User, disk: Disk
) -> None:
    assert Client().get(reverse(name_of_page)).status_code == 302
    assert signed_in(otto).get(reverse(name_of_page)).status_code == 403
    assert signed_in(victor).get(reverse(name_of_page)).status_code == 200
    assert signed_in(victor).post(reverse(name_of_page)).status_code == 405


@pytest.mark.parametrize("name_of_page", ["host", "domain"])
def test_pages_need_a_role_and_an_object(
    name_of_page: str, otto: User, victor: User, disk: Disk
) -> None:
    pk = {"host": disk.domain.host_id, "domain": disk.domain_id}[name_of_page]
    assert signed_in(otto).get(reverse(name_of_page, args=[pk])).status_code == 403
    assert signed_in(victor).get(reverse(name_of_page, args=[pk])).status_code == 200
    assert (
        signed_in(victor).get(reverse(name_of_page, args=[pk + 1])).status_code == 404
    )
    assert signed_in(victor).post(reverse(name_of_page, args=[pk])).status_code == 405


@pytest.mark.parametrize("name_of_page", ["host-sync", "host-test"])
class TestAskingAHost:
    def test_works(self, name_of_page: str, olga: User, host: Host) -> None:
        response = signed_in(olga).post(reverse(name_of_page, args=[host.pk]))
        assert response.status_code == 302
        assert response.url == reverse("host", args=[host.pk])  # type: ignore[attr-defined]
        entry = AuditEntry.objects.get(object_type="host")
        assert (entry.actor, entry.outcome) == ("olga", Outcome.ASKED)

    def test_only_post(self, name_of_page: str, olga: User, host: Host) -> None:
        assert (
            signed_in(olga).get(reverse(name_of_page, args=[host.pk])).status_code
            == 405
        )
        assert not AuditEntry.objects.filter(object_type="host").exists()

    def test_wrong_role(self, name_of_page: str, victor: User, host: Host) -> None:
        response = signed_in(victor).post(reverse(name_of_page, args=[host.pk]))
        assert response.status_code == 403
        entry = AuditEntry.objects.get(object_type="host")
        assert (entry.actor, entry.outcome) == ("victor", Outcome.REFUSED)

    def test_not_there(self, name_of_page: str, olga: User) -> None:
        assert (
            signed_in(olga).post(reverse(name_of_page, args=[4711])).status_code == 404
        )

    def test_disabled(self, name_of_page: str, olga: User, host: Host) -> None:
        Host.objects.update(enabled=False)
        response = signed_in(olga).post(
            reverse(name_of_page, args=[host.pk]), follow=True
        )
        assert "alder is disabled; enable it first." in text_of(response)


# --- Hosts --------------------------------------------------------------------------


def test_hosts_tell_counts_and_versions(victor: User, disk: Disk) -> None:
    add_domain(disk.domain.host, "off", libvirt_id=None, state="shutoff")
    add_domain(disk.domain.host, "gone", gone_at=timezone.now())
    add_job(disk)
    page = signed_in(victor).get(reverse("hosts"))
    host = page.context["page"].object_list[0]
    counts = (host.domain_count, host.running_count, host.active_count)
    assert counts == (2, 1, 1)
    assert "9.0.0" in text_of(page)


def test_a_silent_host_says_why_and_what_to_do(
    victor: User, host: Host, time_machine: Any
) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    Host.objects.update(
        error="The host does not answer. (connection refused)",
        error_remedy="Check that the machine is up.",
        error_at=timezone.now(),
        last_seen_at=timezone.now() - timedelta(seconds=40),
    )
    for address in (reverse("hosts"), reverse("host", args=[host.pk])):
        text = text_of(signed_in(victor).get(address))
        assert "connection refused" in text
        assert "Check that the machine is up." in text
        assert "40 s ago" in text


def test_a_host_that_nobody_looks_at_says_so(victor: User, host: Host) -> None:
    addresses = (reverse("hosts"), reverse("host", args=[host.pk]))
    for address in addresses:
        text = text_of(signed_in(victor).get(address))
        assert "Nobody has looked" not in text
        assert "answers</span>" in text
    Host.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    for address in addresses:
        text = text_of(signed_in(victor).get(address))
        assert "Nobody has looked" in text
        assert "answers</span>" not in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "ALD"}, ["alder"]),
        ({"q": "oak"}, []),
        ({"site": "default"}, ["alder", "birch"]),
        ({"reach": "answering"}, ["alder"]),
        ({"reach": "silent"}, ["birch"]),
        ({"reach": "nonsense"}, []),
        ({"colour": "red"}, []),
        ({"q": "\0"}, []),
        ({"sort": "-name"}, ["birch", "alder"]),
        ({"sort": "-domains"}, ["alder", "birch"]),
        ({"reach": "production"}, ["birch"]),
    ],
)
def test_hosts_are_filtered_by_the_address(
    query: dict[str, str], found: list[str], victor: User, host: Host, site: Site
) -> None:
    birch = {"transport": "local", "error": "silent", "production": True}
    Host.objects.create(name="birch", site=site, **birch)
    add_domain(host)
    page = signed_in(victor).get(reverse("hosts"), query)
    assert [row.name for row in page.context["page"]] == found


def test_hosts_are_counted_by_state(victor: User, host: Host, site: Site) -> None:
    Host.objects.create(name="birch", site=site, transport="local", enabled=False)
    page = text_of(signed_in(victor).get("/hosts/?site=default&reach=disabled"))
    for label, count in (("All", 2), ("Answering", 1), ("Disabled", 1)):
        assert f"{label} <strong>{count}</strong>" in page
    assert 'href="/hosts/?reach=disabled"><bdi>site default</bdi>' in page
    assert 'name="reach" value="disabled"' in page


def test_hosts_need_no_more_queries_for_more_hosts(
    victor: User, disk: Disk, site: Site
) -> None:
    client, address = signed_in(victor), reverse("hosts")
    one = queries_of(client, address)
    for number in range(5):
        host = Host.objects.create(name=f"h{number}", site=site, transport="local")
        add_job(add_disk(add_domain(host)))
    assert queries_of(client, address) == one <= 10


def test_a_host_shows_pools_domains_and_jobs(
    victor: User, disk: Disk, pool: StoragePool
) -> None:
    job = add_job(disk)
    add_job(disk, State.PIVOTED, ended_at=timezone.now(), destination="/srv/old")
    text = text_of(signed_in(victor).get(reverse("host", args=[disk.domain.host_id])))
    assert "/srv/images" in text
    assert "60 GiB" in text
    assert reverse("domain", args=[disk.domain_id]) in text
    assert reverse("job", args=[job.pk]) in text
    assert "/srv/old" in text


def test_a_host_that_was_never_reached_says_so(olga: User, host: Host) -> None:
    address = reverse("host", args=[host.pk])
    error = "The host does not answer. (no route)"
    Host.objects.update(
        error=error, error_at=timezone.now(), last_seen_at=None, synced_at=None
    )
    asked = signed_in(olga).post(reverse("host-test", args=[host.pk]), follow=True)
    assert "Connection test by olga: waiting" in text_of(asked)
    assert "note-good" not in text_of(asked)
    audit.record(SYSTEM, "test connection", host, Outcome.FAILED, detail=error)
    text = text_of(signed_in(olga).get(address))
    assert text.count("no route") == 1
    assert "The host was never reached yet" in text
    assert text.count("inventory was never read") == 2
    assert "has told of no" not in text
    assert "of 0 on" not in text
    Host.objects.update(synced_at=timezone.now())
    assert "has told of no domains" in text_of(signed_in(olga).get(address))


def test_what_a_silent_host_showed_is_old(
    victor: User, disk: Disk, pool: StoragePool, time_machine: Any
) -> None:
    address = reverse("host", args=[disk.domain.host_id])
    running = add_job(disk)
    ended = add_job(disk, State.PIVOTED, ended_at=timezone.now(), destination="/srv/o")
    rows = {
        job: f'<tr role="row" {{}}> <td role="cell" class="main tight">'
        f'<a href="{reverse("job", args=[job.pk])}">'
        for job in (running, ended)
    }
    before = text_of(signed_in(victor).get(address))
    assert rows[running].format("") in before
    assert '<div class="pool">' in before
    time_machine.move_to(timezone.now() + timedelta(minutes=3))
    Host.objects.update(error="The host does not answer.")
    after = text_of(signed_in(victor).get(address))
    assert rows[running].format('class="silent"') in after
    assert rows[ended].format("") in after
    assert '<div class="pool stale muted">' in after
    assert after.split('<div class="pool stale muted">')[1].count("3 min ago") == 1


def test_a_host_needs_no_more_queries_for_more_domains(
    victor: User, disk: Disk, host: Host
) -> None:
    client, address = signed_in(victor), reverse("host", args=[host.pk])
    add_job(disk)
    one = queries_of(client, address)
    for _ in range(5):
        add_job(add_disk(add_domain(host)))
    assert queries_of(client, address) == one <= 19


def test_a_viewer_sees_why_he_cannot_ask(victor: User, olga: User, host: Host) -> None:
    address = reverse("host", args=[host.pk])
    seen = text_of(signed_in(victor).get(address))
    assert "Your role does not allow" in seen
    assert reverse("host-sync", args=[host.pk]) not in seen
    acted = text_of(signed_in(olga).get(address))
    assert reverse("host-sync", args=[host.pk]) in acted
    assert reverse("host-edit", args=[host.pk]) not in acted


class TestLastTest:
    """What the host's page says of the last connection test."""

    def page(self, user: User, host: Host) -> str:
        return text_of(signed_in(user).get(reverse("host", args=[host.pk])))

    def ask(self, user: User, host: Host) -> None:
        audit.record(actor_of(user), "test connection", host, Outcome.ASKED)

    def test_waits(self, olga: User, host: Host) -> None:
        self.ask(olga, host)
        assert "waiting for the answer" in self.page(olga, host)

    def test_no_worker(self, olga: User, host: Host, time_machine: Any) -> None:
        self.ask(olga, host)
        time_machine.move_to(timezone.now() + timedelta(minutes=2))
        assert "No worker" in self.page(olga, host)

    def test_a_lost_request_is_old_news_once_the_host_was_seen(
        self, olga: User, host: Host, time_machine: Any
    ) -> None:
        self.ask(olga, host)
        time_machine.move_to(timezone.now() + timedelta(minutes=2))
        Host.objects.update(last_seen_at=timezone.now())
        text = self.page(olga, host)
        assert "No worker" not in text
        assert "waiting for the answer" not in text

    def test_answered(self, olga: User, host: Host) -> None:
        self.ask(olga, host)
        audit.record(
            SYSTEM, "test connection", host, Outcome.DONE, detail="alder answered"
        )
        assert "alder answered" in self.page(olga, host)

    def test_failed(self, olga: User, host: Host) -> None:
        self.ask(olga, host)
        audit.record(
            SYSTEM, "test connection", host, Outcome.FAILED, detail="refused <b>"
        )
        assert "refused &lt;b&gt;" in self.page(olga, host)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("name_of_page", ["hosts", "host", "domains", "domain"])
def test_names_are_text(name_of_page: str, name: str, victor: User, disk: Disk) -> None:
    Domain.objects.update(name=name)
    Disk.objects.update(source=f"/{name}", mirror=f"/m{name}", persistent_source=name)
    StoragePool.objects.update(name=name)
    Host.objects.update(reported_name=name[:255], error=name, error_remedy=name)
    add_job(disk, domain_name=name, destination=f"/d{name}")
    pk = {"host": disk.domain.host_id, "domain": disk.domain_id}.get(name_of_page)
    response = signed_in(victor).get(reverse(name_of_page, args=[pk] if pk else []))
    html = response.content.decode()
    assert escape(name) in html
    assert "<img" not in html
