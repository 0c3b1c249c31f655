"""The list of domains, and the page of one with its disks."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from jobs.lifecycle import State
from jobs.models import AuditEntry, ChainLink, CopyJob, Disk, Domain, Host, StoragePool
from tests.conftest import signed_in
from tests.console.fleet_rows import add_disk, add_domain, add_job
from tests.console.rows import queries_of, text_of

Outcome = AuditEntry.Outcome


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
        ({"site": "default", "q": "b"}, ["db", "web"]),
        ({"sort": "-name"}, ["web", "db"]),
        ({"sort": "state"}, ["web", "db"]),
        ({"sort": "size"}, []),
        ({"state": "asleep"}, []),
        ({"colour": "red"}, []),
    ],
)
def test_domains_are_filtered_by_the_address(
    query: dict[str, str], found: list[str], victor: User, domain: Domain
) -> None:
    add_domain(domain.host, "db", libvirt_id=None, state="shutoff")
    add_domain(domain.host, "old", gone_at=timezone.now())
    page = signed_in(victor).get(reverse("domains"), query)
    assert [row.name for row in page.context["page"]] == found


def test_states_are_chips_with_counts(victor: User, domain: Domain) -> None:
    add_domain(domain.host, "db", libvirt_id=None, state="shutoff")
    add_domain(domain.host, "old", gone_at=timezone.now())
    page = text_of(signed_in(victor).get("/domains/?host=alder&sort=-name"))
    for name, label, count in (
        ("", "All", 2),
        ("on", "On", 1),
        ("paused", "Paused", 0),
        ("gone", "Gone from its host", 1),
    ):
        query = "host=alder&amp;sort=-name" + (f"&amp;state={name}" if name else "")
        assert f'href="/domains/?{query}"' in page
        assert f"{label} <strong>{count}</strong>" in page


def test_a_filter_in_force_is_taken_away(victor: User, domain: Domain) -> None:
    page = text_of(signed_in(victor).get("/domains/?host=alder&q=web&state=on"))
    assert 'href="/domains/?q=web&amp;state=on"><bdi>host alder</bdi>' in page
    assert 'href="/domains/?host=alder&amp;state=on"><bdi>“web”</bdi>' in page
    # A chip keeps the rest, and so does the search.
    assert '<input type="hidden" name="state" value="on">' in page


def test_a_filter_that_makes_no_sense_is_said(victor: User, domain: Domain) -> None:
    page = text_of(signed_in(victor).get("/domains/?colour=red&host=oak&state=asleep"))
    for words in (
        "There is no filter “colour”.",
        "There is no such host.",
        "There is no state “asleep”.",
        "No domain matches.",
    ):
        assert words in page


def test_headings_sort(victor: User, domain: Domain) -> None:
    page = text_of(signed_in(victor).get("/domains/?sort=name"))
    assert 'aria-sort="ascending"> <a class="sort" href="/domains/?sort=-name"' in page
    assert '<a class="sort" href="/domains/?sort=host"' in page


def test_pages_keep_the_filter(
    victor: User, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.paging.PER_PAGE", 2)
    for number in range(3):
        add_domain(host, f"mail-{number}")
    page = text_of(signed_in(victor).get("/domains/?host=alder"))
    assert "1 to 2 of 3 domains" in page
    assert "mail-2" not in page
    assert "host=alder&amp;page=2" in page


def test_domains_need_no_more_queries_for_more_domains(
    victor: User, disk: Disk, host: Host
) -> None:
    client, address = signed_in(victor), reverse("domains")
    one = queries_of(client, address)
    for number in range(5):
        domain = add_domain(host, f"d{number}")
        add_job(add_disk(domain))
        add_disk(domain, "vdb")
    assert queries_of(client, address) == one <= 12


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

    def test_each_image_says_its_size_and_its_pool(
        self, victor: User, disk: Disk, pool: StoragePool
    ) -> None:
        disk.chain.filter(depth=1).update(capacity=3 * 2**30, format="raw")
        ChainLink.objects.create(
            disk=disk, depth=2, location="nbd://elm/x", kind="network", capacity=None
        )
        StoragePool.objects.update(available=5 * 2**30)
        text = self.page(victor, disk.domain)
        assert "Backing chain, 3 images" in text
        drawn = text[text.index('<ol class="chain"') : text.index("</ol>")]
        top, base, far = drawn.split('<li class="link">')[1:]
        assert "<bdi>web.qcow2</bdi>" in top
        assert "live source" in top
        for words in ("<bdi>base.qcow2</bdi>", "backing image", "raw", "3 GiB"):
            assert words in base
        for words in ("95 % used", "nearly full", "/srv/images</span>"):
            assert words in base
        assert 'href="/storage/?host=alder&amp;q=images"' in base
        assert "<bdi>nbd://elm/x</bdi>" in far
        assert "in no pool" in far

    def test_what_may_lie_below_is_said(self, victor: User, disk: Disk) -> None:
        assert "More may lie below" not in self.page(victor, disk.domain)
        Disk.objects.update(chain_known=False)
        assert "More may lie below" in self.page(victor, disk.domain)

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

    def test_what_is_old_looks_old(
        self, victor: User, disk: Disk, pool: StoragePool
    ) -> None:
        add_job(disk)
        before = self.page(victor, disk.domain)
        assert "stale" not in before
        assert 'class="silent"' not in before
        Host.objects.update(error="The host does not answer.")
        after = self.page(victor, disk.domain)
        assert "state-green stale" in after
        assert '<dd class="stale"' in after
        assert 'class="silent"' in after

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

    def test_a_source_that_is_doubted_is_told(self, victor: User, disk: Disk) -> None:
        job = add_job(disk, State.LOST, doubted=True)  # none of the newest that ended
        text = self.page(victor, disk.domain)
        assert "may be wrong about which file web" in text
        assert reverse("job", args=[job.pk]) in text
        assert "No copy before the guest was started anew." in text
        CopyJob.objects.update(libvirt_id=0)  # of a run before this one
        text = self.page(victor, disk.domain)
        assert "may be wrong" not in text
        assert "No copy before" not in text

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
        assert queries_of(client, address) == one <= 15


@pytest.mark.parametrize(
    ("state", "english", "german"),
    [("running", "running", "läuft"), ("shutoff", "off", "aus"), ("odd", "odd", "odd")],
)
def test_a_state_is_said_alike_wherever_it_is_shown(
    olga: User, domain: Domain, state: str, english: str, german: str
) -> None:
    Domain.objects.filter(pk=domain.pk).update(state=state)
    for address in (
        reverse("domains"),
        reverse("domain", args=[domain.pk]),
        reverse("host", args=[domain.host_id]),
    ):
        for language, words in (("en", english), ("de", german)):
            page = text_of(
                signed_in(olga).get(address, headers={"Accept-Language": language})
            )
            assert words in re.findall(r'class="state [^>]*><svg.*?</svg>(\w+)<', page)
            assert (f'title="libvirt: {state}"' in page) == (words != state)
