"""A persistent definition that does not follow its guest."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    Hypervisor,
    Identity,
    IdentityMismatch,
)
from lab.guest import Guest
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration


def pivoted(hypervisor: Hypervisor, guest: Guest, to: Destination) -> Identity:
    uuid = guest.uuid
    started = hypervisor.start(uuid, "vda", to, CopyOptions())
    identity = Identity(uuid, started.domain_id, "vda", to.location)

    def ready() -> bool:
        mirror = hypervisor.observe(uuid).disks["vda"].mirror
        return mirror is not None and mirror.is_ready

    until(ready)
    hypervisor.pivot(identity)
    return identity


def redefine(guest: Guest, old: str, new: str) -> None:
    """Edit the persistent definition as an administrator would."""
    definition = guest.host.virsh(
        "dumpxml", "--inactive", "--security-info", guest.name
    )
    assert old in definition
    guest.host.virsh("define", "/dev/stdin", text=definition.replace(old, new))


def inactive(guest: Guest) -> ElementTree.Element:
    return ElementTree.fromstring(
        guest.host.virsh("dumpxml", "--inactive", "--security-info", guest.name)
    )


@pytest.fixture
def guest(alder: PrivateHost, make_guest: MakeGuest) -> Guest:
    """A guest whose definition carries what a redefinition could lose."""
    guest = make_guest(alder, paused=True)
    redefine(
        guest,
        "<memory ",
        "<metadata><x:note xmlns:x='http://example.org/note'>keep</x:note></metadata>"
        "<memory ",
    )
    redefine(
        guest,
        "<memballoon ",
        "<graphics type='vnc' passwd='secret'/><memballoon ",
    )
    return guest


def copy_of(guest: Guest, suffix: str = "copy.qcow2") -> Destination:
    path = str(guest.host.images / f"{guest.name}-{suffix}")
    return Destination("file", path, "raw" if suffix.endswith(".raw") else "qcow2")


def test_definition_edited_meanwhile_is_repaired(
    hypervisor: Hypervisor, guest: Guest
) -> None:
    old = str(guest.disks[0].path)
    edited = str(guest.host.images / "edited.qcow2")
    redefine(guest, old, edited)
    identity = pivoted(hypervisor, guest, copy_of(guest, "it's <&>.raw"))
    before = hypervisor.observe(guest.uuid).disks["vda"]
    assert (before.source, before.persistent_source) == (identity.destination, edited)

    assert not hypervisor.repair_persistent(identity, old), "it does not name that"
    assert hypervisor.repair_persistent(identity, edited)

    after = hypervisor.observe(guest.uuid).disks["vda"]
    assert after.source == after.persistent_source == identity.destination
    assert not hypervisor.repair_persistent(identity, edited), "it is done"


def test_repair_touches_nothing_else(hypervisor: Hypervisor, guest: Guest) -> None:
    edited = str(guest.host.images / "edited.qcow2")
    redefine(guest, str(guest.disks[0].path), edited)
    before = inactive(guest)
    identity = pivoted(hypervisor, guest, copy_of(guest, "copy.raw"))
    hypervisor.repair_persistent(identity, edited)
    after = inactive(guest)
    driver = after.find("./devices/disk/driver")
    assert driver is not None
    assert driver.get("type") == "raw"
    source = after.find("./devices/disk/source")
    assert source is not None
    assert source.attrib == {"file": identity.destination}, "no index of this run"
    assert after.find("./devices/disk/boot") is not None
    assert after.find("./devices/graphics[@passwd='secret']") is not None
    for definition in (before, after):
        (devices,) = definition.iterfind("devices")
        (disk,) = devices.iterfind("disk")
        devices.remove(disk)
    assert ElementTree.tostring(before) == ElementTree.tostring(after)


def test_the_repaired_guest_boots_from_the_destination(
    hypervisor: Hypervisor, guest: Guest
) -> None:
    edited = str(guest.host.images / "edited.qcow2")
    redefine(guest, str(guest.disks[0].path), edited)
    identity = pivoted(hypervisor, guest, copy_of(guest))
    hypervisor.repair_persistent(identity, edited)
    guest.destroy()
    guest.start()
    guest.log.wait_for_boot()
    assert hypervisor.observe(guest.uuid).disks["vda"].source == identity.destination


def test_a_restarted_guest_is_not_repaired(
    hypervisor: Hypervisor, guest: Guest
) -> None:
    identity = pivoted(hypervisor, guest, copy_of(guest))
    guest.destroy()
    guest.start(paused=True)
    with pytest.raises(IdentityMismatch):
        hypervisor.repair_persistent(identity, str(guest.disks[0].path))


def test_transient_guest_has_nothing_to_repair(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    guest = make_guest(alder, persistent=False, paused=True)
    identity = pivoted(hypervisor, guest, copy_of(guest))
    assert not hypervisor.repair_persistent(identity, str(guest.disks[0].path))
