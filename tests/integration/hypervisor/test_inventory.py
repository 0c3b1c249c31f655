"""What the inventory says of guests of every kind, against what was made."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.hypervisor import (
    ChainLink,
    DiskFacts,
    DomainFacts,
    Hypervisor,
    Inventory,
)
from jobs.hypervisor import inventory as inventory_module
from lab.cell import LabError
from lab.guest import MIB, Guest, GuestDisk
from lab.host import PrivateHost
from lab.loop import LoopDevice
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration


def domain_of(guest: Guest, inventory: Inventory) -> DomainFacts:
    (found,) = [one for one in inventory.domains if one.name == guest.name]
    return found


def only_disk(guest: Guest, hypervisor: Hypervisor) -> DiskFacts:
    (disk,) = domain_of(guest, hypervisor.inventory()).disks
    return disk


def test_host_facts(hypervisor: Hypervisor, alder: PrivateHost) -> None:
    facts = hypervisor.facts()
    assert (facts.hostname, facts.uuid) == ("alder", alder.uuid)
    assert facts.hypervisor == "QEMU"
    assert facts.libvirt_version >= 6_000_000
    assert facts.hypervisor_version >= 4_000_000


def test_two_hosts_are_told_apart(
    hypervisor: Hypervisor, alder: PrivateHost, birch: PrivateHost
) -> None:
    assert alder.uuid != birch.uuid
    assert hypervisor.inventory().host.uuid == alder.uuid


def test_running_guest_with_a_chain(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    image = GuestDisk(
        alder.images / "chain.qcow2",
        size=48 * MIB,
        data=8 * MIB,
        backing=("raw", "qcow2"),
    )
    guest = make_guest(alder, image)
    domain = domain_of(guest, hypervisor.inventory())
    assert (domain.uuid, domain.domain_id) == (guest.uuid, guest.domain_id)
    assert (domain.state, domain.persistent) == ("running", True)
    (disk,) = domain.disks
    assert (disk.target, disk.bus, disk.device) == ("vda", "virtio", "disk")
    assert (disk.format, disk.source_kind) == ("qcow2", "file")
    assert disk.source == disk.persistent_source == str(image.path)
    assert disk.chain == (
        ChainLink(str(alder.images / "chain.base2.qcow2"), "file", "qcow2"),
        ChainLink(str(alder.images / "chain.base1.raw"), "file", "raw"),
    )
    assert [link.capacity for link in disk.chain] == [48 * MIB, 48 * MIB]
    assert disk.capacity == 48 * MIB
    assert disk.allocation is not None
    assert disk.physical is not None
    assert (disk.read_only, disk.shareable, disk.mirror) == (False, False, None)


def test_guest_that_is_off(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, start=False)
    domain = domain_of(guest, hypervisor.inventory())
    assert (domain.domain_id, domain.state) == (None, "shutoff")
    (disk,) = domain.disks
    assert disk.source == disk.persistent_source == str(guest.disks[0].path)
    assert disk.capacity == 64 * MIB


def test_what_a_disk_occupies_whatever_its_guest_has_written(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    """blockInfo tells of a disk that runs where the last write ended."""
    guest = make_guest(
        alder,
        GuestDisk(alder.images / "half-full.raw", format="raw", data=32 * MIB),
        GuestDisk(alder.images / "half-full.qcow2", data=32 * MIB),
        GuestDisk(alder.images / "half-empty.qcow2", data=4 * MIB, backing=("raw",)),
        writing=True,
        pause=0.01,
        span=4 * MIB,
    )
    guest.log.wait_for_writes(20)
    alder.virsh("suspend", guest.name)
    disks = domain_of(guest, hypervisor.inventory()).disks
    for image, disk in zip(guest.disks, disks, strict=True):
        occupied = image.path.stat().st_blocks * 512
        assert disk.allocation == pytest.approx(occupied, abs=MIB)
        assert disk.capacity == 64 * MIB
    raw, _, above = disks
    assert raw.physical == 64 * MIB
    assert [link.capacity for link in above.chain] == [64 * MIB]
    guest.destroy()
    off = domain_of(guest, hypervisor.inventory()).disks[0]
    assert (off.allocation, off.physical) == pytest.approx(
        (raw.allocation, 64 * MIB), abs=MIB
    )


def test_disks_that_occupy_nothing_or_all_of_their_size(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    """Of a file without a single block libvirt tells the length instead."""
    empty, full = alder.images / "empty.raw", alder.images / "full.raw"
    for path in (empty, full):
        path.touch()
    os.truncate(empty, 16 * MIB)
    with full.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 16 * MIB)
    guest = make_guest(
        alder,
        GuestDisk(alder.images / "boots.qcow2"),
        GuestDisk(empty, format="raw", size=16 * MIB),
        GuestDisk(full, format="raw", size=16 * MIB),
        paused=True,
    )
    _, nothing, all_of_it = domain_of(guest, hypervisor.inventory()).disks
    assert (nothing.capacity, nothing.physical) == (16 * MIB, 16 * MIB)
    assert nothing.allocation == 0
    assert all_of_it.allocation == pytest.approx(16 * MIB, abs=64 * 1024)


def test_a_device_is_occupied_as_a_whole(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, tmp_path: Path
) -> None:
    guest = make_guest(alder, paused=True)
    backing = tmp_path / "device"
    backing.touch()
    os.truncate(backing, 16 * MIB)
    with contextlib.ExitStack() as opened:
        try:
            device = opened.enter_context(LoopDevice(backing)).path
        except LabError as error:
            pytest.skip(str(error))
        alder.virsh("attach-disk", guest.name, device, "vdb", "--sourcetype", "block")
        device_disk = domain_of(guest, hypervisor.inventory()).disks[1]
        guest.destroy()
    assert (device_disk.source, device_disk.source_kind) == (device, "block")
    assert (device_disk.capacity, device_disk.allocation) == (16 * MIB, 16 * MIB)


def test_transient_guest(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, persistent=False)
    domain = domain_of(guest, hypervisor.inventory())
    assert (domain.state, domain.persistent) == ("running", False)
    assert domain.disks[0].persistent_source is None
    assert domain.disks[0].source == str(guest.disks[0].path)


def test_disks_of_all_sorts(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(
        alder,
        GuestDisk(alder.images / "sorts.raw", format="raw"),
        GuestDisk(alder.images / "sorts-ro.qcow2", read_only=True),
        GuestDisk(alder.images / "sorts-shared.raw", format="raw", shareable=True),
        GuestDisk(alder.images / "sorts-ide.qcow2", bus="ide"),
        paused=True,
    )
    domain = domain_of(guest, hypervisor.inventory())
    assert domain.state == "paused"
    assert [
        (disk.target, disk.bus, disk.format, disk.read_only, disk.shareable)
        for disk in domain.disks
    ] == [
        ("vda", "virtio", "raw", False, False),
        ("vdb", "virtio", "qcow2", True, False),
        ("vdc", "virtio", "raw", False, True),
        ("hda", "ide", "qcow2", False, False),
    ]


def test_live_and_persistent_source_can_differ(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, paused=True)
    other = str(alder.images / "edited.qcow2")
    definition = alder.virsh("dumpxml", "--inactive", guest.name)
    edited = definition.replace(str(guest.disks[0].path), other)
    alder.virsh("define", "/dev/stdin", text=edited)
    disk = only_disk(guest, hypervisor)
    assert (disk.source, disk.persistent_source) == (str(guest.disks[0].path), other)


def test_empty_drive(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, start=False)
    drive = "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>"
    alder.virsh("attach-device", guest.name, "/dev/stdin", "--config", text=drive)
    drives = {d.target: d for d in domain_of(guest, hypervisor.inventory()).disks}
    assert (drives["hdc"].device, drives["hdc"].source) == ("cdrom", "")
    assert drives["hdc"].capacity is None
    assert drives["hdc"].read_only


def test_missing_image_hides_only_its_own_size(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(
        alder,
        GuestDisk(alder.images / "has-its-image.qcow2"),
        GuestDisk(alder.images / "lost-its-image.qcow2"),
        start=False,
    )
    guest.disks[1].path.unlink()
    there, lost = domain_of(guest, hypervisor.inventory()).disks
    if there.capacity is None:  # the machine was too busy to answer in time
        there, lost = domain_of(guest, hypervisor.inventory()).disks
    assert there.capacity == 64 * MIB
    assert (lost.capacity, lost.source) == (None, str(guest.disks[1].path))


def test_hostile_path(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    path = alder.images / "it's <b>&amp;\" ü.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    guest = make_guest(alder, GuestDisk(path), start=False)
    assert only_disk(guest, hypervisor).source == str(path)


def test_pools(hypervisor: Hypervisor, alder: PrivateHost) -> None:
    (pool,) = [p for p in hypervisor.inventory().pools if p.name == "images"]
    assert (pool.kind, pool.active, pool.path) == ("dir", True, str(alder.images))
    assert 0 < pool.available <= pool.capacity
    assert pool.allocation > 0


def test_pool_that_is_not_started(hypervisor: Hypervisor, alder: PrivateHost) -> None:
    alder.virsh("pool-define-as", "spare", "dir", "--target", alder.images / "spare")
    try:
        (pool,) = [p for p in hypervisor.inventory().pools if p.name == "spare"]
        assert not pool.active
    finally:
        alder.virsh("pool-undefine", "spare")


def test_free_space_is_of_now(hypervisor: Hypervisor, alder: PrivateHost) -> None:
    """libvirt itself would go on telling what it saw when the pool was started."""
    (before,) = [p for p in hypervisor.inventory().pools if p.name == "images"]
    filling = alder.images / "filling"
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 256 * MIB)
    try:
        (after,) = [p for p in hypervisor.inventory().pools if p.name == "images"]
    finally:
        filling.unlink()
    assert before.available - after.available > 128 * MIB


def test_one_frozen_guest_does_not_hide_the_others(
    hypervisor: Hypervisor,
    alder: PrivateHost,
    make_guest: MakeGuest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.hypervisor.inventory.QEMU_SECONDS", 0.5)
    frozen, healthy = make_guest(alder), make_guest(alder)
    alder.kill_guest(frozen.name, signal.SIGSTOP)
    try:
        found = hypervisor.inventory()
        assert domain_of(healthy, found).disks[0].capacity == 64 * MIB
        stuck = domain_of(frozen, found)
        assert stuck.disks[0].source == str(frozen.disks[0].path)
        assert stuck.disks[0].capacity is None
        assert found.unread == ()
    finally:
        alder.kill_guest(frozen.name, signal.SIGCONT)
    until(lambda: only_disk(frozen, hypervisor).capacity == 64 * MIB)


def test_guest_that_vanishes_while_the_host_is_read(
    hypervisor: Hypervisor,
    alder: PrivateHost,
    make_guest: MakeGuest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    going, staying = make_guest(alder, persistent=False), make_guest(alder)
    listed = f"{inventory_module.__name__}._domain_uuids"
    ask = inventory_module._domain_uuids
    uuid = going.uuid

    def list_then_destroy(*arguments: Any) -> list[str]:
        uuids = ask(*arguments)
        going.destroy()
        return uuids

    monkeypatch.setattr(listed, list_then_destroy)
    found = hypervisor.inventory()
    assert uuid not in [domain.uuid for domain in found.domains]
    assert domain_of(staying, found).state == "running"
    assert found.unread == ()
