"""A database of the first release, with jobs in flight, is migrated and goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.postgres import PrivatePostgres
from lab.stack import Stack
from tests.faults.kit import wait_until
from tests.promises import Promises

# Where each job is in the end. A start that took no effect ("unheard") can't be told
# from one that failed at once, so that one has failed.
AFTERWARDS = {
    "queued": "mirroring",
    "unheard": "failed",
    "starting": "mirroring",
    "copying": "copying",
    "mirroring": "mirroring",
    "pivoting": "pivoted",
    "finishing": "copied",
    "cancelling": "cancelled",
}
NOT_BEGUN = ("queued", "unheard")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("cedar"), "cedar") as host:
        yield host


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(
    request: pytest.FixtureRequest, tmp_path: Path, host: PrivateHost
) -> Iterator[Stack]:
    """A console that was never started, on each database."""
    environment = {"BLOCKCOPY_SOCKET_PREFIXES": str(host.socket.parent)}
    if request.param == "sqlite":
        yield from _stopped(Stack(tmp_path / "console", environment))
        return
    with PrivatePostgres(tmp_path / "postgresql") as server:
        environment["DATABASE_URL"] = server.url()
        yield from _stopped(Stack(tmp_path / "console", environment))


def _stopped(stack: Stack) -> Iterator[Stack]:
    stack.directory.mkdir()
    yield stack
    stack.stop()


def test_jobs_in_flight_go_on(
    stack: Stack, host: PrivateHost, request: pytest.FixtureRequest
) -> None:
    guests = {state: _guest(host, state, stack) for state in AFTERWARDS}
    stack.redis.start()
    rows = [_row(state, guest) for state, guest in guests.items()]
    address = {"transport": "socket", "mode": "session", "socket": str(host.socket)}
    told = json.dumps({"host": {"name": host.name, **address}, "jobs": rows})
    code = f"from tests.faults.old_release import write; write({told!r})"
    stack.manage("shell", "-c", code)
    stack.prepare()
    stack.worker.start()
    stack.beat.start()
    promises = Promises(stack, [host], idle=[g.name for g in guests.values()])
    assert promises.until_kept() == []
    states = {job.domain: job.state for job in promises.rows().jobs.values()}
    assert states == {guests[state].name: end for state, end in AFTERWARDS.items()}
    for guest in guests.values():
        guest.destroy()
        host.virsh("undefine", guest.name)


def _guest(host: PrivateHost, state: str, stack: Stack) -> Guest:
    """A guest that costs nothing, with its copy begun as the old release had."""
    disk = GuestDisk(host.images / f"{state}-{stack.port}.qcow2", data=2 * MIB)
    guest = define_and_start(host, f"{state}-{stack.port}", [disk], paused=True)
    if state in NOT_BEGUN:
        return guest
    copy = ("--dest", _destination(guest), "--format", "qcow2", "--transient-job")
    slow = ("--bytes", "--bandwidth", "1", "--buf-size", "65536")
    host.virsh(
        "blockcopy", guest.name, "vda", *copy, *(slow if state == "copying" else ())
    )
    if state not in ("copying", "starting"):
        wait_until(lambda: "ready='yes'" in host.virsh("dumpxml", guest.name))
    return guest


def _destination(guest: Guest) -> str:
    return f"{guest.disks[0].path}.copy"


def _row(state: str, guest: Guest) -> dict[str, Any]:
    source, size = str(guest.disks[0].path), guest.disks[0].size
    disk = {"target": "vda", "device": "disk", "format": "qcow2", "capacity": size}
    copy = {"source": source, "source_format": "qcow2", "capacity": size}
    to = {"destination": _destination(guest), "destination_format": "qcow2"}
    return {
        "state": "starting" if state == "unheard" else state,
        "began": state not in (*NOT_BEGUN, "starting"),
        "domain": {
            "uuid": guest.uuid,
            "name": guest.name,
            "libvirt_id": guest.domain_id,
        },
        "disk": {**disk, "source": source, "source_kind": "file"},
        "job": {**copy, **to, "bandwidth": int(state == "copying")},
    }
