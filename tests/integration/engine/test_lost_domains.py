"""Guests that libvirt forgets: undefined in mid copy, or lost by a killed daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.actor import Actor
from jobs.hypervisor import Destination, close_all
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host, Leftover
from jobs.preflight import CopyRequest
from lab.guest import Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from tests.conftest import actor_of
from tests.integration.engine.conftest import MakeDisk
from tests.workers import Workers

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


def mirroring(disk: Disk, workers: Workers, operator: Actor) -> CopyJob:
    to = Destination("file", f"{disk.source}.copy", "qcow2")
    job = actions.request_copy(CopyRequest(disk, to), operator)
    return workers.until(job, State.MIRRORING)


def test_a_domain_undefined_during_its_copy(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    definition = guest.host.virsh("dumpxml", "--inactive", guest.name)
    job = mirroring(disk, workers, operator)
    guest.host.virsh("undefine", guest.name)
    for _ in range(3):
        workers.sweep()
    job.refresh_from_db()
    assert "virsh define" in job.flagged
    assert job.state == State.MIRRORING, "the copy itself goes on"
    assert AuditEntry.objects.filter(action="flag").count() == 1
    guest.host.virsh("define", "/dev/stdin", text=definition)
    actions.perform(actions.PIVOT, job, operator)
    workers.until(job, State.PIVOTED)
    assert job.destination in guest.host.virsh("dumpxml", "--inactive", guest.name)


@pytest.fixture
def fragile(
    tmp_path: Path, real_host: Host, settings: object
) -> Iterator[tuple[PrivateHost, Guest]]:
    """A host of its own, in place of the usual one, whose daemon a test may kill."""
    with PrivateHost(tmp_path / "fragile", "alder") as host:
        settings.BLOCKCOPY_SOCKET_PREFIXES = [str(host.socket.parent)]  # type: ignore[attr-defined]
        Host.objects.filter(pk=real_host.pk).update(socket=str(host.socket))
        disk = GuestDisk(host.images / "web.qcow2")
        yield host, define_and_start(host, "web", [disk], writing=False)
        close_all()


def forget(host: PrivateHost, guest: Guest) -> None:
    """Kill the daemon as if it were in the last milliseconds of a pivot.

    What libvirt 9.0 then writes of the mirror it can't read again itself.
    """
    host.kill()
    status = host.socket.parent / "qemu/run" / f"{guest.name}.xml"
    text = status.read_text()
    assert "job='copy'" in text
    status.write_text(text.replace("job='copy'", "job=''"))
    host.start()


def test_a_domain_that_libvirt_lost(
    fragile: tuple[PrivateHost, Guest],
    real_host: Host,
    workers: Workers,
    operator: Actor,
    ada: User,
) -> None:
    host, guest = fragile
    tasks.sync_host(real_host.pk)
    job = mirroring(Disk.objects.get(target="vda"), workers, operator)
    forget(host, guest)
    assert guest.state == "shut off"
    workers.until(job, State.LOST)
    assert "Do not start the guest" in job.remedy
    assert {each.kind for each in job.leftovers.all()} == {Leftover.Kind.UNCERTAIN}
    copy = job.leftovers.get(location=job.destination)
    tasks.measure_leftover(copy.pk)
    copy.refresh_from_db()
    actions.remove_leftover(copy, actor_of(ada), "to make room")
    workers.until_true(
        lambda: "may have lost" in Leftover.objects.get(pk=copy.pk).refusal,
        lambda: str(Leftover.objects.get(pk=copy.pk).refusal),
    )
    assert Path(copy.location).exists()
    assert guest.state == "shut off", "nothing of ours has started it"
