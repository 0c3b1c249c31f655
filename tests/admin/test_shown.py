"""How the admin's pages show what a row holds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs import audit
from jobs.actor import SYSTEM
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
from jobs.preflight import Finding, Level, findings_to_json
from jobs.said import say

LOGGED = [Site, Host, Domain, CopyJob, Leftover, User]
NOT_LOGGED = [Disk, StoragePool, JobEvent, AuditEntry]

pytestmark = pytest.mark.usefixtures("leftover", "pool", "entry")


def page_of(client: Client, row: Any) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return client.get(reverse(name, args=[row.pk])).content.decode()


def lines(page: str) -> dict[str, str]:
    """What stands beside each label of a page."""
    found = re.findall(
        r'<label>([^<]*):</label>\s*<div class="readonly">(.*?)</div>', page, re.DOTALL
    )
    return {label: text.strip() for label, text in found}


@pytest.mark.parametrize(
    "model", [Domain, Disk, StoragePool, CopyJob, JobEvent, Leftover, AuditEntry]
)
def test_nothing_is_a_dash(administration: Client, model: Any) -> None:
    told = lines(page_of(administration, model.objects.first()))
    assert told
    assert [label for label, text in told.items() if not text or text == "None"] == []


def test_what_a_host_did_not_say_is_a_dash(administration: Client, host: Host) -> None:
    Host.objects.update(libvirt_version=None, hypervisor="", hypervisor_version=None)
    told = lines(page_of(administration, host))
    assert told["Libvirt"] == told["Hypervisor"] == "-"


def test_sizes_are_in_units(
    administration: Client, disk: Disk, pool: StoragePool
) -> None:
    Disk.objects.update(capacity=512 * 2**20, allocation=2**30, physical=None)
    StoragePool.objects.update(capacity=3 * 2**40)

    told = lines(page_of(administration, disk))
    assert told["Capacity"] == "512 MiB"
    assert told["Allocation"] == "1 GiB"
    assert told["Physical size"] == "-"
    assert lines(page_of(administration, pool))["Capacity"] == "3 TiB"


def test_choices_and_sentences_are_in_the_readers_language(
    administration: Client, ada: User, job: CopyJob
) -> None:
    Preferences.objects.create(user=ada, language="de")
    found = Finding("there_is_room", Level.WARN, "It can grow.")
    words = "%(location)s stays on %(host)s as it is."
    left = say(words, location="/srv/a", host="alder")
    CopyJob.objects.filter(pk=job.pk).update(
        **job.saying(left_behind=left),
        findings=findings_to_json([found]),
        stall_limit=600,
        bandwidth=3 * 2**19,
    )

    page = page_of(administration, job)
    for words in (
        *("spiegelt", "auf einen Menschen warten", "<b>Warnung</b>"),
        *("1,5 MiB/s", "10m ohne Fortschritt"),
        "/srv/a bleibt auf alder, wie es ist.",
    ):
        assert words in page
    assert "mirroring" not in page
    assert "wait for a person" not in page


@pytest.mark.parametrize("model", LOGGED)
def test_a_page_leads_to_what_the_audit_log_says_of_its_object(
    administration: Client, ada: User, model: Any
) -> None:
    Preferences.objects.create(user=ada, language="de")
    row = model.objects.first()
    told = audit.record(SYSTEM, "sync", row, audit.Outcome.DONE, reason="tonight")
    assert told.object_type == row._meta.verbose_name_raw

    page = page_of(administration, row)
    link = re.search(r'href="(/audit/[^"]*)" class="historylink"', page)
    assert link
    log = administration.get(link[1].replace("&amp;", "&"))
    assert next(entry.pk for entry, _ in log.context["rows"]) == told.pk
    assert {entry.object_type for entry, _ in log.context["rows"]} == {told.object_type}


@pytest.mark.parametrize("model", NOT_LOGGED)
def test_where_the_audit_log_says_nothing_no_link_leads_there(
    administration: Client, model: Any
) -> None:
    assert "historylink" not in page_of(administration, model.objects.first())
