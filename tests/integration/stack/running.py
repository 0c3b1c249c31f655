"""A console on each database over a private host, asked on its command line."""

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
    return until(lambda: show(stack, job), lambda seen: seen["state"] == state, timeout)


def until(look: Callable[[], Any], good: Callable[[Any], bool], timeout: float) -> Any:
    end = time.monotonic() + timeout
    while True:
        seen = look()
        if good(seen):
            return seen
        assert time.monotonic() < end, seen
        time.sleep(0.2)
