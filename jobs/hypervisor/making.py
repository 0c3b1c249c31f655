"""Creating the volume of a volume destination, of exactly the disk's size."""

from __future__ import annotations

from xml.etree import ElementTree

import libvirt

from jobs.hypervisor.destination import Destination
from jobs.hypervisor.destination_check import check
from jobs.hypervisor.errors import DestinationUnusable
from jobs.hypervisor.keys import timing_keys
from jobs.hypervisor.link import Link
from jobs.hypervisor.looking import FILE_POOLS, refresh
from jobs.hypervisor.pools import pool_facts
from jobs.hypervisor.records import ChainLink
from jobs.said import say

# To make a LUKS header takes QEMU seconds on purpose; on a busy machine 7 were seen.
CREATE_SECONDS = 60.0
KIB = 1024


def create_volume(
    link: Link, destination: Destination, capacity: int, backing: ChainLink | None
) -> str:
    """See Hypervisor.create_volume."""
    if backing is not None and backing.kind not in ("file", "block"):
        raise DestinationUnusable(
            cause=say("A volume cannot share a backing file that a network serves."),
            remedy=say("Copy the whole chain, or copy to a file."),
        )
    check(destination)
    # libvirt has QEMU make volumes of whole KiB, and a copy to one that is larger than
    # the disk fails; so it is made a little smaller and then resized.
    bare = destination.format == "raw" and not destination.encryption
    exact = bare or capacity % KIB == 0
    text = volume_xml(
        destination, capacity if exact else capacity // KIB * KIB, backing
    )

    def call(connection: libvirt.virConnect) -> str:
        pool = connection.storagePoolLookupByName(destination.pool)
        _require_fitting(pool, destination, backing)
        refresh(pool)  # it may not know yet that the name is taken
        volume = pool.createXML(text)
        try:
            if not exact:
                _resize(volume, capacity)
            _require_exact(volume, capacity)
        except Exception:
            volume.delete()
            raise
        return volume.path()

    name = f"pool {destination.pool}"
    return timing_keys(lambda: link.ask(CREATE_SECONDS, call, about=name))


def _require_fitting(
    pool: libvirt.virStoragePool, destination: Destination, backing: ChainLink | None
) -> None:
    """Of a logical volume or partition libvirt makes nothing but the bare device."""
    bare = destination.format == "raw" and not (destination.encryption or backing)
    if pool_facts(pool).kind not in FILE_POOLS and not bare:
        raise DestinationUnusable(
            cause=say(
                "The pool %(pool)s makes devices, which can only be raw.",
                pool=destination.pool,
            ),
            remedy=say("Choose raw without encryption, or a pool of files."),
        )


def _resize(volume: libvirt.virStorageVol, capacity: int) -> None:
    """libvirt refuses where the headers are larger than what is to be in the image."""
    try:
        volume.resize(capacity)
    except libvirt.libvirtError as error:
        raise DestinationUnusable(
            error.get_error_message() or str(error),
            code=error.get_error_code(),
            cause=say(
                "The pool can't make such a volume of exactly %(capacity)s bytes.",
                capacity=capacity,
            ),
            remedy=say("Choose raw as the format, or copy to a file."),
        ) from error


def _require_exact(volume: libvirt.virStorageVol, capacity: int) -> None:
    """Logical volumes and partitions come in steps of megabytes."""
    made = volume.info()[1]
    if made != capacity:
        raise DestinationUnusable(
            cause=say(
                "The pool makes a volume of %(made)s bytes, the disk has %(capacity)s.",
                made=made,
                capacity=capacity,
            ),
            remedy=say("Choose a pool of files, or copy to a slice of a device."),
        )


def volume_xml(
    destination: Destination, capacity: int, backing: ChainLink | None
) -> str:
    """The `<volume>`, thin; qcow2 of the version that every QEMU since 1.1 knows."""
    volume = ElementTree.Element("volume")
    ElementTree.SubElement(volume, "name").text = destination.volume
    ElementTree.SubElement(volume, "capacity", unit="bytes").text = str(capacity)
    ElementTree.SubElement(volume, "allocation", unit="bytes").text = "0"
    target = ElementTree.SubElement(volume, "target")
    ElementTree.SubElement(target, "format", type=destination.format)
    if destination.format == "qcow2":
        ElementTree.SubElement(target, "compat").text = "1.1"
    if (secret := destination.encryption) is not None:
        luks = ElementTree.SubElement(target, "encryption", format="luks")
        named = {"uuid": secret.uuid} if secret.uuid else {"usage": secret.usage}
        ElementTree.SubElement(luks, "secret", {"type": "passphrase", **named})
    if backing is not None:
        below = ElementTree.SubElement(volume, "backingStore")
        ElementTree.SubElement(below, "path").text = backing.location
        ElementTree.SubElement(below, "format", type=backing.format)
    return ElementTree.tostring(volume, encoding="unicode")
