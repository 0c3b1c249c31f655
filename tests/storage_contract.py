"""What any Hypervisor tells of its storage, and does to it, real or fake.

A subclass has a `rig` fixture as HypervisorContract has, with a pool of files.
"""

from __future__ import annotations

import posixpath
from typing import Protocol

import pytest

from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    DestinationExists,
    DestinationUnusable,
    Secret,
)
from tests.hypervisor_contract import NOWHERE, Rig, start

MIB = 1024 * 1024


class StorageRig(Rig, Protocol):
    """A host with an active directory pool in which images can be made."""

    pool: str

    def path(self, name: str) -> str:
        """The path of a new name in the pool's directory; nothing is there yet."""

    def put_image(
        self,
        path: str,
        *,
        format_: str = "qcow2",
        capacity: int = 64 * MIB,
        backing: str = "",
    ) -> None:
        """An image that nobody uses yet; a backing file is qcow2."""

    def put_folder(self, path: str) -> None:
        """An empty directory."""

    def add_domain_that_is_off(self, path: str) -> str:
        """A domain with this qcow2 image as vda, which is shut off; its UUID."""


def volume(rig: StorageRig, name: str = "made", **fields: object) -> Destination:
    unique = posixpath.basename(rig.path(name))
    described = {"pool": rig.pool, "volume": unique, **fields}
    return Destination("volume", **described)  # type: ignore[arg-type]


def reused(path: str) -> Destination:
    return Destination("file", path, "qcow2")


class StorageContract:
    def test_a_new_file(self, rig: StorageRig) -> None:
        path = rig.path("new")
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, reused(path))
        assert seen.destination.exists is False
        assert seen.destination.location == path
        assert seen.directory is not None
        assert (seen.directory.exists, seen.directory.pool) == (True, rig.pool)
        assert seen.directory.path == posixpath.dirname(path)
        assert 0 < (seen.directory.available or 0) <= (seen.directory.capacity or 0)
        assert seen.directory.writable
        assert seen.pool is not None
        assert (seen.pool.name, seen.pool.active) == (rig.pool, True)
        assert (seen.uses, seen.unknown, seen.uses_unknown) == ((), (), ())

    def test_the_disk_itself(self, rig: StorageRig) -> None:
        destination = reused(rig.path("new"))
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, destination)
        assert seen.domain is not None
        assert seen.domain.domain_id is not None
        (disk,) = [one for one in seen.domain.disks if one.target == rig.disk]
        assert seen.source is not None
        assert (seen.source.location, seen.source.exists) == (disk.source, True)
        assert (seen.source.format, seen.source.capacity) == ("qcow2", 64 * MIB)
        assert seen.source.fingerprint
        assert (seen.snapshots, seen.checkpoints) == ((), 0)
        assert (seen.backup, seen.agent) == (False, False)
        assert seen.host == rig.hypervisor.facts()

    def test_a_file_that_is_there(self, rig: StorageRig) -> None:
        base, path = rig.path("base"), rig.path("there")
        rig.put_image(base, capacity=48 * MIB)
        rig.put_image(path, capacity=48 * MIB, backing=base)
        found = rig.hypervisor.examine(rig.uuid, rig.disk, reused(path)).destination
        assert (found.exists, found.kind) == (True, "file")
        assert (found.format, found.capacity) == ("qcow2", 48 * MIB)
        assert (found.backing, found.backing_format) == (base, "qcow2")
        assert not found.encrypted
        assert rig.hypervisor.image(path) == found

    def test_formats_are_told_apart(self, rig: StorageRig) -> None:
        path = rig.path("bare")
        rig.put_image(path, format_="raw", capacity=5 * MIB)
        found = rig.hypervisor.image(path)
        assert (found.format, found.capacity, found.backing) == ("raw", 5 * MIB, "")

    def test_nothing_there(self, rig: StorageRig) -> None:
        assert rig.hypervisor.image(rig.path("nothing")).exists is False

    def test_a_domain_that_is_not_there(self, rig: StorageRig) -> None:
        seen = rig.hypervisor.examine(NOWHERE, "vda", reused(rig.path("new")))
        assert (seen.domain, seen.source, seen.chain) == (None, None, ())

    def test_a_disk_that_is_not_there(self, rig: StorageRig) -> None:
        seen = rig.hypervisor.examine(rig.uuid, "vdz", reused(rig.path("new")))
        assert seen.domain is not None
        assert seen.source is None

    def test_the_source_of_a_running_domain_is_in_use(self, rig: StorageRig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, reused(source))
        (use,) = seen.uses
        assert (use.domain_uuid, use.target, use.how) == (rig.uuid, rig.disk, "source")
        assert (use.location, use.running) == (source, True)
        assert use.fingerprint == seen.destination.fingerprint != ""

    def test_the_disk_of_a_domain_that_is_off_is_in_use(self, rig: StorageRig) -> None:
        path = rig.path("off")
        rig.put_image(path)
        uuid = rig.add_domain_that_is_off(path)
        (use,) = rig.hypervisor.examine(rig.uuid, rig.disk, reused(path)).uses
        assert (use.domain_uuid, use.how, use.running) == (uuid, "source", False)

    def test_the_chain_of_a_domain_that_is_off(self, rig: StorageRig) -> None:
        base, path = rig.path("base"), rig.path("off")
        rig.put_image(base)
        rig.put_image(path, backing=base)
        uuid = rig.add_domain_that_is_off(path)
        (use,) = rig.hypervisor.examine(rig.uuid, rig.disk, reused(base)).uses
        assert (use.domain_uuid, use.how, use.location) == (uuid, "backing file", base)
        domains = rig.hypervisor.inventory().domains
        (off,) = [domain for domain in domains if domain.uuid == uuid]
        assert off.disks[0].chain == (ChainLink(base, "file", "qcow2"),)
        assert off.disks[0].chain_known

    def test_the_destination_of_a_copy_is_in_use(self, rig: StorageRig) -> None:
        identity = start(rig, CopyOptions(bandwidth=MIB))
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, reused(identity.destination))
        assert [use.how for use in seen.uses] == ["mirror"]

    def test_a_directory_is_no_file(self, rig: StorageRig) -> None:
        path = rig.path("folder")
        rig.put_folder(path)
        found = rig.hypervisor.examine(rig.uuid, rig.disk, reused(path)).destination
        assert (found.exists, found.kind) == (True, "dir")

    def test_secrets_that_the_host_does_not_have(self, rig: StorageRig) -> None:
        destination = Destination(
            "file", rig.path("locked"), encryption=Secret(usage="no such key")
        )
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, destination)
        assert seen.missing_secrets == ("no such key",)

    def test_a_network_destination_is_not_known(self, rig: StorageRig) -> None:
        destination = Destination("network", protocol="gluster", name="vol/copy")
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, destination)
        assert (seen.destination.exists, seen.destination.kind) == (None, "network")
        assert (seen.directory, seen.pool) == (None, None)
        assert seen.unknown

    def test_a_volume_that_is_to_be_made(self, rig: StorageRig) -> None:
        destination = volume(rig)
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, destination)
        assert seen.destination.exists is False
        assert seen.pool is not None
        assert seen.pool.name == rig.pool
        path = rig.hypervisor.create_volume(destination, 64 * MIB)
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, destination)
        assert (seen.destination.location, seen.destination.exists) == (path, True)

    @pytest.mark.parametrize("format_", ["raw", "qcow2"])
    @pytest.mark.parametrize("capacity", [64 * MIB, 64 * MIB + 512])
    def test_a_volume_is_exactly_as_large(
        self, rig: StorageRig, format_: str, capacity: int
    ) -> None:
        destination = volume(rig, format=format_)
        path = rig.hypervisor.create_volume(destination, capacity)
        assert posixpath.basename(path) == destination.volume
        made = rig.hypervisor.image(path)
        assert (made.exists, made.kind, made.format) == (True, "file", format_)
        assert made.capacity == capacity
        assert made.allocation is not None
        assert made.allocation < MIB

    def test_a_shallow_volume(self, rig: StorageRig) -> None:
        base = rig.path("base")
        rig.put_image(base)
        path = rig.hypervisor.create_volume(
            volume(rig), 64 * MIB, ChainLink(base, "file", "qcow2")
        )
        made = rig.hypervisor.image(path)
        assert (made.backing, made.backing_format) == (base, "qcow2")

    def test_a_name_that_is_taken(self, rig: StorageRig) -> None:
        destination = volume(rig)
        path = rig.hypervisor.create_volume(destination, 32 * MIB)
        with pytest.raises(DestinationExists):
            rig.hypervisor.create_volume(destination, 64 * MIB)
        assert rig.hypervisor.image(path).capacity == 32 * MIB

    def test_a_name_that_was_taken_behind_the_pool(self, rig: StorageRig) -> None:
        destination = volume(rig)
        path = rig.hypervisor.create_volume(destination, 32 * MIB)
        rig.hypervisor.delete_image(path, kind="volume")
        rig.put_image(path, capacity=16 * MIB)
        with pytest.raises(DestinationExists):
            rig.hypervisor.create_volume(destination, 64 * MIB)
        assert rig.hypervisor.image(path).capacity == 16 * MIB

    def test_a_pool_that_is_not_there(self, rig: StorageRig) -> None:
        with pytest.raises(DestinationUnusable) as refused:
            rig.hypervisor.create_volume(volume(rig, pool="nowhere"), 64 * MIB)
        assert refused.value.code == 49
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, volume(rig, pool="nowhere"))
        assert (seen.pool, seen.destination.exists) == (None, None)

    def test_a_volume_with_a_secret_that_is_not_there(self, rig: StorageRig) -> None:
        destination = volume(rig, encryption=Secret(uuid=NOWHERE))
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.create_volume(destination, 64 * MIB)
        seen = rig.hypervisor.examine(rig.uuid, rig.disk, destination)
        assert seen.destination.exists is False
        assert seen.missing_secrets == (NOWHERE,)

    def test_removing_what_nobody_uses(self, rig: StorageRig) -> None:
        path = rig.path("leftover")
        rig.put_image(path)
        rig.hypervisor.delete_image(path, kind="file")
        assert rig.hypervisor.image(path).exists is False
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.delete_image(path, kind="file")

    def test_no_disk_of_a_running_domain_is_removed(self, rig: StorageRig) -> None:
        source = rig.hypervisor.observe(rig.uuid).disks[rig.disk].source
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.delete_image(source, kind="file")
        assert rig.hypervisor.image(source).exists

    @pytest.mark.parametrize("name", ["base", "off"])
    def test_no_disk_of_a_domain_that_is_off_is_removed(
        self, rig: StorageRig, name: str
    ) -> None:
        paths = {"base": rig.path("base"), "off": rig.path("off")}
        rig.put_image(paths["base"])
        rig.put_image(paths["off"], backing=paths["base"])
        rig.add_domain_that_is_off(paths["off"])
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.delete_image(paths[name], kind="file")
        assert rig.hypervisor.image(paths[name]).exists

    def test_no_destination_of_a_copy_is_removed(self, rig: StorageRig) -> None:
        identity = start(rig, CopyOptions(bandwidth=MIB))
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.delete_image(identity.destination, kind="file")
        assert rig.hypervisor.image(identity.destination).exists

    def test_no_directory_is_removed(self, rig: StorageRig) -> None:
        path = rig.path("folder")
        rig.put_folder(path)
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.delete_image(path, kind="file")
        assert rig.hypervisor.image(path).exists

    def test_nothing_on_a_network_is_removed(self, rig: StorageRig) -> None:
        with pytest.raises(DestinationUnusable):
            rig.hypervisor.delete_image("nbd://box:10809/disk", kind="network")
