"""Several disks of a domain copied together: all are asked for, or none."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs.hypervisor import to_xml
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, StoragePool
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain, add_job
from tests.console.rows import queries_of, text_of


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host answers here."""
    monkeypatch.setattr("jobs.console.views.copy_several.ANSWER_SECONDS", 0)


@pytest.fixture
def disks(disk: Disk, pool: StoragePool) -> list[Disk]:
    """Two disks of one domain, on a host with a pool."""
    second = "/srv/images/web-data.raw"
    both = {"source": second, "persistent_source": second}
    return [disk, add_disk(disk.domain, "vdb", format="raw", **both)]


def at(domain: Domain) -> str:
    return reverse("domain-copy", args=[domain.pk])


def told(disks: list[Disk], **more: Any) -> dict[str, Any]:
    return {
        "disk": [disk.pk for disk in disks],
        "pool": "images",
        "pattern": "{domain}-{disk}-copy",
        "format": "same",
        "when_ready": "wait",
        **more,
    }


def test_ladder(otto: User, victor: User, olga: User, disks: list[Disk]) -> None:
    address = at(disks[0].domain)
    assert signed_in(otto).get(address).status_code == 403
    assert signed_in(victor).post(address, told(disks)).status_code == 403
    assert not CopyJob.objects.exists()
    query = f"?disk={disks[0].pk}&disk={disks[1].pk}"
    assert "Your role does not" in text_of(signed_in(victor).get(address + query))
    page = signed_in(olga).get(address + query)
    assert page.status_code == 200
    assert "/srv/images/web-vda-" in text_of(page)
    assert not CopyJob.objects.exists()


def test_each_disk_gets_a_job(olga: User, disks: list[Disk]) -> None:
    more = {"bandwidth": "10 MiB", "reason": "moving", "when_ready": "finish"}
    answer = signed_in(olga).post(at(disks[0].domain), told(disks, **more))
    assert "2 of 2 copies asked for" in text_of(answer)
    jobs = CopyJob.objects.order_by("disk")
    assert [(job.destination, job.destination_format) for job in jobs] == [
        ("/srv/images/web-vda-copy.qcow2", "qcow2"),
        ("/srv/images/web-vdb-copy.img", "raw"),
    ]
    for job in jobs:
        assert (job.bandwidth, job.reason) == (10 * 2**20, "moving")
        assert job.when_ready == "finish"
        assert job.destination_xml == to_xml(job.target_destination)
    assert AuditEntry.objects.filter(action="request", outcome="asked").count() == 2


def test_more_disks_take_no_more_queries(olga: User, disks: list[Disk]) -> None:
    client, address = signed_in(olga), at(disks[0].domain)

    def asked(chosen: list[Disk]) -> int:
        query = "&".join(f"disk={disk.pk}" for disk in chosen)
        return queries_of(client, f"{address}?{query}")

    asked(disks)
    few = asked(disks)
    more = [add_disk(disks[0].domain, f"vd{letter}") for letter in "cdefghij"]
    assert asked(disks + more) == few


def test_all_at_one_time(olga: User, disks: list[Disk]) -> None:
    later = {"start": "later", "start_time": "02:00", "zone": "UTC"}
    signed_in(olga).post(at(disks[0].domain), told(disks, **later))
    jobs = CopyJob.objects.all()
    assert [job.state for job in jobs] == [State.REQUESTED] * 2
    assert len({job.start_at for job in jobs}) == 1
    assert [job.start_at.hour for job in jobs if job.start_at] == [2, 2]


def test_a_time_that_makes_no_sense_starts_none(olga: User, disks: list[Disk]) -> None:
    later = {"start": "later", "start_time": "02:00", "start_date": "2020-02-02"}
    page = signed_in(olga).post(at(disks[0].domain), told(disks, **later))
    assert page.status_code == 422
    assert "has passed." in text_of(page)
    assert not CopyJob.objects.exists()


def test_all_or_none(olga: User, disks: list[Disk]) -> None:
    add_job(disks[1], State.COPYING)
    answer = signed_in(olga).post(at(disks[0].domain), told(disks))
    assert answer.status_code == 422
    assert 'All or none: <span class="mono">vdb</span>' in text_of(answer)
    assert CopyJob.objects.count() == 1


def test_one_that_is_refused_at_last_is_told(
    olga: User, disks: list[Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else is faster by a moment."""
    real = CopyJob.objects.create
    earlier: list[None] = []

    def create(**fields: Any) -> CopyJob:
        if not earlier:
            earlier.append(None)
            add_job(disks[1], State.COPYING)
        return real(**fields)

    monkeypatch.setattr(CopyJob.objects, "create", create)
    answer = signed_in(olga).post(at(disks[0].domain), told(disks))
    page = text_of(answer)
    assert "1 of 2 copies asked for" in page
    assert "</svg>refused</span>" in page


def test_a_name_that_is_taken_gets_a_number(olga: User, disks: list[Disk]) -> None:
    add_job(
        add_disk(add_domain(disks[0].domain.host, "x")),
        State.COPYING,
        destination="/srv/images/web-vda-copy.qcow2",
    )
    answer = signed_in(olga).post(at(disks[0].domain), told(disks))
    assert "2 of 2 copies asked for" in text_of(answer)
    job = CopyJob.objects.get(domain_name="web", disk="vda")
    assert job.destination == "/srv/images/web-vda-copy-2.qcow2"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pattern": "{domain}"}, "It needs {disk}, or all copies had one name."),
        ({"pattern": "{disk}-{colour}"}, "There is no {colour}"),
        ({"pattern": "{disk}-{0}"}, "There is no {0}"),
        ({"pattern": "{disk}-{domain.host}"}, "There is no {domain.host}"),
        ({"pattern": "{disk}-{"}, "A brace is not closed."),
        ({"pattern": "{disk}/x"}, "It is a file’s name, without a directory."),
        ({"pattern": ""}, "This field is required."),
        ({"pool": ""}, "Write a directory, beginning with /."),
        ({"pool": "nowhere"}, "Select a valid choice."),
        ({"bandwidth": "fast"}, "is no size"),
        ({"when_ready": "explode"}, "Select a valid choice."),
        ({"format": "vmdk"}, "Select a valid choice."),
    ],
)
def test_what_makes_no_sense(
    olga: User, disks: list[Disk], fields: dict[str, str], words: str
) -> None:
    answer = signed_in(olga).post(at(disks[0].domain), told(disks, **fields))
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not CopyJob.objects.exists()


def test_a_directory_without_a_pool(olga: User, disks: list[Disk]) -> None:
    fields = {"pool": "", "directory": "/mnt/big/", "format": "raw"}
    answer = signed_in(olga).post(at(disks[0].domain), told(disks, **fields))
    assert "2 of 2 copies asked for" in text_of(answer)
    found = CopyJob.objects.values_list("destination", flat=True)
    assert sorted(found) == ["/mnt/big/web-vda-copy.img", "/mnt/big/web-vdb-copy.img"]


def test_together_they_may_be_too_much(
    olga: User, disks: list[Disk], pool: StoragePool
) -> None:
    StoragePool.objects.update(available=10 * 2**30 + 1)
    check = told(disks, check="1")
    page = text_of(signed_in(olga).post(at(disks[0].domain), check))
    assert "Together the disks may grow to 11 GiB, and images has 10 GiB free." in page
    other = add_disk(add_domain(disks[0].domain.host, "mail"))
    StoragePool.objects.update(available=15 * 2**30)
    place = {"destination": "/srv/images/mail.qcow2", "capacity": 5 * 2**30}
    job = add_job(other, State.COPYING, **place)
    page = text_of(signed_in(olga).post(at(disks[0].domain), check))
    assert "15 GiB free, of which other copies may take 5 GiB." in page
    assert list(CopyJob.objects.all()) == [job]


def test_the_pool_that_is_chosen_has_room(olga: User, disks: list[Disk]) -> None:
    query = f"?disk={disks[0].pk}&disk={disks[1].pk}"
    address = at(disks[0].domain) + query
    page = signed_in(olga).get(address)
    assert page.context["form"]["pool"].value() == "images"
    StoragePool.objects.update(available=3 * 2**30)
    page = signed_in(olga).get(address)
    assert page.context["form"]["pool"].value() == ""


def test_only_disks_of_this_domain(olga: User, disks: list[Disk]) -> None:
    other = add_disk(add_domain(disks[0].domain.host, "other"))
    gone = add_disk(disks[0].domain, "vdc", gone_at=timezone.now())
    client, address = signed_in(olga), at(disks[0].domain)
    for query in ("", f"?disk={other.pk}", f"?disk={gone.pk}", "?disk=x"):
        page = client.get(address + query, follow=True)
        assert "No disk was selected." in text_of(page)
    assert client.get(reverse("domain-copy", args=[10**6])).status_code == 404


def test_the_domain_s_page_lets_one_choose(
    olga: User, victor: User, disk: Disk, pool: StoragePool
) -> None:
    address = reverse("domain", args=[disk.domain_id])
    assert "Copy them together" not in text_of(signed_in(olga).get(address))
    second = add_disk(disk.domain, "vdb")
    page = text_of(signed_in(olga).get(address))
    assert f'form="several" name="disk" value="{second.pk}"' in page
    assert "Copy them together" not in text_of(signed_in(victor).get(address))
    add_job(second, State.COPYING)
    assert "Copy them together" not in text_of(signed_in(olga).get(address))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_text(
    olga: User, disk: Disk, pool: StoragePool, name: str
) -> None:
    domain = add_domain(disk.domain.host, name)
    both = [add_disk(domain), add_disk(domain, "vdb")]
    client = signed_in(olga)
    checked = client.post(at(domain), told(both, check="1"))
    for answer in (checked, client.post(at(domain), told(both))):
        page = answer.content.decode()
        assert escape(name) in page
        assert "<img src=x" not in page
    assert CopyJob.objects.filter(domain=domain).count() == 2


def test_the_wrong_fields_are_named(olga: User, disks: list[Disk]) -> None:
    wrong = told(disks, pattern="a", pool="", directory="x", bandwidth="much")
    page = signed_in(olga).post(at(disks[0].domain), wrong)
    assert page.status_code == 422
    named = "See “Directory”, “Names of the files”, “Bandwidth”."
    assert named in text_of(page)
