"""Connections to the private hosts, and waiting for what hosts do by themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from jobs.hypervisor import BlockJobEvent, Event, Hypervisor, Subscription, connection
from lab.guest import MIB, GuestDisk
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest, address_of, policy_for
from tests.integration.hypervisor.copying import SIZE, Copying, MakeImage


@pytest.fixture
def hypervisor(alder: PrivateHost) -> Iterator[Hypervisor]:
    with connection(address_of(alder), policy_for(alder)) as opened:
        yield opened


class Heard:
    """The events of a host, as a subscription hands them over."""

    def __init__(self, host: PrivateHost) -> None:
        self.queue: SimpleQueue[Event] = SimpleQueue()
        self.subscription = Subscription(
            address_of(host), policy_for(host), self.queue.put
        )

    def next(self, wanted: Callable[[Event], bool], seconds: float = 15) -> Event:
        """The first event that is wanted; those before it are dropped."""
        end = time.monotonic() + seconds
        seen: list[Event] = []
        while True:
            try:
                event = self.queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                pytest.fail(f"The event did not come in {seconds} s; only {seen} did.")
            if wanted(event):
                return event
            seen.append(event)

    def block_job(self, domain_uuid: str, status: str) -> BlockJobEvent:
        event = self.next(
            lambda heard: (
                isinstance(heard, BlockJobEvent)
                and (heard.domain_uuid, heard.status) == (domain_uuid, status)
            )
        )
        assert isinstance(event, BlockJobEvent)
        return event


@pytest.fixture
def heard(alder: PrivateHost) -> Iterator[Heard]:
    heard = Heard(alder)
    yield heard
    heard.subscription.close()


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for what a host does in its own time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"It did not happen in {seconds} s.")
        time.sleep(0.01)


@pytest.fixture
def copying(
    alder: PrivateHost, hypervisor: Hypervisor, make_guest: MakeGuest, heard: Heard
) -> Copying:
    image = GuestDisk(alder.images / "web-source.qcow2", data=8 * MIB)
    return Copying(make_guest(alder, image, paused=True), hypervisor, heard)


@pytest.fixture
def place(tmp_path: Path) -> MakeImage:
    """An image of the disk's size to serve or to reuse."""

    def place(name: str, size: int = SIZE) -> Path:
        subprocess.run(["truncate", "-s", str(size), tmp_path / name], check=True)
        return tmp_path / name

    return place
