"""After a pivot: a persistent definition that did not follow.

libvirt rewrites it by itself, except where the definition had been edited so that its
disk no longer equalled the live one; then it says nothing, and the next boot would use
the old file.
"""

from __future__ import annotations

import copy
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.blockcopy import CHANGE_SECONDS
from jobs.hypervisor.errors import IdentityMismatch
from jobs.hypervisor.link import Link
from jobs.hypervisor.records import Identity


def repair_persistent(link: Link, identity: Identity, source: str) -> bool:
    """See Hypervisor.repair_persistent."""

    def call(connection: libvirt.virConnect) -> bool:
        domain = connection.lookupByUUIDString(identity.domain_uuid)
        if not domain.isPersistent():
            return False
        live = _pivoted_disk(domain_xml.parse(domain.XMLDesc()), identity)
        lasting = domain_xml.disks(
            domain_xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        ).get(identity.disk)
        if lasting is None or domain_xml.source(lasting) != source:
            return False
        domain.updateDeviceFlags(
            ElementTree.tostring(following(lasting, live), encoding="unicode"),
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        )
        return True

    return link.ask(CHANGE_SECONDS, call, about=identity.domain_uuid)


def _pivoted_disk(domain: Element, identity: Identity) -> Element:
    """The live disk, if this run of the domain is on the destination for good."""
    disk = domain_xml.disks(domain).get(identity.disk)
    if domain_xml.domain_id(domain) != identity.domain_id or disk is None:
        raise IdentityMismatch("The domain or its disk is not the one that was copied.")
    if domain_xml.source(disk) != identity.destination or domain_xml.mirror(disk):
        raise IdentityMismatch(
            f"The guest runs from {domain_xml.source(disk)}, not from "
            f"{identity.destination}."
        )
    return disk


def following(lasting: Element, live: Element) -> Element:
    """The persistent disk with the live one's source, type, format and metadata cache.

    Login and encryption belong to a source, and stand beside it in older definitions.
    Only this disk is handed to libvirt, so the rest of the definition, with whatever
    secrets and metadata it has, is not touched.
    """
    disk = copy.deepcopy(lasting)
    _remove(disk, "source", "backingStore", "auth", "encryption")
    disk.set("type", live.get("type", "file"))
    source = live.find("source")
    if source is not None:
        disk.insert(0, copy.deepcopy(source))
    driver = disk.find("driver")
    if driver is None:
        driver = ElementTree.SubElement(disk, "driver", name="qemu")
    driver.set("type", domain_xml.format_of(live))
    _remove(driver, "metadata_cache")
    driver.extend(copy.deepcopy(live.findall("./driver/metadata_cache")))
    return disk


def _remove(element: Element, *names: str) -> None:
    for name in names:
        for old in element.findall(name):
            element.remove(old)
