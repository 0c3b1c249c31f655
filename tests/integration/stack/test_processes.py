"""Every process may be killed with -9: the console is then slower, never wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.postgres import PrivatePostgres
from lab.stack import Stack

pytestmark = pytest.mark.integration

NEVER_READY = ("--bandwidth", "1MiB", "--buf-size", "1MiB")


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("rack"), "alder") as host:
        yield host


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stack(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rack: PrivateHost,
) -> Iterator[Stack]:
    """The console on each database, with the private host added."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    environment = {"BLOCKCOPY_SOCKET_PREFIXES": str(rack.socket.parent)}
    if request.param == "sqlite":
        yield from _running(directory, environment, rack)
        return
    with PrivatePostgres(directory / "postgresql") as server:
        environment["DATABASE_URL"] = server.url()
        yield from _running(directory, environment, rack)


def _running(
    directory: Path, environment: dict[str, str], rack: PrivateHost
) -> Iterator[Stack]:
    with Stack(directory / "console", environment) as stack:
        stack.add_host(rack)
        yield stack


@pytest.fixture
def guest(
    rack: PrivateHost, stack: Stack, request: pytest.FixtureRequest
) -> Iterator[Guest]:
    """A writing guest with something to copy, known to the console."""
    name = f"guest{abs(hash(request.node.name)) % 10**8}"
    image = GuestDisk(rack.images / f"{name}.qcow2", data=24 * MIB)
    guest = define_and_start(rack, name, [image])
    guest.log.wait_for_boot()
    stack.manage("blockcopy", "host", "sync", "alder", "--wait")
    yield guest
    assert (guest.log.errors, guest.log.mismatches) == (0, 0)
    guest.destroy()
    rack.virsh("undefine", name)


def cli(stack: Stack, *words: str | Path) -> Any:
    """Run `manage.py blockcopy … --json`."""
    return json.loads(stack.manage("blockcopy", *words, "--json"))


def start(stack: Stack, guest: Guest, *options: str) -> Any:
    destination = guest.host.images / f"{guest.name}-copy.qcow2"
    return cli(
        stack,
        *("job", "start", "alder", guest.name, "vda"),
        *("--to", destination, "--format", "qcow2"),
        *options,
    )


def show(stack: Stack, job: Any) -> Any:
    return cli(stack, "job", "show", str(job["job"]))


def wait_for(stack: Stack, job: Any, state: str, timeout: float = 60) -> Any:
    return _until(
        lambda: show(stack, job), lambda seen: seen["state"] == state, timeout
    )


def _until(look: Callable[[], Any], good: Callable[[Any], bool], timeout: float) -> Any:
    end = time.monotonic() + timeout
    while True:
        seen = look()
        if good(seen):
            return seen
        assert time.monotonic() < end, seen
        time.sleep(0.2)


def test_all_processes_at_work(stack: Stack, guest: Guest) -> None:
    job = start(stack, guest, "--when-ready", "pivot", "--wait")
    assert job["state"] == "pivoted"
    assert guest.source() == job["destination"]


def test_without_the_listener(stack: Stack, guest: Guest) -> None:
    """Nothing depends on events; the sweep finds the same a little later."""
    stack.listener.kill()
    job = start(stack, guest, "--when-ready", "pivot", "--wait")
    stack.listener.start()
    assert job["state"] == "pivoted"
    assert guest.source() == job["destination"]


def test_a_killed_worker_takes_up_where_it_was(stack: Stack, guest: Guest) -> None:
    job = start(stack, guest, *NEVER_READY)
    wait_for(stack, job, "copying")
    stack.worker.kill()
    stack.manage("blockcopy", "job", "cancel", str(job["job"]))
    assert show(stack, job)["state"] == "cancelling", "the intent is kept"
    stack.worker.start()
    ended = wait_for(stack, job, "cancelled")
    assert ended["left_behind"]
    assert guest.source() == ended["source"]


def test_redis_lost_with_all_its_data(stack: Stack, guest: Guest) -> None:
    job = start(stack, guest, *NEVER_READY)
    wait_for(stack, job, "copying")
    stack.redis.kill()
    stack.redis.start()
    stack.manage("blockcopy", "job", "speed", str(job["job"]), "0")
    _until(lambda: show(stack, job), lambda seen: seen["state"] == "mirroring", 60)
    stack.manage("blockcopy", "job", "pivot", str(job["job"]))
    wait_for(stack, job, "pivoted")
    assert guest.source() == job["destination"]


def test_beat_and_web_killed(stack: Stack, guest: Guest) -> None:
    """Without beat the listener's events alone carry a job to its end."""
    stack.beat.kill()
    stack.web.kill()
    job = start(stack, guest, "--when-ready", "finish", "--wait")
    stack.beat.start()
    stack.web.start()
    stack.web.wait_until(stack.answers)
    assert job["state"] == "copied"
    assert guest.source() == job["source"]


def test_a_guest_that_goes_away(stack: Stack, guest: Guest) -> None:
    """No block-job event tells of it; the lifecycle event or the next look does."""
    job = start(stack, guest, *NEVER_READY)
    wait_for(stack, job, "copying")
    guest.destroy()
    lost = wait_for(stack, job, "lost", timeout=15)
    assert lost["failure"]
    assert lost["remedy"]
    guest.start()
