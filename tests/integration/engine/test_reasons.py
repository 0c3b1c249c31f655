"""Why a copy failed on real hosts: QEMU's words, or the likely cause without them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.actor import Actor
from jobs.hypervisor import (
    BlockJobEvent,
    CopyOptions,
    Destination,
    Event,
    Server,
    Subscription,
)
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Host, Leftover
from jobs.models.host import address_policy
from jobs.preflight import CopyRequest
from lab.guest import MIB
from lab.host import PrivateHost
from lab.nbd import NbdServer
from lab.service import Service
from lab.sockets import SocketFolder
from tests.conftest import actor_of
from tests.integration.engine.conftest import MakeDisk
from tests.workers import Workers

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

REUSED = CopyOptions(reuse_external=True)
SLOW = CopyOptions(bandwidth=2 * MIB, buf_size=MIB)


@pytest.fixture(autouse=True)
def _nobody_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had gone wrong only after preflight looked."""
    monkeypatch.setattr("jobs.starting.preflight", lambda *_: [])
    monkeypatch.setattr("jobs.actions.copies.problems", lambda *_: [])


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


class Ears:
    """A subscription whose events become tasks when the test says so."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.heard: SimpleQueue[Event] = SimpleQueue()
        self.subscription = Subscription(host.address, address_policy(), self.heard.put)

    def hand_over(self, seconds: float = 10) -> BlockJobEvent:
        """Do what the listener does with the next failure."""
        end = time.monotonic() + seconds
        while True:
            try:
                event = self.heard.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                pytest.fail(f"no failure was heard in {seconds} s")
            if isinstance(event, BlockJobEvent) and event.status == "failed":
                break
        tasks.observe_domain(
            self.host.pk,
            event.domain_uuid,
            event.disk,
            event.status,
            time.time() - (time.monotonic() - event.received),
            event.reason,
        )
        return event


@pytest.fixture
def ears(real_host: Host) -> Iterator[Ears]:
    made = Ears(real_host)
    yield made
    made.subscription.close()


Ask = Callable[..., CopyJob]


@pytest.fixture
def ask(operator: Actor) -> Ask:
    def request(disk: Disk, to: Destination, options: CopyOptions) -> CopyJob:
        return actions.request_copy(CopyRequest(disk, to, options), operator)

    return request


def explained(job: CopyJob, text: str, cause: str) -> None:
    """The job has QEMU's words, what they mean, and what to do."""
    job.refresh_from_db()
    assert job.state == State.FAILED
    assert job.qemu_text == text
    assert f"{cause} (QEMU: {text}). The guest runs on its source." in job.failure
    assert job.remedy
    assert job.likely_cause == ""
    assert any(text in line for line in job.events.values_list("message", flat=True))


def guessed(job: CopyJob, workers: Workers, words: str) -> None:
    """Nobody heard why; the job says what is likely, and says that it is."""
    workers.until(job, State.FAILED)
    assert job.qemu_text == ""
    Leftover.objects.update(noted_at=job.requested_at)
    tasks.measure_leftover(Leftover.objects.get(job=job).pk)
    job.refresh_from_db()
    assert job.likely_cause.startswith("Likely cause")
    assert words in job.likely_cause


# --- The destination's storage is full -----------------------------------------------


@pytest.fixture
def small(lab_host: PrivateHost, request: pytest.FixtureRequest) -> Path:
    """A file system of 8 MiB on the host."""
    path = lab_host.directory / f"small-{request.node.name}"
    lab_host.mount_small(path, 8 * MIB)
    return path


def test_full(
    make_disk: MakeDisk, workers: Workers, ears: Ears, ask: Ask, small: Path
) -> None:
    guest, disk = make_disk(data_mib=24, writing=False)
    place = Destination("file", str(small / "copy.raw"), "raw")
    job = ask(disk, place, CopyOptions(buf_size=MIB))
    workers.work()
    event = ears.hand_over()
    assert event.reason == "No space left on device"
    explained(job, "No space left on device", "The destination's storage is full")
    assert guest.source() == disk.source
    assert guest.state == "running"


def test_full_and_nobody_heard(
    make_disk: MakeDisk, workers: Workers, ask: Ask, small: Path
) -> None:
    _, disk = make_disk(data_mib=24, writing=False)
    place = Destination("file", str(small / "copy.raw"), "raw")
    job = ask(disk, place, CopyOptions(buf_size=MIB))
    workers.work()
    guessed(job, workers, "storage was full")


def test_the_reason_comes_after_a_sweep_has_ended_the_job(
    make_disk: MakeDisk, workers: Workers, ears: Ears, ask: Ask, small: Path
) -> None:
    _, disk = make_disk(data_mib=24, writing=False)
    place = Destination("file", str(small / "copy.raw"), "raw")
    job = ask(disk, place, CopyOptions(buf_size=MIB))
    workers.until(job, State.FAILED)
    assert "QEMU" not in job.failure
    ears.hand_over()
    explained(job, "No space left on device", "The destination's storage is full")
    ears_again = job.events.count()
    tasks.observe_domain(
        job.host_id, job.domain_uuid, "vda", "failed", time.time(), job.qemu_text
    )
    assert job.events.count() == ears_again, "told once"


# --- What was reused is not what it was said to be ------------------------------------


def image(path: Path, format_: str, size: int) -> str:
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", format_, str(path), str(size)], check=True
    )
    return str(path)


DIFFERENT = "Source and target image have different sizes"


@pytest.mark.parametrize("size", [63 * MIB, 65 * MIB])
def test_another_size(
    make_disk: MakeDisk, workers: Workers, ears: Ears, ask: Ask, size: int
) -> None:
    guest, disk = make_disk(writing=False)
    path = image(guest.host.images / f"{guest.name}-other.raw", "raw", size)
    job = ask(disk, Destination("file", path, "raw"), REUSED)
    workers.work()
    ears.hand_over()
    cause = "The destination has another virtual size than the disk"
    explained(job, DIFFERENT, cause)


def test_another_size_and_nobody_heard(
    make_disk: MakeDisk, workers: Workers, ask: Ask
) -> None:
    guest, disk = make_disk(writing=False)
    path = image(guest.host.images / f"{guest.name}-other.raw", "raw", 65 * MIB)
    job = ask(disk, Destination("file", path, "raw"), REUSED)
    workers.work()
    guessed(job, workers, f"({65 * MIB} bytes) is not the disk's ({64 * MIB} bytes)")


def test_a_format_that_it_is_not(
    make_disk: MakeDisk, workers: Workers, ears: Ears, ask: Ask
) -> None:
    guest, disk = make_disk(writing=False)
    path = image(guest.host.images / f"{guest.name}-other.raw", "qcow2", 64 * MIB)
    job = ask(disk, Destination("file", path, "raw"), REUSED)
    workers.work()
    ears.hand_over()
    cause = "The destination has another virtual size than the disk"
    explained(job, DIFFERENT, cause)
    assert "format that was declared" in job.remedy


def test_a_format_that_it_is_not_and_nobody_heard(
    make_disk: MakeDisk, workers: Workers, ask: Ask
) -> None:
    guest, disk = make_disk(writing=False)
    path = image(guest.host.images / f"{guest.name}-other.raw", "qcow2", 64 * MIB)
    job = ask(disk, Destination("file", path, "raw"), REUSED)
    workers.work()
    guessed(job, workers, "declared raw but looks like qcow2")


# --- The server of the destination ----------------------------------------------------


SERVER = (
    "The destination's server ended, could not be reached any more, or its storage "
    "failed"
)


def nbd(port: int | None) -> Destination:
    servers = (Server("127.0.0.1", port),)
    return Destination("network", format="raw", protocol="nbd", servers=servers)


@pytest.fixture
def server(lab_host: PrivateHost, tmp_path: Path) -> Iterator[NbdServer]:
    served = tmp_path / "served.raw"
    image(served, "raw", 64 * MIB)
    with NbdServer(tmp_path / "nbd", served) as running:
        yield running


def test_a_server_that_is_killed(
    make_disk: MakeDisk, workers: Workers, ears: Ears, ask: Ask, server: NbdServer
) -> None:
    _, disk = make_disk(data_mib=32, writing=False)
    job = ask(disk, nbd(server.port), CopyOptions(True, True, bandwidth=2 * MIB))
    workers.until(job, State.COPYING)
    server.kill()
    ears.hand_over(20)
    explained(job, "Input/output error", SERVER)


def test_a_server_that_is_killed_and_nobody_heard(
    make_disk: MakeDisk, workers: Workers, ask: Ask, server: NbdServer
) -> None:
    _, disk = make_disk(data_mib=32, writing=False)
    job = ask(disk, nbd(server.port), CopyOptions(True, True, bandwidth=2 * MIB))
    workers.until(job, State.COPYING)
    server.kill()
    guessed(job, workers, "the server behind nbd://127.0.0.1")


FAULTS = {
    "EIO": ("Input/output error", SERVER),
    "ENOSPC": ("No space left on device", "The destination's storage is full"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_server_whose_storage_fails(
    make_disk: MakeDisk,
    workers: Workers,
    ears: Ears,
    ask: Ask,
    tmp_path: Path,
    fault: str,
) -> None:
    text, cause = FAULTS[fault]
    _, disk = make_disk(data_mib=8, writing=False)
    folder = SocketFolder(tmp_path / "run", "nbd.sock")
    folder.make()
    socket = folder.path / "nbd.sock"
    failing = Service(
        "nbdkit",
        [
            *("nbdkit", "-f", "-U", socket, "--filter=error", "memory", "64M"),
            *(f"error-pwrite={fault}", "error-pwrite-rate=100%"),
        ],
        log=tmp_path / "nbdkit.log",
        farewell=folder.farewell,
    )
    place = Destination(
        "network",
        format="raw",
        protocol="nbd",
        servers=(Server(socket=str(socket)),),
    )
    with failing:
        failing.wait_until(socket.exists)
        job = ask(disk, place, REUSED)
        workers.work()
        ears.hand_over()
    explained(job, text, cause)


def test_a_strangers_end_is_no_failure(
    make_disk: MakeDisk, workers: Workers, ears: Ears, ask: Ask, lab_host: PrivateHost
) -> None:
    guest, disk = make_disk(data_mib=16, writing=False)
    job = ask(disk, Destination("file", f"{disk.source}.copy", "raw"), SLOW)
    workers.until(job, State.COPYING)
    lab_host.virsh("blockjob", guest.name, "vda", "--abort")
    workers.until(job, State.FAILED)
    assert job.qemu_text == ""
    assert "somebody else ended it" in job.failure
