"""Real hosts keep the contract that the fake one keeps."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from jobs.hypervisor import Destination, Hypervisor, Identity
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from tests.hypervisor_contract import HypervisorContract
from tests.integration.conftest import remove
from tests.integration.hypervisor.conftest import until
from tests.storage_contract import StorageContract

pytestmark = pytest.mark.integration

numbers = count()


class RealRig:
    """One guest for all tests, put right after each; its processor does not run."""

    disk = "vda"

    def __init__(self, hypervisor: Hypervisor, guest: Guest, uuid: str) -> None:
        self.hypervisor = hypervisor
        self.guest = guest
        self.uuid = uuid
        self._number = next(numbers)
        self._resting: Guest | None = None

    def destination(self, name: str) -> Destination:
        file = f"{self.guest.name}-{name}-{self._number}.qcow2"
        return Destination("file", str(self.guest.host.images / file), "qcow2")

    pool = "images"

    def path(self, name: str) -> str:
        file = f"stored-{name}-{self._number}.img"
        return str(self.guest.host.images / file)

    def put_image(
        self,
        path: str,
        *,
        format_: str = "qcow2",
        capacity: int = 64 * MIB,
        backing: str = "",
    ) -> None:
        below = ["-b", backing, "-F", "qcow2"] if backing else []
        command = ["qemu-img", "create", "-q", "-f", format_, *below, path]
        subprocess.run([*command, str(capacity)], check=True)

    def put_folder(self, path: str) -> None:
        Path(path).mkdir()

    def add_domain_that_is_off(self, path: str) -> str:
        name = f"resting-{self._number}"
        disk = GuestDisk(Path(path))
        self._resting = define_and_start(self.guest.host, name, [disk], start=False)
        return self._resting.uuid

    def wait_until_ready(self) -> None:
        until(self._ready)

    def power_off(self) -> None:
        self.guest.destroy()

    def put_right(self) -> None:
        if self._resting is not None:
            remove(self._resting)
        seen = self.hypervisor.observe(self.uuid)
        mirror = seen.disks[self.disk].mirror
        if seen.domain_id is None:
            self.guest.start(paused=True)
        elif mirror is not None:
            self.hypervisor.end(
                Identity(self.uuid, seen.domain_id, self.disk, mirror.destination)
            )
            until(lambda: not self._mirrors())

    def _ready(self) -> bool:
        mirror = self.hypervisor.observe(self.uuid).disks[self.disk].mirror
        return mirror is not None and mirror.is_ready

    def _mirrors(self) -> bool:
        return self.hypervisor.observe(self.uuid).disks[self.disk].mirror is not None


@pytest.fixture(scope="module")
def guest(alder: PrivateHost) -> Iterator[Guest]:
    guest = define_and_start(alder, "contract", paused=True)
    yield guest
    remove(guest)


@pytest.fixture(scope="module")
def uuid(guest: Guest) -> str:
    return guest.uuid


@pytest.fixture
def rig(hypervisor: Hypervisor, guest: Guest, uuid: str) -> Iterator[RealRig]:
    rig = RealRig(hypervisor, guest, uuid)
    yield rig
    rig.put_right()


class TestContract(HypervisorContract):
    """See tests/hypervisor_contract.py."""


class TestStorageContract(StorageContract):
    """See tests/storage_contract.py."""
