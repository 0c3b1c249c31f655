"""What any Hypervisor does, real or fake: one set of tests for both.

A subclass has a `rig` fixture, which is a host with one running, persistent domain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest

from jobs.hypervisor import (
    AgentUnavailable,
    CopyOptions,
    Destination,
    DestinationError,
    DestinationExists,
    DestinationUnusable,
    DiskNotFound,
    DomainNotFound,
    DomainNotRunning,
    DomainObservation,
    Hypervisor,
    Identity,
    IdentityMismatch,
    InvalidOption,
    JobActive,
    NoJob,
    NotReady,
)

SLOW = CopyOptions(bandwidth=1024 * 1024)
NOWHERE = "6b6e6f77-6e2d-4e6f-8768-657265000000"


class Rig(Protocol):
    """A host and what a test needs of it besides the protocol."""

    hypervisor: Hypervisor
    uuid: str
    disk: str

    def destination(self, name: str) -> Destination:
        """A file that does not exist yet."""

    def wait_until_ready(self) -> None: ...

    def power_off(self) -> None: ...


def start(rig: Rig, options: CopyOptions = SLOW, name: str = "copy") -> Identity:
    destination = rig.destination(name)
    started = rig.hypervisor.start(rig.uuid, rig.disk, destination, options)
    return Identity(rig.uuid, started.domain_id, rig.disk, destination.location)


def start_and_wait(rig: Rig) -> Identity:
    identity = start(rig, CopyOptions())
    rig.wait_until_ready()
    return identity


class HypervisorContract:
    def test_a_guest_without_an_agent(self, rig: Rig) -> None:
        for verb in (rig.hypervisor.freeze, rig.hypervisor.thaw):
            with pytest.raises(AgentUnavailable):
                verb(rig.uuid)

    def test_a_guest_that_is_off_has_nothing_to_freeze(self, rig: Rig) -> None:
        rig.power_off()
        for verb in (rig.hypervisor.freeze, rig.hypervisor.thaw):
            with pytest.raises(DomainNotRunning):
                verb(rig.uuid)

    def test_the_inventory_and_a_close_look_tell_one_allocation(self, rig: Rig) -> None:
        domains = rig.hypervisor.inventory().domains
        (domain,) = [domain for domain in domains if domain.uuid == rig.uuid]
        (disk,) = [disk for disk in domain.disks if disk.target == rig.disk]
        close = rig.hypervisor.examine(rig.uuid, rig.disk, rig.destination("copy"))
        assert close.source is not None
        assert close.source.allocation is not None
        assert disk.allocation == pytest.approx(close.source.allocation, abs=16 * 1024)

    def test_what_starting_says(self, rig: Rig) -> None:
        before = rig.hypervisor.observe(rig.uuid)
        destination = rig.destination("copy")
        started = rig.hypervisor.start(rig.uuid, rig.disk, destination, SLOW)
        assert started.domain_id == before.domain_id
        assert started.transient_job
        assert destination.path in started.xml

    def test_a_copy_under_way(self, rig: Rig) -> None:
        identity = start(rig)
        disk = rig.hypervisor.observe(rig.uuid, [rig.disk]).disks[rig.disk]
        assert disk.mirror is not None
        assert (disk.mirror.job, disk.mirror.ready) == ("copy", "")
        assert disk.mirror.destination == identity.destination
        assert disk.source == disk.persistent_source != identity.destination
        assert disk.progress is not None
        assert disk.progress.bandwidth == SLOW.bandwidth

    def test_progress_only_where_it_is_asked_for(self, rig: Rig) -> None:
        start(rig)
        assert rig.hypervisor.observe(rig.uuid).disks[rig.disk].progress is None
        assert rig.disk in rig.hypervisor.observe(rig.uuid, ["vdz"]).disks

    def test_no_progress_without_a_job(self, rig: Rig) -> None:
        disk = rig.hypervisor.observe(rig.uuid, [rig.disk]).disks[rig.disk]
        assert (disk.mirror, disk.progress) == (None, None)

    def test_many_at_once_say_what_one_says(self, rig: Rig) -> None:
        identity = start(rig)
        seen = rig.hypervisor.observe_many([rig.uuid, NOWHERE])
        assert list(seen) == [rig.uuid]
        domain = seen[rig.uuid]
        assert isinstance(domain, DomainObservation)
        assert domain.domain_id == identity.domain_id
        mirror = domain.disks[rig.disk].mirror
        assert mirror is not None
        assert mirror.destination == identity.destination
        told = rig.hypervisor.progress_many({rig.uuid: [rig.disk], NOWHERE: ["vda"]}, 5)
        assert list(told) == [rig.uuid]
        progress = told[rig.uuid][rig.disk]
        assert progress is not None
        assert progress.bandwidth == SLOW.bandwidth

    def test_what_guests_write(self, rig: Rig) -> None:
        start(rig)
        told = rig.hypervisor.writes_many([rig.uuid, NOWHERE], 5)
        assert list(told) == [rig.uuid]
        assert told[rig.uuid][rig.disk] >= 0
        assert rig.hypervisor.writes_many([NOWHERE], 5) == {}
        rig.power_off()
        assert not rig.hypervisor.writes_many([rig.uuid], 5).get(rig.uuid)

    def test_many_at_once_see_both_definitions_after_a_pivot(self, rig: Rig) -> None:
        identity = start_and_wait(rig)
        assert rig.hypervisor.observe_many([rig.uuid])
        rig.hypervisor.pivot(identity)
        seen = rig.hypervisor.observe_many([rig.uuid])[rig.uuid]
        assert isinstance(seen, DomainObservation)
        disk = seen.disks[rig.disk]
        assert disk.source == disk.persistent_source == identity.destination
        assert (disk.mirror, seen) == (None, rig.hypervisor.observe(rig.uuid))

    def test_pivot(self, rig: Rig) -> None:
        identity = start_and_wait(rig)
        ready = rig.hypervisor.observe(rig.uuid).disks[rig.disk].mirror
        assert ready is not None
        assert ready.is_ready
        rig.hypervisor.pivot(identity)
        disk = rig.hypervisor.observe(rig.uuid).disks[rig.disk]
        assert disk.source == disk.persistent_source == identity.destination
        assert disk.mirror is None

    def test_end_in_mirroring(self, rig: Rig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        rig.hypervisor.end(start_and_wait(rig))
        assert self._settled(rig) == source

    def test_end_while_copying(self, rig: Rig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        rig.hypervisor.end(start(rig))
        assert self._settled(rig) == source

    def _settled(self, rig: Rig) -> str:
        """The source, once the mirror has gone; ending is not waited for."""
        for _ in range(1000):
            disk = rig.hypervisor.observe(rig.uuid).disks[rig.disk]
            if disk.mirror is None:
                return disk.source
        pytest.fail("The mirror does not go away.")

    def test_pivot_before_ready_harms_nothing(self, rig: Rig) -> None:
        identity = start(rig)
        with pytest.raises(NotReady) as refused:
            rig.hypervisor.pivot(identity)
        assert refused.value.retryable
        assert rig.hypervisor.observe(rig.uuid).disks[rig.disk].mirror is not None

    @pytest.mark.parametrize("limit", [1234, 2**20 + 1, 0])
    def test_speed_is_read_back_in_bytes(self, rig: Rig, limit: int) -> None:
        identity = start(rig)
        assert rig.hypervisor.set_speed(identity, limit) == limit
        disk = rig.hypervisor.observe(rig.uuid, [rig.disk]).disks[rig.disk]
        assert disk.progress is not None
        assert disk.progress.bandwidth == limit

    @pytest.mark.parametrize("limit", [-1, 2**63])
    def test_absurd_speed(self, rig: Rig, limit: int) -> None:
        identity = start(rig)
        with pytest.raises(InvalidOption):
            rig.hypervisor.set_speed(identity, limit)

    def test_second_copy_of_a_disk(self, rig: Rig) -> None:
        start(rig)
        with pytest.raises(JobActive):
            start(rig, name="second")

    @pytest.mark.parametrize("wrong", [{"domain_id": 4711}, {"destination": "/other"}])
    @pytest.mark.parametrize("verb", ["pivot", "end", "set_speed"])
    def test_another_copy_is_never_touched(
        self, rig: Rig, verb: str, wrong: dict[str, object]
    ) -> None:
        identity = replace(start_and_wait(rig), **wrong)  # type: ignore[arg-type]
        arguments = (0,) if verb == "set_speed" else ()
        with pytest.raises(IdentityMismatch):
            getattr(rig.hypervisor, verb)(identity, *arguments)
        mirror = rig.hypervisor.observe(rig.uuid).disks[rig.disk].mirror
        assert mirror is not None
        assert mirror.is_ready

    @pytest.mark.parametrize("verb", ["pivot", "end"])
    def test_nothing_to_end(self, rig: Rig, verb: str) -> None:
        number = rig.hypervisor.observe(rig.uuid).domain_id
        assert number is not None
        identity = Identity(rig.uuid, number, rig.disk, "/images/x")
        with pytest.raises(NoJob):
            getattr(rig.hypervisor, verb)(identity)

    def test_pivoting_twice(self, rig: Rig) -> None:
        identity = start_and_wait(rig)
        rig.hypervisor.pivot(identity)
        with pytest.raises(NoJob):
            rig.hypervisor.pivot(identity)

    def test_unknown_disk(self, rig: Rig) -> None:
        with pytest.raises(DiskNotFound):
            rig.hypervisor.start(rig.uuid, "vdz", rig.destination("copy"), SLOW)

    def test_a_disk_is_its_target_not_its_path(self, rig: Rig) -> None:
        path = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        with pytest.raises(DiskNotFound):
            rig.hypervisor.start(rig.uuid, path, rig.destination("copy"), SLOW)

    def test_unknown_domain(self, rig: Rig) -> None:
        with pytest.raises(DomainNotFound):
            rig.hypervisor.observe(NOWHERE)
        with pytest.raises(DomainNotFound):
            rig.hypervisor.start(NOWHERE, rig.disk, rig.destination("copy"), SLOW)

    def test_domain_that_is_off(self, rig: Rig) -> None:
        identity = start(rig)
        rig.power_off()
        seen = rig.hypervisor.observe(rig.uuid, [rig.disk])
        assert (seen.domain_id, seen.state) == (None, "shutoff")
        assert seen.disks[rig.disk].mirror is None
        assert seen.disks[rig.disk].source == seen.disks[rig.disk].persistent_source
        with pytest.raises(DomainNotRunning):
            start(rig, name="second")
        with pytest.raises(DomainNotRunning):
            rig.hypervisor.pivot(identity)

    def test_destination_that_exists(self, rig: Rig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        taken = Destination("file", source, "qcow2")
        with pytest.raises(DestinationExists):
            rig.hypervisor.start(rig.uuid, rig.disk, taken, SLOW)

    def test_reused_file_that_is_missing(self, rig: Rig) -> None:
        with pytest.raises(DestinationUnusable):
            start(rig, CopyOptions(reuse_external=True))

    def test_relative_destination(self, rig: Rig) -> None:
        with pytest.raises(DestinationError) as wrong:
            rig.hypervisor.start(
                rig.uuid, rig.disk, Destination("file", "copy.qcow2", "qcow2"), SLOW
            )
        assert wrong.value.field == "path"

    @pytest.mark.parametrize("granularity", [3, 256, 2**27, -1, 2**32])
    def test_bad_granularity(self, rig: Rig, granularity: int) -> None:
        with pytest.raises(InvalidOption):
            start(rig, CopyOptions(granularity=granularity))
        assert rig.hypervisor.observe(rig.uuid).disks[rig.disk].mirror is None

    def test_nothing_to_repair_after_an_ordinary_pivot(self, rig: Rig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        identity = start_and_wait(rig)
        rig.hypervisor.pivot(identity)
        assert not rig.hypervisor.repair_persistent(identity, source)

    def test_no_repair_before_the_pivot(self, rig: Rig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        identity = start_and_wait(rig)
        with pytest.raises(IdentityMismatch):
            rig.hypervisor.repair_persistent(identity, source)

    def test_inventory_shows_the_copy(self, rig: Rig) -> None:
        identity = start_and_wait(rig)
        found = rig.hypervisor.inventory()
        (domain,) = [one for one in found.domains if one.uuid == rig.uuid]
        (disk,) = [one for one in domain.disks if one.target == rig.disk]
        assert domain.domain_id == identity.domain_id
        assert disk.mirror is not None
        assert disk.mirror.destination == identity.destination
        assert disk.capacity == 64 * 1024 * 1024
