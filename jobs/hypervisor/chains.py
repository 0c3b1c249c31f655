"""Backing chains that libvirt does not show: those of disks that nobody runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.hypervisor.domain_xml import LONGEST_CHAIN
from jobs.hypervisor.looking import Look
from jobs.hypervisor.records import ChainLink, DiskFacts


@dataclass(frozen=True)
class Chain:
    """The backing files below an image, top first; not `known` where a file of it
    could not be looked at, so that there may be more."""

    links: tuple[ChainLink, ...] = ()
    known: bool = True


def chain_below(look: Look, location: str, format_: str) -> Chain:
    """Follow the headers from an image of a declared format down.

    A raw image has no header, whatever a guest wrote at its beginning; where a header
    does not declare the format of its backing file, that one's own header is believed,
    so that rather too many files count as used than too few.
    """
    links: list[ChainLink] = []
    seen = {location}
    while location and format_ != "raw" and len(links) < LONGEST_CHAIN:
        image = look.image(location)
        if image.exists is None:
            return Chain(tuple(links), known=False)
        if links:
            links[-1] = replace(links[-1], capacity=image.capacity)
        location, format_ = image.backing, image.backing_format
        if not location or location in seen:
            break
        seen.add(location)
        links.append(ChainLink(location, _kind(location), format_))
    return Chain(tuple(links))


def with_chain(look: Look, disk: DiskFacts) -> DiskFacts:
    """The disk of a domain that is off, with its chain as far as pools know it."""
    if not disk.source:
        return disk
    found = chain_below(look, disk.source, disk.format)
    return replace(disk, chain=found.links, chain_known=found.known)


def _kind(location: str) -> str:
    if not location.startswith("/"):
        return "network"
    return "block" if location.startswith("/dev/") else "file"
