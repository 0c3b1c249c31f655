"""Removing one image for good, with a last look at who on the host uses it."""

from __future__ import annotations

import posixpath
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import (
    DestinationUnusable,
    DomainNotFound,
    HostUnreachable,
    HypervisorError,
)
from jobs.hypervisor.evidence import ImageFacts
from jobs.hypervisor.link import Link
from jobs.hypervisor.looking import Look
from jobs.hypervisor.uses import Definition, definitions, uses_of
from jobs.hypervisor.volumes import same_place
from jobs.said import say

KINDS = ("file", "block", "volume")
# Freeing the blocks of a large file can take a while.
DELETE_SECONDS = 60.0


def delete_image(
    link: Link, location: str, *, kind: str, transient_pools: bool = False
) -> None:
    """See Hypervisor.delete_image."""
    if kind not in KINDS or not location.startswith("/"):
        raise _unusable(
            say("%(location)s is no file or volume of this host.", location=location),
            say("Remove it where it is served."),
        )
    with Look(link, transient_pools) as look:
        found = look.image(location)
        _require_image(look, found)
        _require_unused(look, found)
        _delete(look, found)


def _require_image(look: Look, image: ImageFacts) -> None:
    if image.exists is False:
        raise _unusable(
            say("There is nothing at %(location)s.", location=image.location),
            say("There is nothing to be done."),
        )
    if image.exists is None:
        raise _not_known(look)
    if image.kind not in ("file", "block"):
        raise _unusable(
            say("%(location)s is not a file.", location=image.location),
            say("Look at what it is on the host."),
        )


def _require_unused(look: Look, image: ImageFacts) -> None:
    domains = definitions(look)
    for use in uses_of(look, image, domains):
        raise _unusable(
            say(
                "%(location)s is the %(how)s of %(target)s of %(domain_name)s.",
                location=image.location,
                how=use.how,
                target=use.target,
                domain_name=use.domain_name,
            ),
            say("It is not a leftover any more; leave it where it is."),
        )
    for domain in domains:
        if name := _named(look, domain, image.location):
            raise _unusable(
                say(
                    "%(location)s is named by %(name)s.",
                    location=image.location,
                    name=name,
                ),
                say("Take it out of there first, if nothing needs it any more."),
            )
    if look.unknown:
        raise _not_known(look)


def _named(look: Look, domain: Definition, location: str) -> str:
    """What of a domain names the place besides its disks, "" for nothing.

    Kernels and firmware are in its XML; its snapshots are reverted to old sources.
    """
    for definition in (domain.live, domain.lasting):
        if definition is not None and _names(definition, location):
            return say("the definition of %(domain)s", domain=domain.name)
    for snapshot, text in _snapshots(look, domain).items():
        if _names(domain_xml.parse(text), location):
            return say(
                "the snapshot %(snapshot)s of %(domain)s",
                snapshot=snapshot,
                domain=domain.name,
            )
    return ""


def _snapshots(look: Look, domain: Definition) -> dict[str, str]:
    def read(connection: libvirt.virConnect) -> dict[str, str]:
        found = connection.lookupByUUIDString(domain.uuid).listAllSnapshots()
        return {snapshot.getName(): snapshot.getXMLDesc() for snapshot in found}

    try:
        return look.ask(read, f"{domain.uuid} XML")
    except DomainNotFound:
        return {}
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(
            say(
                "The snapshots of %(domain)s could not be read: %(error)s",
                domain=domain.name,
                error=error.text,
            )
        )
        return {}


def _names(definition: Element, location: str) -> bool:
    return any(
        same_place(text.strip(), location)
        for element in definition.iter()
        for text in (*element.attrib.values(), element.text or "")
    )


def _delete(look: Look, image: ImageFacts) -> None:
    directory, name = posixpath.split(image.location)
    pool = look.folder(directory).pool if image.kind == "file" else None

    def delete(connection: libvirt.virConnect) -> None:
        if pool is None:
            connection.storageVolLookupByPath(image.location).delete()
        else:
            found = connection.storagePoolLookupByName(pool.name)
            found.storageVolLookupByName(name).delete()

    look.link.ask(DELETE_SECONDS, delete, about=f"delete {image.location}")


def _not_known(look: Look) -> DestinationUnusable:
    return _unusable(
        say(
            "Whether anything uses it is not known. %(unknown)s",
            unknown=look.unknown[0],
        ),
        say("Let the host answer, or give it a storage pool for that directory."),
    )


def _unusable(cause: str, remedy: str) -> DestinationUnusable:
    return DestinationUnusable(cause, cause=cause, remedy=remedy)
