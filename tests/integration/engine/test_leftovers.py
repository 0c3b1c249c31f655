"""Leftovers on real hosts: what is removed is really gone, what is used stays."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from jobs import actions, live, tasks
from jobs.actor import Actor
from jobs.hypervisor import CopyOptions, Destination, close_all
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host, Leftover
from jobs.preflight import CopyRequest
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from tests.conftest import actor_of
from tests.integration.conftest import remove as remove_guest
from tests.integration.engine.conftest import MakeDisk
from tests.workers import Workers

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

SLOW = CopyOptions(bandwidth=2**20, buf_size=2**20)
Kind = Leftover.Kind


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


@pytest.fixture
def admin(ada: User) -> Actor:
    return actor_of(ada)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("birch"), "birch") as host:
        yield host
    close_all()


@pytest.fixture
def birch(second: PrivateHost, real_host: Host, settings: Any) -> Host:
    """A second host of the fleet."""
    settings.BLOCKCOPY_SOCKET_PREFIXES += [str(second.socket.parent)]
    return Host.objects.create(
        name="birch",
        site=real_host.site,
        transport="socket",
        mode="session",
        socket=str(second.socket),
    )


# --- The story so far -----------------------------------------------------------------


def copy(guest: Guest, disk: Disk, actor: Actor, options: CopyOptions) -> CopyJob:
    path = guest.host.images / f"{guest.name}-copy.qcow2"
    wanted = CopyRequest(disk, Destination("file", str(path), "qcow2"), options)
    return actions.request_copy(wanted, actor)


def pivoted(guest: Guest, disk: Disk, actor: Actor, workers: Workers) -> Leftover:
    """The guest has moved; its old source is a leftover."""
    job = copy(guest, disk, actor, CopyOptions())
    workers.until(job, State.MIRRORING)
    actions.perform(actions.PIVOT, job, actor)
    workers.until(job, State.PIVOTED)
    left = measured(job, workers)
    assert (left.kind, left.location) == (Kind.SOURCE, disk.source)
    return left


def cancelled(guest: Guest, disk: Disk, actor: Actor, workers: Workers) -> Leftover:
    job = copy(guest, disk, actor, SLOW)
    workers.until(job, State.COPYING)
    actions.perform(actions.CANCEL, job, actor)
    workers.until(job, State.CANCELLED)
    left = measured(job, workers)
    assert left.kind == Kind.PARTIAL
    return left


def measured(job: CopyJob, workers: Workers) -> Leftover:
    """Let the seconds pass in which QEMU closes the file."""
    workers.until_true(
        lambda: Leftover.objects.filter(job=job).exclude(measured_at=None).exists(),
        lambda: str(list(Leftover.objects.values())),
        pause=0.2,
    )
    return Leftover.objects.select_related("job", "host").get(job=job)


def settle(left: Leftover, workers: Workers) -> Leftover:
    """Sweep until the removal is done or refused."""

    def settled() -> bool:
        live.taken_up(f"remove:{left.pk}")
        left.refresh_from_db()
        return left.removed_at is not None or left.removal_asked_at is None

    workers.until_true(settled, lambda: str(vars(left)), pause=0.1)
    return left


def remove(left: Leftover, actor: Actor, workers: Workers) -> Leftover:
    actions.remove_leftover(left, actor, "not needed any more")
    return settle(left, workers)


def let_a_minute_pass(left: Leftover) -> None:
    gap = timedelta(seconds=61)
    Leftover.objects.filter(pk=left.pk).update(
        removal_asked_at=F("removal_asked_at") - gap
    )
    Host.objects.update(inventory_began_at=F("inventory_began_at") - gap)


def outcomes() -> list[tuple[str, str]]:
    entries = AuditEntry.objects.filter(object_type="leftover").order_by("id")
    return list(entries.values_list("outcome", "actor"))


# --- Removed --------------------------------------------------------------------------


def test_an_old_source_is_removed(
    make_disk: MakeDisk, workers: Workers, operator: Actor, admin: Actor, birch: Host
) -> None:
    guest, disk = make_disk(data_mib=4)
    left = pivoted(guest, disk, operator, workers)
    old = Path(left.location)
    assert left.bytes == old.stat().st_blocks * 512
    left = remove(left, admin, workers)
    assert left.refusal == ""
    assert not old.exists()
    assert outcomes() == [("asked", "ada"), ("done", "system")]
    guest.log.wait_for_writes(2)
    assert (guest.log.errors, guest.log.mismatches) == (0, 0)


def test_a_partial_copy_is_removed(
    make_disk: MakeDisk, workers: Workers, operator: Actor, admin: Actor
) -> None:
    guest, disk = make_disk(data_mib=8, writing=False)
    left = cancelled(guest, disk, operator, workers)
    assert remove(left, admin, workers).removed_at is not None
    assert not Path(left.location).exists()
    assert Path(disk.source).exists()


def test_what_somebody_removed_by_hand(
    make_disk: MakeDisk, workers: Workers, operator: Actor, admin: Actor
) -> None:
    guest, disk = make_disk(data_mib=8, writing=False)
    left = cancelled(guest, disk, operator, workers)
    Path(left.location).unlink()
    left = remove(left, admin, workers)
    assert "already gone" in left.closing


def test_a_failed_jobs_own_volume_goes_by_itself(
    lab_host: PrivateHost, make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    """Its storage is full in the middle of the copy."""
    place = lab_host.directory / "tight"
    lab_host.mount_small(place, 12 * MIB)
    lab_host.define_pool("tight", place)
    guest, disk = make_disk(data_mib=32, writing=False)
    tasks.sync_host(disk.domain.host_id)
    wanted = CopyRequest(
        disk,
        Destination("volume", pool="tight", volume="web.qcow2", format="qcow2"),
        CopyOptions(buf_size=MIB),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.starting.not_accepted", lambda *_: [])
        patch.setattr("jobs.starting.stops", lambda *_: [])
        patch.setattr("jobs.actions.copies.problems", lambda *_: [])
        job = actions.request_copy(wanted, operator)
        workers.until(job, State.FAILED)
    left = Leftover.objects.get(job=job)
    assert left.ours, job.failure
    assert left.removal_asked_by == "system"
    left = settle(measured(job, workers), workers)
    assert left.refusal == ""
    assert "was removed" in left.closing
    volumes = lab_host.virsh("vol-list", "tight")
    assert "web.qcow2" not in volumes
    assert guest.state == "running"


# --- Left where it is -----------------------------------------------------------------


@pytest.fixture
def others() -> Iterator[list[Guest]]:
    """Guests that a test defines beside the one whose disk is copied."""
    defined: list[Guest] = []
    yield defined
    for guest in defined:
        remove_guest(guest)


def refused(left: Leftover, workers: Workers, actor: Actor, words: str) -> None:
    before = Path(left.location).read_bytes()
    left = remove(left, actor, workers)
    assert left.removed_at is None
    assert words in left.refusal
    assert Path(left.location).read_bytes() == before
    assert outcomes()[-1] == ("refused", "system")


def test_the_disk_of_a_guest_that_is_off(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    admin: Actor,
    others: list[Guest],
) -> None:
    guest, disk = make_disk(writing=False)
    left = pivoted(guest, disk, operator, workers)
    kept = GuestDisk(Path(left.location))
    others.append(define_and_start(guest.host, "kept", [kept], start=False))
    refused(left, workers, admin, "used by kept on alder (vda: source)")


def test_the_backing_file_of_a_guest_that_is_off(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    admin: Actor,
    others: list[Guest],
) -> None:
    """libvirt shows no chain of it, and would let the file be deleted."""
    guest, disk = make_disk(writing=False)
    left = pivoted(guest, disk, operator, workers)
    overlay = guest.host.images / "overlay.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2"]
    subprocess.run([*command, "-b", left.location, str(overlay)], check=True)
    off = define_and_start(guest.host, "kept", [GuestDisk(overlay)], start=False)
    others.append(off)
    refused(left, workers, admin, "used by kept on alder (vda: backing file)")
    assert "kept" not in guest.host.virsh("list", "--name")


def test_another_name_for_the_disk_of_a_guest_that_is_off(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    admin: Actor,
    others: list[Guest],
) -> None:
    guest, disk = make_disk(writing=False)
    left = pivoted(guest, disk, operator, workers)
    link = guest.host.images / "link.qcow2"
    link.symlink_to(left.location)
    others.append(define_and_start(guest.host, "kept", [GuestDisk(link)], start=False))
    try:
        refused(left, workers, admin, f"as {link}")
    finally:
        link.unlink()


def test_a_disk_on_another_host(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    admin: Actor,
    birch: Host,
    second: PrivateHost,
    others: list[Guest],
) -> None:
    """The storage is shared; only the other host knows."""
    guest, disk = make_disk(writing=False)
    left = pivoted(guest, disk, operator, workers)
    kept = GuestDisk(Path(left.location))
    others.append(define_and_start(second, "kept", [kept], start=False))
    refused(left, workers, admin, "used by kept on birch")


def test_a_host_that_does_not_answer(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    admin: Actor,
    birch: Host,
    second: PrivateHost,
) -> None:
    guest, disk = make_disk(writing=False)
    left = pivoted(guest, disk, operator, workers)
    tasks.sync_host(birch.pk)
    actions.remove_leftover(left, admin)
    second.kill()
    try:
        for _ in range(3):
            workers.sweep()
        left.refresh_from_db()
        assert left.removal_asked_at is not None, "it may answer yet"
        let_a_minute_pass(left)
        left = settle(left, workers)
    finally:
        second.start()
    assert "birch did not say what it uses" in left.refusal
    assert Path(left.location).exists()


def test_a_file_that_somebody_put_in_its_place(
    make_disk: MakeDisk, workers: Workers, operator: Actor, admin: Actor
) -> None:
    guest, disk = make_disk(data_mib=8, writing=False)
    left = cancelled(guest, disk, operator, workers)
    path = Path(left.location)
    actions.remove_leftover(left, admin)
    path.unlink()
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", str(path), "64M"], check=True
    )
    left = settle(left, workers)
    assert "has changed since it was looked at" in left.refusal
    assert path.exists()
    left = remove(left, admin, workers)
    assert left.removed_at is not None, "who asks again means the new one"
    assert not path.exists()
