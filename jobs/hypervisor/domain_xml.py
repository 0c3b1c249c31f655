"""Domain XML, read: which disks, from where, over which chain, mirrored to what.

It comes from libvirt, but names and paths in it may come from anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from jobs.hypervisor.destination import location
from jobs.hypervisor.errors import Refused
from jobs.hypervisor.records import ChainLink, Mirror

LONGEST_CHAIN = 200  # libvirt's own limit of nesting
LONGEST_TEXT = 64 * 1024  # characters of an element that is shown to people


class _NoDoctype(ElementTree.TreeBuilder):
    """A tree builder that refuses entities by refusing what could declare them."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Refused(f"The host's XML declares a document type, {name}.")


def parse(text: str) -> Element:
    """The root element. Raises Refused for what libvirt would never write."""
    parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314  see _NoDoctype
    try:
        parser.feed(text)
        root = parser.close()
    except ElementTree.ParseError as error:
        raise Refused(f"The host's XML cannot be read: {error}.") from error
    return root


def disks(domain: Element) -> dict[str, Element]:
    """The `<disk>` elements by target, e.g. "vda", in the document's order."""
    found = {}
    for disk in domain.iterfind("./devices/disk"):
        target = disk.find("target")
        if target is not None and (name := target.get("dev")):
            found[name] = disk
    return found


def text(element: Element) -> str:
    """The element as text, for people; cut where a chain makes it very long."""
    whole = ElementTree.tostring(element, encoding="unicode").strip()
    return whole if len(whole) <= LONGEST_TEXT else f"{whole[:LONGEST_TEXT]}…"


def domain_id(domain: Element) -> int | None:
    """The number of this run of the domain; None when it does not run."""
    number = domain.get("id")
    return int(number) if number else None


def source(disk: Element) -> str:
    """Where the disk's data is; "" for an empty drive."""
    return location(disk.find("source"))


def format_of(disk: Element) -> str:
    driver = disk.find("driver")
    return driver.get("type", "") if driver is not None else ""


def chain(disk: Element) -> tuple[ChainLink, ...]:
    """The backing files below the source, top first; empty for a domain that is off,
    whose chain libvirt does not show."""
    return tuple(_links(disk))


def _links(disk: Element) -> Iterator[ChainLink]:
    layer = disk.find("backingStore")
    for _ in range(LONGEST_CHAIN):
        if layer is None or layer.find("source") is None:
            return
        yield ChainLink(source(layer), layer.get("type", ""), _inner_format(layer))
        layer = layer.find("backingStore")


def mirror(disk: Element) -> Mirror | None:
    """The disk's `<mirror>`, also in the moment when it names no job and no source."""
    found = disk.find("mirror")
    if found is None:
        return None
    return Mirror(
        job=found.get("job", ""),
        ready=found.get("ready", ""),
        destination=source(found) or found.get("file", ""),
        format=_inner_format(found) or found.get("format", ""),
        kind=found.get("type", ""),
    )


def _inner_format(element: Element) -> str:
    inner = element.find("format")
    return inner.get("type", "") if inner is not None else ""
