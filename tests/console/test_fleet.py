"""Hosts and domains: lists, pages, and the forms and requests of hosts."""

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
from jobs.models import AuditEntry, ChainLink, Disk, Domain, Host, Site, StoragePool
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
        ({"reach": "nonsense"}, ["alder", "birch"]),
        ({"q": "\0"}, ["alder", "birch"]),
    ],
)
def test_hosts_are_filtered_by_the_address(
    query: dict[str, str], found: list[str], victor: User, host: Host, site: Site
) -> None:
    Host.objects.create(name="birch", site=site, transport="local", error="silent")
    page = signed_in(victor).get(reverse("hosts"), query)
    assert [row.name for row in page.context["page"]] == found


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


def test_a_host_needs_no_more_queries_for_more_domains(
    victor: User, disk: Disk, host: Host
) -> None:
    client, address = signed_in(victor), reverse("host", args=[host.pk])
    add_job(disk)
    one = queries_of(client, address)
    for _ in range(5):
        add_job(add_disk(add_domain(host)))
    assert queries_of(client, address) == one <= 16


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


# --- Adding and changing a host -------------------------------------------------------

SSH = {
    "name": "birch",
    "transport": "ssh",
    "host_name": "birch.example",
    "port": "2222",
    "user": "console",
    "mode": "system",
    "enabled": "on",
    "reason": "new rack",
}


class TestHostForm:
    def post(self, by: User, **fields: Any) -> Any:
        site = Site.objects.get()
        return signed_in(by).post(
            reverse("host-add"), {**SSH, "site": site.pk, **fields}
        )

    def test_adds(self, ada: User) -> None:
        response = self.post(ada)
        host = Host.objects.get(name="birch")
        assert response.status_code == 302
        assert response.url == reverse("host", args=[host.pk])
        assert (host.address.host_name, host.address.port) == ("birch.example", 2222)
        entry = AuditEntry.objects.get(action="add host")
        assert (entry.actor, entry.reason) == ("ada", "new rack")

    @pytest.mark.parametrize("name", ["olga", "victor", "otto"])
    def test_is_for_administrators(self, name: str, request: Any) -> None:
        user = request.getfixturevalue(name)
        assert signed_in(user).get(reverse("host-add")).status_code == 403
        assert self.post(user).status_code == 403
        assert not Host.objects.exists()

    def test_edits(self, ada: User, host: Host) -> None:
        address = reverse("host-edit", args=[host.pk])
        assert signed_in(ada).get(address).status_code == 200
        signed_in(ada).post(address, {**SSH, "site": host.site_id, "name": "alder"})
        host.refresh_from_db()
        assert host.transport == "ssh"
        entry = AuditEntry.objects.get(action="change host")
        assert "transport: local → ssh" in entry.intent

    def test_edit_of_no_host(self, ada: User) -> None:
        assert signed_in(ada).get(reverse("host-edit", args=[1])).status_code == 404

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("host_name", "", "The host name is missing."),
            ("host_name", "x;rm -rf /", "This is not a host name."),
            ("host_name", "qemu+ext:///system?command=/x", "This is not a host name."),
            ("port", "70000", "The port must be"),
            ("port", "-1", "greater than or equal to 0"),
            ("user", "a b", "characters it cannot have"),
            ("name", "alder & co", "Use letters, digits"),
            ("name", "alder", "already exists"),
            ("transport", "ext", "not one of the available choices"),
        ],
    )
    def test_says_beside_the_field_what_is_wrong(
        self, field: str, value: str, said: str, ada: User, host: Host
    ) -> None:
        response = self.post(ada, **{field: value})
        assert response.status_code == 422
        assert said in str(response.context["form"].errors[field])
        assert said in text_of(response)
        assert Host.objects.count() == 1

    def test_keeps_what_was_typed(self, ada: User) -> None:
        text = text_of(self.post(ada, port="70000"))
        for typed in ("birch.example", "70000", "console", "new rack"):
            assert f'value="{typed}"' in text

    @pytest.mark.parametrize(
        ("transport", "kept"),
        [
            ("local", {}),
            ("tls", {"host_name": "birch.example", "port": 2222}),
            (
                "ssh",
                {"host_name": "birch.example", "port": 2222, "user": "console"},
            ),
        ],
    )
    def test_keeps_only_what_the_transport_uses(
        self, transport: str, kept: dict[str, Any], ada: User
    ) -> None:
        self.post(ada, transport=transport, socket="/etc/passwd")
        host = Host.objects.get(name="birch")
        used = {"host_name": "", "port": None, "user": "", "socket": ""} | kept
        assert {name: getattr(host, name) for name in used} == used

    def test_refuses_a_socket_that_the_settings_do_not_allow(self, ada: User) -> None:
        response = self.post(ada, transport="socket", socket="/etc/shadow")
        assert "do not allow this socket" in text_of(response)

    def test_a_hidden_field_never_stops_the_form(self, ada: User) -> None:
        assert self.post(ada, transport="local", port="nonsense").status_code == 302


# --- Domains ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["db", "web"]),
        ({"q": "WE"}, ["web"]),
        ({"q": "6f9619ff"}, ["web"]),
        ({"state": "off"}, ["db"]),
        ({"state": "on"}, ["web"]),
        ({"state": "gone"}, ["old"]),
        ({"host": "alder"}, ["db", "web"]),
        ({"host": "oak"}, []),
    ],
)
def test_domains_are_filtered_by_the_address(
    query: dict[str, str], found: list[str], victor: User, domain: Domain
) -> None:
    add_domain(domain.host, "db", libvirt_id=None, state="shutoff")
    add_domain(domain.host, "old", gone_at=timezone.now())
    page = signed_in(victor).get(reverse("domains"), query)
    assert [row.name for row in page.context["page"]] == found


def test_domains_need_no_more_queries_for_more_domains(
    victor: User, disk: Disk, host: Host
) -> None:
    client, address = signed_in(victor), reverse("domains")
    one = queries_of(client, address)
    for number in range(5):
        domain = add_domain(host, f"d{number}")
        add_job(add_disk(domain))
        add_disk(domain, "vdb")
    assert queries_of(client, address) == one <= 10


class TestDomain:
    def page(self, user: User, domain: Domain) -> str:
        return text_of(signed_in(user).get(reverse("domain", args=[domain.pk])))

    def test_draws_the_chain_and_the_pool(
        self, victor: User, disk: Disk, pool: StoragePool
    ) -> None:
        text = self.page(victor, disk.domain)
        assert text.index("/srv/images/web.qcow2") < text.index("/srv/images/base")
        assert "60 GiB" in text
        assert "images" in text

    def test_offers_the_copy(self, olga: User, disk: Disk) -> None:
        assert reverse("disk-copy", args=[disk.pk]) in self.page(olga, disk.domain)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"libvirt_id": None, "state": "shutoff"}, "web is not running."),
            ({"gone_at": timezone.now()}, "web is no longer on alder."),
        ],
    )
    def test_says_why_there_is_nothing_to_copy(
        self, change: dict[str, Any], said: str, olga: User, disk: Disk
    ) -> None:
        Domain.objects.update(**change)
        text = self.page(olga, disk.domain)
        assert said in text
        assert reverse("disk-copy", args=[disk.pk]) not in text

    def test_viewer_is_told_why_not(self, victor: User, disk: Disk) -> None:
        text = self.page(victor, disk.domain)
        assert "Your role does not allow you to start a copy." in text
        assert reverse("disk-copy", args=[disk.pk]) not in text

    def test_an_active_job_is_shown_instead(self, olga: User, disk: Disk) -> None:
        job = add_job(disk)
        text = self.page(olga, disk.domain)
        assert reverse("job", args=[job.pk]) in text
        assert f"Job {job.pk} is mirroring on this disk." in text

    def test_jobs_before_are_shown(self, victor: User, disk: Disk) -> None:
        job = add_job(disk, State.CANCELLED, ended_at=timezone.now())
        assert reverse("job", args=[job.pk]) in self.page(victor, disk.domain)

    def test_a_disagreeing_definition_is_loud(self, victor: User, disk: Disk) -> None:
        assert "next boot" not in self.page(victor, disk.domain)
        Disk.objects.update(persistent_source="/srv/images/elsewhere.qcow2")
        text = self.page(victor, disk.domain)
        assert "/srv/images/elsewhere.qcow2" in text
        assert "next boot" in text

    def test_a_stranger_s_copy_is_foreign(self, victor: User, disk: Disk) -> None:
        Disk.objects.update(mirror="/srv/images/by-hand.qcow2")
        text = self.page(victor, disk.domain)
        assert "/srv/images/by-hand.qcow2" in text
        assert "not started here" in text

    def test_our_own_copy_is_not_foreign(self, victor: User, disk: Disk) -> None:
        job = add_job(disk)
        Disk.objects.update(mirror=job.destination)
        assert "not started here" not in self.page(victor, disk.domain)

    def test_nor_is_one_that_ended_since_the_inventory(
        self, victor: User, disk: Disk
    ) -> None:
        job = add_job(disk, State.PIVOTED, ended_at=timezone.now())
        Disk.objects.update(mirror=job.destination)
        assert "not started here" not in self.page(victor, disk.domain)

    def test_but_one_begun_again_by_hand_is(self, victor: User, disk: Disk) -> None:
        long_ago = timezone.now() - timedelta(hours=1)
        job = add_job(disk, State.CANCELLED, ended_at=long_ago)
        Disk.objects.update(mirror=job.destination)
        assert "not started here" in self.page(victor, disk.domain)

    def test_needs_no_more_queries_for_more_disks(
        self, victor: User, disk: Disk, pool: StoragePool
    ) -> None:
        client, address = signed_in(victor), reverse("domain", args=[disk.domain_id])
        one = queries_of(client, address)
        for letter in "bcdef":
            more = add_disk(disk.domain, f"vd{letter}")
            ChainLink.objects.create(disk=more, depth=1, location="/b", kind="file")
            add_job(more)
            add_job(more, State.COPIED)
        assert queries_of(client, address) == one <= 12


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
