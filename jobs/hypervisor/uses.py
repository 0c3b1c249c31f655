"""Which disks of a host's domains, running or shut off, have to do with a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.chains import chain_below
from jobs.hypervisor.errors import DomainNotFound, HostUnreachable, HypervisorError
from jobs.hypervisor.evidence import ImageFacts, Use
from jobs.hypervisor.looking import Look
from jobs.hypervisor.volumes import same_place
from jobs.said import say


@dataclass(frozen=True)
class Definition:
    """A domain's XML: `live` of a running one, `lasting` of a persistent one, and
    `saved` of one that goes on from a saved state at its next start."""

    uuid: str
    name: str
    live: Element | None
    lasting: Element | None
    saved: Element | None = None


def definitions(look: Look) -> list[Definition]:
    """All domains of the host. One that does not answer is noted as not known."""
    try:
        uuids = look.ask(_uuids, "domains")
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(
            say("The host's domains could not be read: %(error)s", error=error.text)
        )
        return []
    found = (_definition(look, uuid) for uuid in uuids)
    return [definition for definition in found if definition is not None]


def uses_of(
    look: Look, image: ImageFacts, domains: list[Definition]
) -> tuple[Use, ...]:
    """Everything of these domains that is at the image's place, or is its file.

    What does not exist has no other names and is in no chain that is whole.
    """
    if image.exists is None:
        look.note(
            say(
                "Whether %(location)s has other names is not known.",
                location=image.location,
            )
        )
    return tuple(_matching(look, image, domains))


def _uuids(connection: libvirt.virConnect) -> list[str]:
    return [domain.UUIDString() for domain in connection.listAllDomains()]


def _definition(look: Look, uuid: str) -> Definition | None:
    def read(connection: libvirt.virConnect) -> Definition:
        domain = connection.lookupByUUIDString(uuid)
        shown = domain_xml.parse(domain.XMLDesc())
        name = shown.findtext("name", uuid)
        if domain_xml.domain_id(shown) is None:
            return Definition(uuid, name, None, shown, _saved(domain))
        if not domain.isPersistent():
            return Definition(uuid, name, shown, None)
        inactive = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        return Definition(uuid, name, shown, domain_xml.parse(inactive))

    try:
        return look.ask(read, f"{uuid} XML")
    except DomainNotFound:
        return None
    except HostUnreachable:
        raise
    except HypervisorError as error:
        look.note(
            say(
                "The disks of domain %(uuid)s could not be read: %(error)s",
                uuid=uuid,
                error=error.text,
            )
        )
        return None


def _saved(domain: libvirt.virDomain) -> Element | None:
    """The definition within a managed save image, which may name older disks."""
    if not domain.hasManagedSaveImage():
        return None
    return domain_xml.parse(domain.managedSaveGetXMLDesc())


def _matching(
    look: Look, image: ImageFacts, domains: list[Definition]
) -> Iterator[Use]:
    for definition in domains:
        places = _places(look, definition, follow=image.exists is not False)
        for use in dict.fromkeys(places):
            if same_place(use.location, image.location):
                yield replace(use, fingerprint=image.fingerprint)
            elif _comparable(image, use.location):
                mark = look.image(use.location).fingerprint
                if mark and mark == image.fingerprint:
                    yield replace(use, fingerprint=mark)


def _comparable(image: ImageFacts, location: str) -> bool:
    """Whether a disk somewhere else could be this file or device by another name."""
    if not image.fingerprint or not location.startswith("/"):
        return False
    return image.kind == "block" or not location.startswith("/dev/")


def _places(look: Look, definition: Definition, *, follow: bool) -> Iterator[Use]:
    """Where a domain's disks are, would be at the next start, or are copied to."""
    live = domain_xml.disks(definition.live) if definition.live is not None else {}
    for target, disk in live.items():
        yield from _of_live(definition, target, disk)
    how = "persistent source" if definition.live is not None else "source"
    for next_start in (definition.lasting, definition.saved):
        disks = domain_xml.disks(next_start) if next_start is not None else {}
        for target, disk in disks.items():
            here = domain_xml.source(disk)
            running = live.get(target)
            if not here or (running is not None and domain_xml.source(running) == here):
                continue
            yield _use(definition, target, how, here)
            format_ = domain_xml.format_of(disk) if follow else "raw"
            for link in chain_below(look, here, format_).links:
                yield _use(definition, target, "backing file", link.location)


def _of_live(definition: Definition, target: str, disk: Element) -> Iterator[Use]:
    if here := domain_xml.source(disk):
        yield _use(definition, target, "source", here)
    for link in domain_xml.chain(disk):
        yield _use(definition, target, "backing file", link.location)
    mirror = domain_xml.mirror(disk)
    if mirror is not None and mirror.destination:
        yield _use(definition, target, "mirror", mirror.destination)
        below = disk.find("mirror")
        if below is not None:
            for link in domain_xml.chain(below):
                yield _use(definition, target, "backing file", link.location)


def _use(definition: Definition, target: str, how: str, location: str) -> Use:
    return Use(
        definition.uuid,
        definition.name,
        target,
        how,
        location,
        running=definition.live is not None,
    )
