"""The fake host keeps the contract, and has the accidents that real ones have."""

from __future__ import annotations

import pytest

from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    DomainNotFound,
    HostBusy,
    HostUnreachable,
    Hypervisor,
    Identity,
    IdentityMismatch,
    PivotFailed,
    StillEnding,
)
from tests.fakes import FakeCopy, FakeHypervisor
from tests.hypervisor_contract import HypervisorContract, start, start_and_wait
from tests.storage_contract import MIB, StorageContract


class FakeRig:
    def __init__(self) -> None:
        self.fake = FakeHypervisor()
        self.fake.add_pool("images", "/images")
        self.hypervisor: Hypervisor = self.fake
        self.uuid = self.fake.add_domain("web")
        self.disk = "vda"

    def destination(self, name: str) -> Destination:
        return Destination("file", f"/images/web-{name}.qcow2", "qcow2")

    pool = "images"

    def path(self, name: str) -> str:
        return f"/images/{name}.img"

    def put_image(
        self,
        path: str,
        *,
        format_: str = "qcow2",
        capacity: int = 64 * MIB,
        backing: str = "",
    ) -> None:
        self.fake.put_image(
            path,
            format=format_,
            capacity=capacity,
            backing=backing,
            backing_format="qcow2" if backing else "",
        )

    def put_folder(self, path: str) -> None:
        self.fake.put_image(path, kind="dir", format="dir")

    def add_domain_that_is_off(self, path: str) -> str:
        uuid = self.fake.add_domain("resting", running=False)
        disk = self.fake.domains[uuid].disks["vda"]
        disk.source = disk.persistent_source = path
        if backing := self.fake.images[path].backing:
            disk.chain = (ChainLink(backing, "file", "qcow2"),)
        return uuid

    def wait_until_ready(self) -> None:
        self.fake.make_ready(self.uuid, self.disk)

    def power_off(self) -> None:
        self.fake.stop(self.uuid)


@pytest.fixture
def rig() -> FakeRig:
    return FakeRig()


class TestContract(HypervisorContract):
    """The same tests run on real hosts in tests/integration."""


class TestStorageContract(StorageContract):
    """These too."""


def test_progress_alone_is_not_readiness(rig: FakeRig) -> None:
    start(rig, CopyOptions())
    rig.fake.advance(rig.uuid, rig.disk, current=64 * 2**20)
    disk = rig.fake.observe(rig.uuid, [rig.disk]).disks[rig.disk]
    assert disk.progress is not None
    assert disk.progress.current == disk.progress.end
    assert disk.mirror is not None
    assert not disk.mirror.is_ready


def test_restart_gives_another_id_and_loses_the_copy(rig: FakeRig) -> None:
    identity = start_and_wait(rig)
    assert rig.fake.restart(rig.uuid) != identity.domain_id
    with pytest.raises(IdentityMismatch):
        rig.fake.pivot(identity)


def test_transient_domain_is_gone_when_it_stops() -> None:
    fake = FakeHypervisor()
    uuid = fake.add_domain("cache", persistent=False)
    assert fake.observe(uuid).disks["vda"].persistent_source is None
    fake.stop(uuid)
    with pytest.raises(DomainNotFound):
        fake.observe(uuid)


def test_definition_that_does_not_follow_and_its_repair(rig: FakeRig) -> None:
    rig.fake.domains[rig.uuid].follows = False
    identity = start_and_wait(rig)
    source = rig.fake.observe(rig.uuid).disks[rig.disk].source
    rig.fake.pivot(identity)
    assert rig.fake.observe(rig.uuid).disks[rig.disk].persistent_source == source
    assert not rig.fake.repair_persistent(identity, "/images/another.qcow2")
    assert rig.fake.repair_persistent(identity, source)
    disk = rig.fake.observe(rig.uuid).disks[rig.disk]
    assert disk.source == disk.persistent_source == identity.destination


def test_boot_after_an_unrepaired_pivot_uses_the_old_file(rig: FakeRig) -> None:
    rig.fake.domains[rig.uuid].follows = False
    source = rig.fake.observe(rig.uuid).disks[rig.disk].source
    rig.fake.pivot(start_and_wait(rig))
    rig.fake.restart(rig.uuid)
    assert rig.fake.observe(rig.uuid).disks[rig.disk].source == source


def test_a_strangers_copy(rig: FakeRig) -> None:
    rig.fake.put_copy(rig.uuid, rig.disk, FakeCopy("/images/theirs.qcow2", ready="yes"))
    ours = Identity(rig.uuid, 1, rig.disk, "/images/ours.qcow2")
    with pytest.raises(IdentityMismatch):
        rig.fake.end(ours)


def test_the_moment_in_which_a_mirror_names_nothing(rig: FakeRig) -> None:
    identity = start_and_wait(rig)
    rig.fake.put_copy(rig.uuid, rig.disk, FakeCopy(identity.destination, job=""))
    mirror = rig.fake.observe(rig.uuid).disks[rig.disk].mirror
    assert mirror is not None
    assert (mirror.job, mirror.destination) == ("", "")
    with pytest.raises(StillEnding):
        rig.fake.pivot(identity)


def test_unreachable_host(rig: FakeRig) -> None:
    rig.fake.unreachable = True
    with pytest.raises(HostUnreachable), rig.fake.connection():
        pytest.fail("It must not open.")
    rig.fake.unreachable = False
    with rig.fake.connection() as hypervisor:
        assert hypervisor.facts().hostname == "alder"


def test_stuck_guest_shows_its_mirror_without_progress(rig: FakeRig) -> None:
    identity = start(rig)
    rig.fake.stuck.add(rig.uuid)
    seen = rig.fake.observe(rig.uuid, [rig.disk])
    assert seen.stuck
    assert seen.disks[rig.disk].mirror is not None
    assert seen.disks[rig.disk].progress is None
    with pytest.raises(HostBusy):
        rig.fake.end(identity)


def test_refusal_happens_once_and_changes_nothing(rig: FakeRig) -> None:
    identity = start_and_wait(rig)
    rig.fake.refuse("pivot", PivotFailed("Input/output error", code=9))
    with pytest.raises(PivotFailed):
        rig.fake.pivot(identity)
    rig.fake.pivot(identity)


def test_lost_answer_of_a_call_that_worked(rig: FakeRig) -> None:
    identity = start_and_wait(rig)
    rig.fake.lose_answer("pivot")
    with pytest.raises(HostUnreachable):
        rig.fake.pivot(identity)
    assert rig.fake.observe(rig.uuid).disks[rig.disk].source == identity.destination
    assert rig.fake.calls.count("pivot") == 1
