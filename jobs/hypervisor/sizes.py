"""How large a domain's disks are, and what they occupy of the storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import HostBusy, HostUnreachable
from jobs.hypervisor.translation import translate

# A raw image's size is its file's length, rounded up to a whole sector.
SECTOR = 512


@dataclass(frozen=True)
class Size:
    """One disk's sizes as in DiskFacts; None where the host could not tell."""

    capacity: int | None = None
    allocation: int | None = None
    physical: int | None = None


@dataclass(frozen=True)
class Sizes:
    """Those of the disks that could tell, by target; and the capacities of the images
    below them that QEMU has open, by location."""

    disks: Mapping[str, Size] = field(default_factory=dict)
    layers: Mapping[str, int] = field(default_factory=dict)


def sizes_at_rest(
    connection: libvirt.virConnect, domain: libvirt.virDomain, live: Element
) -> Sizes:
    """Of a domain that is off, from its images."""
    found = {}
    for target, disk in domain_xml.disks(live).items():
        told = _image_info(connection, domain, target) if _filled(disk) else None
        if told is not None:
            found[target] = told
    return Sizes(found)


def sizes_in_use(
    connection: libvirt.virConnect, domain: libvirt.virDomain, live: Element
) -> Sizes:
    """Of a domain that runs, from its QEMU; in one question for all of its disks.

    What blockInfo calls the allocation of a disk that runs is the end of the last byte
    that was written to since it was started, whatever lay in the image before.
    """
    try:
        stats = connection.domainListGetStats(
            [domain],
            libvirt.VIR_DOMAIN_STATS_BLOCK,
            libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING,
        )
    except libvirt.libvirtError as error:
        _tolerate(connection, error)
        return Sizes()
    images = [image for _, told in stats for image in _images(told)]
    described = domain_xml.disks(live)
    disks: dict[str, Size] = {}
    for image in images:  # of each disk the source first, then what is below it
        target = image.get("name", "")
        if target in described and target not in disks and _filled(described[target]):
            size = _size_in_use(image, described[target])
            if _may_be_empty(size, described[target]):
                told = _image_info(connection, domain, target)
                if told is not None and told.allocation == 0:
                    size = told
            disks[target] = size
    return Sizes(
        disks,
        {
            image["path"]: image["capacity"]
            for image in images
            if {"path", "capacity"} <= image.keys()
        },
    )


def _images(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The `block.N.…` of a domain as one record for each N."""
    found: list[dict[str, Any]] = [{} for _ in range(told.get("block.count", 0))]
    for key, value in told.items():
        _, number, name = [*key.split(".", 2), "", ""][:3]
        if number.isdigit() and int(number) < len(found):
            found[int(number)][name] = value
    return found


def _size_in_use(image: dict[str, Any], disk: Element) -> Size:
    """What QEMU calls the image's actual size is libvirt's `physical` here.

    The length of a raw file is its capacity; that of another one nobody tells.
    """
    capacity, occupied = image.get("capacity"), image.get("physical")
    raw_file = _is_file(disk) and domain_xml.format_of(disk) == "raw"
    return Size(capacity, occupied, capacity if raw_file else occupied)


def _may_be_empty(size: Size, disk: Element) -> bool:
    """Whether this may be the file's length, which libvirt tells of one that occupies
    nothing at all; of that, and that alone, blockInfo says 0."""
    if not _is_file(disk) or size.capacity is None or size.allocation is None:
        return False
    raw = domain_xml.format_of(disk) == "raw"
    return raw and abs(size.allocation - size.capacity) < SECTOR


def _image_info(
    connection: libvirt.virConnect, domain: libvirt.virDomain, target: str
) -> Size | None:
    try:
        return Size(*domain.blockInfo(target))
    except libvirt.libvirtError as error:
        _tolerate(connection, error)
        return None


def _tolerate(connection: libvirt.virConnect, error: libvirt.libvirtError) -> None:
    """Raise again what is not just about one disk (a missing file, a server away)."""
    if isinstance(translate(error, connection), HostUnreachable | HostBusy):
        raise error


def _filled(disk: Element) -> bool:
    return domain_xml.source(disk) != ""


def _is_file(disk: Element) -> bool:
    on_device = domain_xml.source(disk).startswith("/dev/")
    return disk.get("type") == "file" and not on_device
