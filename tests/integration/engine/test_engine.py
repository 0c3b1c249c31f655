"""A copy job from request to end on real libvirt, and every way it can go wrong."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions, live, starting, tasks
from jobs.actor import SYSTEM, Actor
from jobs.hypervisor import CopyOptions, Destination, Server, connection
from jobs.lifecycle import State, WhenReady
from jobs.models import AuditEntry, CopyJob, Disk, Host
from jobs.models.host import address_policy
from jobs.preflight import CopyRequest
from jobs.resolve import START_SENT_SECONDS
from lab.guest import Guest
from lab.host import PrivateHost
from lab.nbd import NbdServer
from tests.conftest import actor_of
from tests.integration.engine.conftest import MakeDisk
from tests.workers import Workers

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

SLOW = CopyOptions(bandwidth=2**20, buf_size=2**20)


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


def destination_of(guest: Guest, name: str = "copy") -> Destination:
    path = guest.host.images / f"{guest.name}-{name}.qcow2"
    return Destination("file", str(path), "qcow2")


def request(
    guest: Guest, disk: Disk, actor: Actor, *, to: str = "copy", **more: Any
) -> CopyJob:
    wanted = CopyRequest(disk, destination_of(guest, to), **more)
    return actions.request_copy(wanted, actor)


def outcomes(job: CopyJob) -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(object_type="copy job", object_id=str(job.pk))
    return list(entries.order_by("id").values_list("action", "outcome", "actor"))


# --- The three endings -------------------------------------------------------------


def test_copy_and_pivot(make_disk: MakeDisk, workers: Workers, operator: Actor) -> None:
    guest, disk = make_disk()
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    assert job.ready_at is not None
    assert job.transient_job is True
    workers.sweep()
    job.refresh_from_db()
    assert job.state == State.MIRRORING, "it waits for a person"

    actions.perform(actions.PIVOT, job, operator, "ticket 17")
    workers.until(job, State.PIVOTED)

    assert guest.source() == job.destination
    inactive = guest.host.virsh("dumpxml", "--inactive", guest.name)
    assert job.destination in inactive
    assert "goes stale" in job.left_behind
    guest.log.wait_for_writes(2)
    assert (guest.log.errors, guest.log.mismatches) == (0, 0)
    assert outcomes(job) == [
        ("request", "asked", "olga"),
        ("start", "done", "system"),
        ("pivot", "asked", "olga"),
        ("pivot", "done", "system"),
    ]
    disk.refresh_from_db()
    assert disk.source == job.destination, "the inventory follows"


def test_pivot_when_ready(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator, when_ready=WhenReady.PIVOT)
    workers.until(job, State.PIVOTED)
    assert guest.source() == job.destination
    assert ("pivot", "asked", "system") in outcomes(job)


def test_finish_keeps_an_identical_copy(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    before = guest.source()
    job = request(guest, disk, operator, when_ready=WhenReady.FINISH)
    workers.until(job, State.COPIED)
    assert guest.source() == before
    assert "point-in-time" in job.left_behind
    guest.destroy()
    done = subprocess.run(
        ["qemu-img", "compare", before, job.destination],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_cancel_says_what_it_leaves(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(data_mib=8)
    job = request(guest, disk, operator, options=SLOW)
    workers.until(job, State.COPYING)
    workers.sweep()
    assert live.progress_of([job.pk])[job.pk].end > 0

    actions.perform(actions.CANCEL, job, operator)
    workers.until(job, State.CANCELLED)
    assert guest.source() == str(disk.source)
    assert Path(job.destination).exists()
    assert job.destination in job.left_behind
    assert "partial" in job.left_behind


def test_speed_is_read_back(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(data_mib=8)
    job = request(guest, disk, operator, options=SLOW)
    workers.until(job, State.COPYING)
    actions.set_speed(job, 3 * 2**20, operator)
    workers.work()
    job.refresh_from_db()
    assert job.bandwidth == 3 * 2**20
    actions.set_speed(job, 0, operator)
    workers.until(job, State.MIRRORING)
    assert "speed" in {action for action, _, _ in outcomes(job)}


# --- What the host refuses, before anything is started -----------------------------


def just_before_the_call(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """After the last look, when it is too late for preflight."""
    write_intent = starting._write_intent

    def late(*asked: Any) -> bool:
        act()
        return write_intent(*asked)

    monkeypatch.setattr(starting, "_write_intent", late)


def test_a_destination_that_appears_in_the_last_moment(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guest, disk = make_disk(writing=False)
    path = Path(destination_of(guest).path)
    just_before_the_call(monkeypatch, lambda: path.write_text("somebody's file"))
    job = request(guest, disk, operator)
    workers.until(job, State.FAILED)
    assert job.libvirt_code == 67
    assert "already" in job.failure
    assert job.remedy
    assert path.read_text() == "somebody's file"
    assert outcomes(job)[-1] == ("start", "failed", "system")


def test_a_directory_that_vanishes_in_the_last_moment(
    make_disk: MakeDisk,
    workers: Workers,
    operator: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guest, disk = make_disk(writing=False)
    folder = guest.host.images / "brief"
    folder.mkdir()
    just_before_the_call(monkeypatch, folder.rmdir)
    wanted = Destination("file", str(folder / "x.qcow2"), "qcow2")
    job = actions.request_copy(CopyRequest(disk, wanted), operator)
    workers.until(job, State.FAILED)
    assert job.libvirt_code == 38
    assert job.events.filter(message__startswith="Nothing was started").exists()


def test_a_guest_that_stopped_since_the_last_sync(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    guest.destroy()
    job = request(guest, disk, operator)
    workers.until(job, State.FAILED)
    assert "not running" in job.failure
    assert not Path(job.destination).exists()


def test_a_strangers_copy_is_left_alone(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(data_mib=8)
    theirs = destination_of(guest, "theirs").path
    guest.host.virsh(
        *("blockcopy", guest.name, "vda", "--dest", theirs, "--format", "qcow2"),
        *("--transient-job", "--bandwidth", "1"),
    )
    job = request(guest, disk, operator)
    workers.until(job, State.FAILED)
    assert theirs in job.failure
    assert theirs in guest.host.virsh("dumpxml", guest.name)
    workers.sweep()
    tasks.sync_host(job.host_id)
    disk.refresh_from_db()
    assert disk.mirror == theirs


# --- Accidents ---------------------------------------------------------------------


def test_a_destroyed_guest_ends_its_job(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(data_mib=8)
    job = request(guest, disk, operator, options=SLOW)
    workers.until(job, State.COPYING)
    guest.destroy()
    workers.until(job, State.LOST)
    assert "guest stopped" in job.failure
    assert job.destination in job.left_behind


def test_a_killed_daemon_loses_nothing(
    make_disk: MakeDisk, workers: Workers, operator: Actor, real_host: Host
) -> None:
    guest, disk = make_disk()
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    guest.host.kill()
    workers.sweep()
    real_host.refresh_from_db()
    job.refresh_from_db()
    assert real_host.reachable is False
    assert real_host.error_remedy
    assert job.state == State.MIRRORING, "nothing is guessed meanwhile"
    guest.host.start()
    actions.perform(actions.PIVOT, job, operator)
    workers.until(job, State.PIVOTED)
    real_host.refresh_from_db()
    assert real_host.reachable is True


def test_a_pivot_behind_our_back(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    guest.host.virsh("blockjob", guest.name, "vda", "--pivot")
    workers.until(job, State.PIVOTED)
    last = AuditEntry.objects.first()
    assert last is not None
    assert (
        "Not by this console"
        in AuditEntry.objects.filter(object_id=str(job.pk), action="pivot").get().detail
    )


def test_a_cancel_behind_our_back_is_not_success(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    guest.host.virsh("blockjob", guest.name, "vda", "--abort")
    workers.until(job, State.FAILED)
    assert "somebody else ended it" in job.failure


def test_an_intent_that_nobody_carried_out_is_carried_out(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    """The worker died between the written intent and the call."""
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    actions.perform(actions.PIVOT, job, operator)
    workers.inbox.clear()  # the request to the worker is lost
    workers.until(job, State.PIVOTED)
    assert [outcome for _, outcome, _ in outcomes(job)].count("done") == 2


def killed_in_start(job: CopyJob, guest: Guest, disk: Disk, seconds: float) -> None:
    """Its worker was killed so long ago, after the intent and about the call."""
    CopyJob.objects.filter(pk=job.pk).update(
        state=State.STARTING,
        libvirt_id=guest.domain_id,
        source=disk.source,
        started_at=timezone.now() - timedelta(seconds=seconds),
    )


def test_a_start_that_died_before_its_call_says_so(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    """Within ten seconds, since the host is seen to be at nothing."""
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator)
    workers.inbox.clear()
    killed_in_start(job, guest, disk, START_SENT_SECONDS - 1)
    workers.sweep()
    job.refresh_from_db()
    assert job.state == State.STARTING
    workers.until(job, State.FAILED, timeout=3)
    assert "did not begin" in job.failure
    assert not Path(job.destination).exists()


def test_a_start_that_the_host_is_still_at_is_waited_for(
    make_disk: MakeDisk, workers: Workers, operator: Actor, tmp_path: Path
) -> None:
    """Its worker was killed over the call, which a hung server holds up."""
    guest, disk = make_disk(writing=False)
    image = tmp_path / "export"
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    with NbdServer(tmp_path / "nbd", image, export="web", unix=True) as server:
        to = Destination(
            "network",
            format="raw",
            protocol="nbd",
            name="web",
            servers=(Server(socket=server.socket),),
        )
        server.freeze()
        accepted = frozenset({"reused_is_there"})
        wanted = CopyRequest(disk, to, accepted=accepted, reason="made for it")
        job = actions.request_copy(wanted, operator)
        workers.inbox.clear()
        call = threading.Thread(target=start_on_host, args=(disk.domain.host, job))
        call.start()
        time.sleep(1)
        killed_in_start(job, guest, disk, 30)
        for _ in range(3):
            workers.sweep()
            job.refresh_from_db()
            assert job.state == State.STARTING, "the host has not answered yet"
        server.thaw()
        call.join()
        workers.until(job, State.MIRRORING)
        guest.destroy()


def start_on_host(host: Host, job: CopyJob) -> None:
    """The call of a worker that nobody hears of any more."""
    with connection(host.address, address_policy()) as hypervisor:
        hypervisor.start(job.domain_uuid, job.disk, job.target_destination, job.options)


def test_a_persistent_definition_that_names_a_third_file_is_flagged(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    """libvirt leaves it alone silently; the next boot would use the wrong disk."""
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    inactive = guest.host.virsh("dumpxml", "--inactive", guest.name)
    other = inactive.replace(guest.source(), f"{guest.host.images}/other.qcow2")
    guest.host.virsh("define", "/dev/stdin", text=other)
    actions.perform(actions.PIVOT, job, operator)
    workers.until(job, State.FAILED)
    assert "the next boot would use" in job.failure
    assert guest.source() == job.destination


def test_a_pivot_repeated_by_two_workers_happens_once(
    make_disk: MakeDisk, workers: Workers, operator: Actor
) -> None:
    guest, disk = make_disk(writing=False)
    job = request(guest, disk, operator)
    workers.until(job, State.MIRRORING)
    actions.perform(actions.PIVOT, job, operator)
    workers.inbox *= 2
    workers.until(job, State.PIVOTED)
    assert outcomes(job).count(("pivot", "done", "system")) == 1


# --- Inventory ---------------------------------------------------------------------


def test_what_vanishes_is_marked_not_deleted(
    make_disk: MakeDisk, workers: Workers, real_host: Host
) -> None:
    guest, disk = make_disk("short-lived", persistent=False)
    assert disk.domain.running
    guest.destroy()
    tasks.sync_host(real_host.pk)
    disk.domain.refresh_from_db()
    assert disk.domain.gone_at is not None
    assert not disk.domain.running


def test_a_backing_chain_is_stored(make_disk: MakeDisk, real_host: Host) -> None:
    guest, disk = make_disk("layered", layers=2)
    chain = list(disk.chain.values_list("depth", "location"))
    assert [depth for depth, _ in chain] == [0, 1, 2]
    assert chain[0][1] == disk.source
    assert disk.capacity == 64 * 2**20
    guest.destroy()
    tasks.sync_host(real_host.pk)
    kept = list(disk.chain.values_list("depth", "location"))
    assert kept == chain, "libvirt does not show it of a guest that is off"


def test_an_unreachable_host_is_noted(
    lab_host: PrivateHost, real_host: Host, workers: Workers
) -> None:
    Host.objects.filter(pk=real_host.pk).update(
        socket=str(lab_host.socket.parent / "no-such-socket")
    )
    tasks.test_host(real_host.pk, "ada")
    real_host.refresh_from_db()
    assert real_host.error
    assert real_host.last_seen_at is None
    entry = AuditEntry.objects.get(action="test connection")
    assert (entry.outcome, entry.actor) == ("failed", SYSTEM.name)
