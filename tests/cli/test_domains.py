"""`blockcopy domain …` and `blockcopy audit …`."""

from __future__ import annotations

import pytest
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.models import Disk, Domain, Host
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("redis")


def test_domains_are_listed_without_those_gone(blockcopy: Run, domain: Domain) -> None:
    Domain.objects.create(
        host=domain.host,
        uuid="00000000-0000-4000-8000-000000000001",
        name="old",
        state="shutoff",
        persistent=True,
        seen_at=timezone.now(),
        gone_at=timezone.now(),
    )

    listed = blockcopy("domain", "list", "--host", "alder", "--json").json

    assert [one["domain"] for one in listed] == ["web"]
    assert "web" in blockcopy("domain", "list").out
    assert blockcopy("domain", "list", "--host", "elm").status == 1


def test_a_domain_is_shown_with_disks_and_chains(blockcopy: Run, disk: Disk) -> None:
    shown = blockcopy("domain", "show", "alder", "web", "--json").json
    by_uuid = blockcopy("domain", "show", "alder", shown["uuid"], "--json").json

    assert shown == by_uuid
    [shown_disk] = shown["disks"]
    assert shown_disk["disk"] == "vda"
    assert [link["location"] for link in shown_disk["chain"]] == [
        *("/srv/images/web.qcow2", "/srv/images/base.qcow2"),
    ]
    assert shown_disk["job"] is None
    assert (
        "└ /srv/images/base.qcow2 (qcow2)"
        in blockcopy("domain", "show", "alder", "web").out
    )


def test_of_two_domains_of_one_name_the_present_one_is_meant(
    blockcopy: Run, domain: Domain
) -> None:
    Domain.objects.filter(pk=domain.pk).update(gone_at=timezone.now())
    Domain.objects.create(
        host=domain.host,
        uuid="00000000-0000-4000-8000-000000000002",
        name="web",
        state="running",
        persistent=True,
        seen_at=timezone.now(),
    )

    shown = blockcopy("domain", "show", "alder", "web", "--json").json

    assert shown["uuid"].endswith("2")


def test_the_audit_log_is_listed_newest_last(blockcopy: Run, host: Host) -> None:
    for number in range(3):
        audit.record(SYSTEM, f"act {number}", host, audit.Outcome.DONE)
    audit.record(SYSTEM, "act 3", host, audit.Outcome.FAILED)

    def listed(*words: str) -> list[str]:
        entries = blockcopy("audit", "list", *words, "--json").json
        return [entry["action"] for entry in entries]

    assert listed() == ["act 0", "act 1", "act 2", "act 3"]
    assert listed("--limit", "2") == ["act 2", "act 3"]
    assert listed("--outcome", "failed") == ["act 3"]
    assert listed("--action", "act 1") == ["act 1"]
    assert listed("--actor", "olga") == []
    assert "act 3" in blockcopy("audit", "list").out


def test_the_audit_log_of_one_job(blockcopy: Run, disk: Disk) -> None:
    blockcopy("job", "start", "alder", "web", "vda", "--to", "/srv/images/c.qcow2")
    job = blockcopy("job", "list", "--json").json[0]["job"]
    blockcopy("host", "sync", "alder")

    entries = blockcopy("audit", "list", "--job", job, "--json").json

    assert [entry["action"] for entry in entries] == ["request"]
