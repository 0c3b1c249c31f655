"""The inventory in the admin: what its search finds."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import Disk

DISKS = reverse("admin:jobs_disk_changelist")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("images/WEB", 1),  # the place
        ("web", 1),  # the domain, too
        ("vda", 0),
        ("nowhere", 0),
    ],
)
def test_disks_are_found_by_place_and_by_domain(
    administration: Client, disk: Disk, text: str, found: int
) -> None:
    Disk.objects.filter(pk=disk.pk).update(source="/srv/images/WEB.qcow2")
    page = administration.get(DISKS, {"q": text})
    assert page.context["cl"].result_count == found


def test_a_disk_is_found_by_its_domain_alone(
    administration: Client, disk: Disk
) -> None:
    Disk.objects.filter(pk=disk.pk).update(source="/srv/a.raw")
    for text in (disk.domain.name, disk.domain.uuid[:13]):
        page = administration.get(DISKS, {"q": text})
        assert page.context["cl"].result_count == 1, text


@pytest.mark.parametrize("most", [0, 1])
def test_domains_of_any_number_are_searched(
    administration: Client, disk: Disk, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("jobs.models.search.MOST_OWNERS", most)
    page = administration.get(DISKS, {"q": disk.domain.name})
    assert page.context["cl"].result_count == 1


def test_a_filter_offers_what_libvirt_may_say(
    administration: Client, disk: Disk
) -> None:
    Disk.objects.filter(pk=disk.pk).update(bus="virtio")
    for bus, found in {"virtio": 1, "scsi": 0}.items():
        page = administration.get(DISKS, {"bus": bus})
        assert page.context["cl"].result_count == found
