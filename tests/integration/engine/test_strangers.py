"""Copies that somebody began with virsh, and hands that meddle with ours."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.actions import NotPossible
from jobs.actor import Actor
from jobs.hypervisor import CopyOptions, Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Leftover
from jobs.preflight import CopyRequest
from jobs.strangers import foreign_copies
from lab.guest import Guest
from tests.conftest import actor_of
from tests.integration.engine.conftest import MakeDisk
from tests.workers import Workers

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

MIB = 2**20


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


def by_virsh(guest: Guest, *options: str, format: str = "qcow2") -> str:
    """A copy that this console knows nothing of; returns its destination."""
    path = f"{guest.source()}.foreign"
    mirror = ("--dest", path, "--format", format, "--transient-job")
    guest.host.virsh("blockcopy", guest.name, "vda", *mirror, *options)
    return path


def look_for_strangers(disk: Disk) -> list[Disk]:
    tasks.observe_strangers(disk.domain.host_id)
    return list(foreign_copies())


def entry(job: CopyJob, action: str) -> AuditEntry:
    about = AuditEntry.objects.filter(object_type="copy job", object_id=str(job.pk))
    return about.filter(action=action).latest("id")


def test_a_foreign_copy_is_seen_and_stays_as_it_is(
    make_disk: MakeDisk, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    assert look_for_strangers(disk) == []
    path = by_virsh(guest)
    (foreign,) = look_for_strangers(disk)
    assert foreign.mirror == path
    elsewhere = Destination("file", f"{path}.2", "qcow2")
    with pytest.raises(actions.Invalid, match="not started here"):
        actions.request_copy(CopyRequest(foreign, elsewhere), operator)
    assert look_for_strangers(disk) == [disk]
    guest.host.virsh("blockjob", guest.name, "vda", "--abort")
    assert look_for_strangers(disk) == []


def test_an_adopted_copy_is_a_job_like_any_other(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk()
    path = by_virsh(guest)
    (foreign,) = look_for_strangers(disk)
    job = actions.adopt(foreign, operator, "it was mine")
    assert list(foreign_copies()) == []
    workers.until(job, State.MIRRORING)
    assert (job.source, job.destination) == (guest.source(), path)
    assert entry(job, "adopt").reason == "it was mine"
    actions.perform(actions.PIVOT, job, operator)
    workers.until(job, State.PIVOTED)
    assert guest.source() == path
    guest.log.wait_for_writes(2)
    assert (guest.log.errors, guest.log.mismatches) == (0, 0)


def test_a_copy_is_adopted_where_the_guest_is_by_now(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    """Somebody pivoted since the last inventory, and then began another copy."""
    guest, disk = make_disk(writing=False)
    pivoted = by_virsh(guest, "--wait", "--pivot", format="raw")
    path = by_virsh(guest)
    (foreign,) = look_for_strangers(disk)
    job = actions.adopt(foreign, operator)
    assert (job.source, job.destination) == (pivoted, path)
    assert (job.source_format, job.destination_format) == ("raw", "qcow2")
    workers.until(job, State.MIRRORING)
    actions.perform(actions.PIVOT, job, operator)
    workers.until(job, State.PIVOTED)
    left = Leftover.objects.get()
    assert (left.location, left.kind) == (pivoted, Leftover.Kind.SOURCE)


def test_a_copy_on_a_guest_that_was_started_since_the_inventory(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    """An event tells of it before the inventory has heard of the start."""
    guest, disk = make_disk(writing=False)
    host = disk.domain.host
    guest.host.virsh("destroy", guest.name)
    tasks.sync_host(host.pk)
    guest.host.virsh("start", guest.name)
    path = by_virsh(guest)
    tasks.observe_domain(host.pk, disk.domain.uuid, "vda", "ready")
    job = actions.adopt(foreign_copies().get(), operator)
    assert job.destination == path
    workers.until(job, State.MIRRORING)
    actions.perform(actions.PIVOT, job, operator)
    workers.until(job, State.PIVOTED)
    assert guest.source() == path


def test_a_copy_is_adopted_once(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    by_virsh(guest)
    (foreign,) = look_for_strangers(disk)
    job = actions.adopt(foreign, operator)
    with pytest.raises(NotPossible, match=f"Job {job.pk}"):
        actions.adopt(foreign, operator)
    assert CopyJob.objects.count() == 1


def test_a_copy_that_ended_before_it_was_adopted(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    by_virsh(guest)
    (foreign,) = look_for_strangers(disk)
    guest.host.virsh("blockjob", guest.name, "vda", "--abort")
    job = actions.adopt(foreign, operator)
    workers.until(job, State.FAILED)
    assert "not by this console" in job.failure


def test_another_bandwidth_behind_our_back(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(data_mib=24, writing=False)
    slow = CopyOptions(bandwidth=MIB, buf_size=MIB)
    to = Destination("file", f"{disk.source}.copy", "qcow2")
    job = actions.request_copy(CopyRequest(disk, to, slow), operator)
    workers.until(job, State.COPYING)
    workers.sweep()
    job.refresh_from_db()
    assert job.bandwidth == MIB
    guest.host.virsh("blockjob", guest.name, "vda", "--bandwidth", "3")
    workers.until_true(
        lambda: CopyJob.objects.get(pk=job.pk).bandwidth == 3 * MIB, lambda: str(job)
    )
    assert "Not by this console" in entry(job, "speed").detail
    assert AuditEntry.objects.filter(action="speed").count() == 1
    actions.perform(actions.CANCEL, job, operator)
    workers.until(job, State.CANCELLED)


@pytest.mark.parametrize(
    ("verb", "state"), [("--pivot", State.PIVOTED), ("--abort", State.FAILED)]
)
def test_a_verb_behind_our_back(
    make_disk: MakeDisk, workers: Workers, operator: Actor, verb: str, state: State
) -> None:
    guest, disk = make_disk(writing=False)
    to = Destination("file", f"{disk.source}.copy", "qcow2")
    job = actions.request_copy(CopyRequest(disk, to), operator)
    workers.until(job, State.MIRRORING)
    guest.host.virsh("blockjob", guest.name, "vda", verb)
    workers.until(job, state)
    last = AuditEntry.objects.filter(object_id=str(job.pk)).latest("id")
    assert "Not by this console" in last.detail
