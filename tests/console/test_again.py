"""A job once more: repeated to a free place, or turned around."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from jobs.console.again import again_of
from jobs.console.storage import free_path
from jobs.hypervisor import Destination, Secret, Server, destination_to_json
from jobs.lifecycle import ENDED, State
from jobs.models import AuditEntry, CopyJob, Disk
from tests.conftest import signed_in
from tests.console.rows import add_leftover, job_in, text_of


def fields(address: str) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs(urlsplit(address).query).items()
    }


def repeated(job: CopyJob) -> dict[str, str]:
    found = again_of(job)
    assert found is not None
    return fields(found.repeat)


def on_the_copy(disk: Disk, **more: Any) -> CopyJob:
    """A pivoted job: the disk is on its destination."""
    old, new = disk.source, "/srv/fast/web.qcow2"
    job = job_in(State.PIVOTED, disk, destination=new, source_format="qcow2", **more)
    Disk.objects.filter(pk=disk.pk).update(source=new, persistent_source=new)
    disk.chain.filter(depth=0).update(location=new)
    assert job.source == old
    return job


def test_the_two_ways_are_called_differently(olga: User, disk: Disk) -> None:
    job = job_in(State.FAILED, disk)
    page = signed_in(olga).get(
        reverse("job", args=[job.pk]), headers={"Accept-Language": "de"}
    )
    buttons = re.findall(r'id="(retry|repeat)".*?</svg>([^<]*)<', text_of(page))
    assert buttons == [("retry", "Erneut versuchen"), ("repeat", "Wiederholen")]


def test_every_option_comes_again(olga: User, disk: Disk) -> None:
    job = job_in(
        State.FAILED,
        disk,
        destination="/srv/fast/web.raw",
        destination_kind="file",
        destination_format="raw",
        synchronous_writes=True,
        bandwidth=50 * 2**20,
        granularity=65536,
        stall_limit=600,
        at_limit="cancel",
        when_ready="finish",
        consistent=True,
        reason="moving",
    )
    assert repeated(job) == {
        "destination_kind": "file",
        "destination": "/srv/fast/web.raw",
        "format": "raw",
        "synchronous_writes": "on",
        "bandwidth": "52428800",
        "granularity": "65536",
        "stall_limit": "10m",
        "at_limit": "cancel",
        "when_ready": "finish",
        "consistent": "on",
        "reason": "moving",
        "repeats": str(job.pk),
    }
    client = signed_in(olga)
    page = client.get(again_of(job).repeat)  # type: ignore[union-attr]
    assert f"job {job.pk}</a> asked." in text_of(page)
    wanted = page.context["form"].wanted
    assert wanted.options == job.options
    assert wanted.destination == job.target_destination
    assert (wanted.stall_limit, wanted.consistent) == (600, True)


@pytest.mark.parametrize(
    "destination",
    [
        Destination("block", "/dev/vg0/web", "raw"),
        Destination("volume", format="qcow2", pool="images", volume="new.qcow2"),
        Destination(
            "network",
            format="raw",
            protocol="nbd",
            name="web",
            servers=(Server("store", 10809),),
            tls=True,
        ),
        Destination(
            "network",
            format="raw",
            protocol="rbd",
            name="pool/web",
            servers=(Server("::1", 6789), Server("ceph2")),
            user="admin",
            auth=Secret(usage="ceph admin"),
        ),
        Destination(
            "file",
            "/srv/x.raw",
            "raw",
            encryption=Secret(uuid="0f1e7f7e-0000-4000-8000-000000000009"),
        ),
    ],
    ids=lambda each: each.protocol or each.kind,
)
def test_every_kind_of_destination_comes_again(
    olga: User, disk: Disk, pool: Any, destination: Destination
) -> None:
    job = job_in(
        State.CANCELLED,
        disk,
        destination=destination.location,
        destination_kind=destination.kind,
        destination_spec=destination_to_json(destination),
    )
    page = signed_in(olga).get(again_of(job).repeat)  # type: ignore[union-attr]
    assert page.context["form"].wanted.destination == destination


def test_a_place_that_is_taken_gets_a_number(disk: Disk) -> None:
    job = job_in(State.FAILED, disk, destination="/srv/fast/web.qcow2")
    add_leftover(disk, job=job, location=job.destination, kind="partial")
    assert repeated(job)["destination"] == "/srv/fast/web-2.qcow2"
    job_in(State.COPYING, disk, destination="/srv/fast/web-2.qcow2")
    assert repeated(job)["destination"] == "/srv/fast/web-3.qcow2"
    assert free_path(disk, "/srv/fast/other") == "/srv/fast/other"
    assert free_path(disk, disk.source) == "/srv/images/web-2.qcow2"


def test_what_is_reused_is_reused_again(disk: Disk) -> None:
    job = job_in(
        State.FAILED, disk, destination="/srv/fast/web.qcow2", reuse_external=True
    )
    add_leftover(disk, job=job, location=job.destination, kind="partial")
    again = repeated(job)
    assert (again["destination"], again["reuse_external"]) == (job.destination, "on")


def test_the_new_job_says_what_it_repeats(olga: User, disk: Disk) -> None:
    job = job_in(State.CANCELLED, disk, destination="/srv/fast/web.qcow2")
    signed_in(olga).post(reverse("disk-copy", args=[disk.pk]), repeated(job))
    new = CopyJob.objects.active().get()
    entry = AuditEntry.objects.get(action="request", object_id=str(new.pk))
    assert f"Repeats job {job.pk}." in entry.intent


def test_a_job_of_another_disk_is_not_repeated(olga: User, disk: Disk) -> None:
    client = signed_in(olga)
    for strange in ("x", "999999", "²"):
        page = client.get(reverse("disk-copy", args=[disk.pk]), {"repeats": strange})
        assert "Filled in as" not in text_of(page)


# --- Back again ----------------------------------------------------------------------


def test_back_beside_the_old_file(olga: User, disk: Disk) -> None:
    job = on_the_copy(disk)
    add_leftover(disk, job=job, location=job.source)
    address = again_of(job).back  # type: ignore[union-attr]
    assert fields(address)["destination"] == "/srv/images/web-2.qcow2"
    page = text_of(signed_in(olga).get(address))
    assert "The old file is still known there" in page
    assert 'name="reuse_external" checked' not in page


def test_back_to_the_old_name_once_it_is_free(disk: Disk) -> None:
    job = on_the_copy(disk)
    found = fields(again_of(job).back)  # type: ignore[union-attr]
    assert found["destination"] == "/srv/images/web.qcow2"
    assert found["format"] == "same"


def test_back_to_a_device(disk: Disk) -> None:
    disk.source = "/dev/vg0/web"
    job = on_the_copy(disk)
    found = fields(again_of(job).back)  # type: ignore[union-attr]
    assert (found["destination_kind"], found["device"]) == ("block", "/dev/vg0/web")


# --- On the job's page ---------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_what_the_page_offers(
    olga: User, victor: User, disk: Disk, state: State
) -> None:
    job = job_in(state, disk, destination="/srv/fast/web.qcow2")
    address = reverse("job", args=[job.pk])
    page = text_of(signed_in(olga).get(address))
    assert ('id="repeat"' in page) == (state in ENDED)
    retried = {State.FAILED, State.CANCELLED, State.LOST}
    assert ('id="retry"' in page) == (state in retried)
    assert ('id="back"' in page) == (state == State.PIVOTED)
    assert 'id="repeat"' not in text_of(signed_in(victor).get(address))


def test_a_retry_onto_what_the_job_left_is_not_offered(olga: User, disk: Disk) -> None:
    job = job_in(State.CANCELLED, disk, destination="/srv/fast/web.qcow2")
    client, address = signed_in(olga), reverse("job", args=[job.pk])
    assert "act=retry" in text_of(client.get(address))
    add_leftover(disk, job=job, location=job.destination, kind="partial")
    page = text_of(client.get(address))
    assert "act=retry" not in page
    assert 'id="retry" aria-disabled="true"' in page
    assert "Retry: /srv/fast/web.qcow2 is listed as a leftover" in page
    assert "Remove it first, or make a new copy to another place." in page
    assert 'id="repeat" href=' in page


def test_what_is_not_possible_says_why(olga: User, disk: Disk) -> None:
    job = job_in(State.PIVOTED, disk, destination="/srv/fast/web.qcow2")
    client, address = signed_in(olga), reverse("job", args=[job.pk])
    assert "by now, not on /srv/fast/web.qcow2." in text_of(client.get(address))
    adopted = job_in(State.COPIED, disk, adopted_at=job.ended_at)
    page = text_of(client.get(reverse("job", args=[adopted.pk])))
    assert "How an adopted copy was made is not known." in page
    Disk.objects.filter(pk=disk.pk).update(gone_at=job.ended_at)
    assert "The domain has no such disk any more." in text_of(client.get(address))
