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
