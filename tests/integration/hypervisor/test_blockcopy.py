"""Copies of real disks: what the contract cannot say because only QEMU does it."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    Hypervisor,
    Identity,
)
from lab.guest import MIB, Guest, GuestDisk
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import Heard, until

pytestmark = pytest.mark.integration

FAST = CopyOptions()
REUSE = CopyOptions(reuse_external=True)


def copy_of(guest: Guest, suffix: str = "copy.qcow2") -> Destination:
    path = guest.host.images / f"{guest.name}-{suffix}"
    return Destination("file", str(path), "raw" if path.suffix == ".raw" else "qcow2")


def start(
    hypervisor: Hypervisor,
    guest: Guest,
    to: Destination,
    options: CopyOptions = FAST,
    disk: str = "vda",
) -> Identity:
    uuid = guest.uuid
    started = hypervisor.start(uuid, disk, to, options)
    return Identity(uuid, started.domain_id, disk, to.location)


def is_ready(hypervisor: Hypervisor, identity: Identity) -> bool:
    mirror = hypervisor.observe(identity.domain_uuid).disks[identity.disk].mirror
    return mirror is not None and mirror.is_ready


def identical(one: Path | str, other: Path | str) -> bool:
    done = subprocess.run(["qemu-img", "compare", "-U", one, other], check=False)
    return done.returncode == 0


def backing_file(image: str) -> str:
    told = subprocess.run(
        ["qemu-img", "info", "-U", image], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in told.splitlines() if line.startswith("backing file:")]
    return lines[0].split()[2] if lines else ""


def test_start_ready_event_pivot_of_a_writing_guest(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder, writing=True, pause=0.001)
    guest.log.wait_for_writes()
    identity = start(hypervisor, guest, copy_of(guest))
    ready = heard.block_job(identity.domain_uuid, "ready")
    assert (ready.disk, ready.domain_name) == ("vda", guest.name)
    hypervisor.pivot(identity)
    heard.block_job(identity.domain_uuid, "completed")
    assert identity.destination in alder.virsh("dumpxml", guest.name)
    assert identity.destination in alder.virsh("dumpxml", "--inactive", guest.name)
    guest.log.wait_for_writes(2)
    assert (guest.log.errors, guest.log.mismatches) == (0, 0)


def test_finished_copy_is_identical(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder, GuestDisk(alder.images / "full.qcow2", data=16 * MIB))
    identity = start(hypervisor, guest, copy_of(guest, "copy.raw"))
    heard.block_job(identity.domain_uuid, "ready")
    hypervisor.end(identity)
    heard.block_job(identity.domain_uuid, "canceled")
    assert identical(guest.disks[0].path, identity.destination)
    assert guest.source() == str(guest.disks[0].path)
    Path(identity.destination).unlink()


def test_cancelled_copy_leaves_its_file(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder, GuestDisk(alder.images / "part.qcow2", data=48 * MIB))
    slow = CopyOptions(bandwidth=MIB, buf_size=MIB)
    identity = start(hypervisor, guest, copy_of(guest), slow)
    hypervisor.end(identity)
    heard.block_job(identity.domain_uuid, "canceled")
    assert Path(identity.destination).exists()
    assert not identical(guest.disks[0].path, identity.destination)


def test_transient_domain_needs_no_transient_job(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, persistent=False)
    to = copy_of(guest)
    started = hypervisor.start(guest.uuid, "vda", to, FAST)
    assert not started.transient_job
    identity = Identity(guest.uuid, started.domain_id, "vda", to.location)
    until(lambda: is_ready(hypervisor, identity))
    hypervisor.pivot(identity)
    disk = hypervisor.observe(guest.uuid).disks["vda"]
    assert (disk.source, disk.persistent_source) == (to.path, None)


def test_hostile_paths_arrive_as_they_are(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, paused=True)
    for name in ("it's.qcow2", "a&b.qcow2", '<"ü">.qcow2', "sp ace", "$(x);%41"):
        identity = start(hypervisor, guest, copy_of(guest, name))
        until(partial(is_ready, hypervisor, identity))
        hypervisor.pivot(identity)
        seen = hypervisor.observe(identity.domain_uuid).disks["vda"]
        assert seen.source == seen.persistent_source == identity.destination
        assert Path(identity.destination).exists()


@pytest.mark.parametrize("shallow", [True, False])
def test_shallow_copy_keeps_the_chain(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, shallow: bool
) -> None:
    image = GuestDisk(alder.images / "layers.qcow2", backing=("qcow2",))
    guest = make_guest(alder, image)
    identity = start(hypervisor, guest, copy_of(guest), CopyOptions(shallow=shallow))
    until(lambda: is_ready(hypervisor, identity))
    hypervisor.pivot(identity)
    base = str(alder.images / "layers.base1.qcow2")
    assert backing_file(identity.destination) == (base if shallow else "")


def test_all_options_at_once(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder)
    to = copy_of(guest, "reused.raw")
    subprocess.run(["truncate", "-s", "64M", to.path], check=True)
    options = CopyOptions(
        reuse_external=True,
        synchronous_writes=True,
        bandwidth=3 * MIB + 1,
        granularity=65536,
        buf_size=MIB,
    )
    identity = start(hypervisor, guest, to, options)
    seen = hypervisor.observe(identity.domain_uuid, ["vda"]).disks["vda"]
    assert seen.progress is not None
    assert seen.progress.bandwidth == 3 * MIB + 1
    assert hypervisor.set_speed(identity, 0) == 0
    until(lambda: is_ready(hypervisor, identity))


def test_two_disks_at_once(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(
        alder,
        GuestDisk(alder.images / "twin.qcow2"),
        GuestDisk(alder.images / "twin-b.qcow2"),
    )
    first = start(hypervisor, guest, copy_of(guest, "a.qcow2"))
    second = start(hypervisor, guest, copy_of(guest, "b.qcow2"), disk="vdb")
    until(lambda: is_ready(hypervisor, first) and is_ready(hypervisor, second))
    hypervisor.pivot(second)
    disks = hypervisor.observe(first.domain_uuid).disks
    assert disks["vdb"].source == second.destination
    assert disks["vda"].mirror is not None
    assert disks["vda"].mirror.destination == first.destination


def test_wrong_size_fails_after_an_accepted_start(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, heard: Heard
) -> None:
    guest = make_guest(alder)
    to = copy_of(guest, "larger.raw")
    subprocess.run(["truncate", "-s", "65M", to.path], check=True)
    identity = start(hypervisor, guest, to, REUSE)
    heard.block_job(identity.domain_uuid, "failed")
    disk = hypervisor.observe(identity.domain_uuid, ["vda"]).disks["vda"]
    assert (disk.mirror, disk.progress) == (None, None)
    assert disk.source == str(guest.disks[0].path)
