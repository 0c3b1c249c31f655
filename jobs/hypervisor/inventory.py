"""Everything that a host has: domains with their disks, and storage pools.

Hosts change while they are read, and single guests or pools can hang: what vanishes
midway is left out, what does not answer is left without its sizes or named as unread,
and the rest is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.asking import look_at, may_be_asked
from jobs.hypervisor.belief import Belief, belief_of
from jobs.hypervisor.chains import with_chain
from jobs.hypervisor.errors import (
    DomainNotFound,
    HostBusy,
    HostUnreachable,
    HypervisorError,
)
from jobs.hypervisor.link import Link
from jobs.hypervisor.looking import Look
from jobs.hypervisor.observation import (
    DAEMON_SECONDS,
    QEMU_SECONDS,
    persistent_sources,
    state_name,
    unaccounted,
)
from jobs.hypervisor.pools import pools
from jobs.hypervisor.records import DiskFacts, DomainFacts, HostFacts, Inventory
from jobs.hypervisor.sizes import Size, Sizes, sizes_at_rest, sizes_in_use

# The first question after a daemon's start makes it probe its QEMU, for seconds.
FACTS_SECONDS = 60.0

# From the first domain's disks to the last one's chain; the others are not known then.
CHAINS_SECONDS = 120.0


def facts(link: Link) -> HostFacts:
    """See Hypervisor.facts."""

    def call(connection: libvirt.virConnect) -> HostFacts:
        capabilities = domain_xml.parse(connection.getCapabilities())
        return HostFacts(
            hostname=connection.getHostname(),
            uuid=capabilities.findtext("./host/uuid", ""),
            hypervisor=connection.getType(),
            libvirt_version=connection.getLibVersion(),
            hypervisor_version=connection.getVersion(),
        )

    return link.ask(FACTS_SECONDS, call)


def inventory(link: Link, *, transient_pools: bool = False) -> Inventory:
    """See Hypervisor.inventory."""
    host = facts(link)
    belief = belief_of(link.uri)
    belief.forget_silence(link.waits_for)
    domains: list[DomainFacts] = []
    unread: list[str] = []
    with Look(link, transient_pools, CHAINS_SECONDS) as look:
        for uuid in link.ask(DAEMON_SECONDS, lambda c: _domain_uuids(c, belief)):
            try:
                domains.append(domain_facts(link, uuid, look))
            except DomainNotFound:
                continue  # it has gone since the list was read
            except HostUnreachable:
                raise
            except HypervisorError:
                unread.append(uuid)
    return Inventory(host, tuple(domains), pools(link), tuple(unread))


def _domain_uuids(connection: libvirt.virConnect, belief: Belief) -> list[str]:
    """Of all domains, each looked at once before any is asked."""
    domains = connection.listAllDomains()
    for domain in domains:
        look_at(domain, belief)
    return [domain.UUIDString() for domain in domains]


def domain_facts(link: Link, uuid: str, look: Look) -> DomainFacts:
    """One domain; without sizes where its QEMU or its storage does not answer.

    `look` follows the chains of a domain that is off.
    """
    belief = belief_of(link.uri)
    read = link.ask(
        DAEMON_SECONDS,
        lambda c: _read(c, uuid, belief),
        about=f"{uuid} XML",
        of_daemon=True,
    )
    domain, live, state, lasting = read
    number = domain_xml.domain_id(live)
    read_sizes = sizes_at_rest if number is None else sizes_in_use
    sizes = Sizes()
    if number is None or may_be_asked(link, uuid):
        with _silence_noted(link, uuid):
            sizes = link.ask(
                QEMU_SECONDS, lambda c: read_sizes(c, domain, live), about=uuid
            )
    disks = [
        _disk(target, disk, (lasting or {}).get(target), sizes)
        for target, disk in domain_xml.disks(live).items()
    ]
    if number is None:
        disks = [with_chain(look, disk) for disk in disks]
    return DomainFacts(
        uuid=uuid,
        name=domain.name(),
        domain_id=number,
        state=state_name(state[0]),
        state_reason=state[1],
        unaccounted=unaccounted(*state),
        persistent=lasting is not None,
        disks=tuple(disks),
    )


@contextmanager
def _silence_noted(link: Link, uuid: str) -> Iterator[None]:
    """Whoever asks next is told whether this guest answered."""
    belief, began = belief_of(link.uri), time.monotonic()
    try:
        yield
    except HostBusy:
        belief.note_silence(uuid, began)
    else:
        belief.note_answer(uuid)


_Read = tuple[libvirt.virDomain, Element, list[int], dict[str, str] | None]


def _read(connection: libvirt.virConnect, uuid: str, belief: Belief) -> _Read:
    """The domain, its live XML, its state, and its persistent sources if it has any.

    It is looked at once more, since others may hang by now.
    """
    domain = connection.lookupByUUIDString(uuid)
    look_at(domain, belief)
    state = domain.state()
    live = domain_xml.parse(domain.XMLDesc())
    lasting = persistent_sources(domain, live) if domain.isPersistent() else None
    return domain, live, state, lasting


def _disk(
    target: str,
    disk: Element,
    persistent_source: str | None,
    sizes: Sizes,
) -> DiskFacts:
    attachment = disk.find("target")
    size = sizes.disks.get(target, Size())
    return DiskFacts(
        target=target,
        bus=attachment.get("bus", "") if attachment is not None else "",
        device=disk.get("device", "disk"),
        format=domain_xml.format_of(disk),
        source=domain_xml.source(disk),
        source_kind=disk.get("type", ""),
        persistent_source=persistent_source,
        read_only=disk.find("readonly") is not None,
        shareable=disk.find("shareable") is not None,
        capacity=size.capacity,
        allocation=size.allocation,
        physical=size.physical,
        chain=tuple(
            replace(link, capacity=sizes.layers.get(link.location))
            for link in domain_xml.chain(disk)
        ),
        mirror=domain_xml.mirror(disk),
    )
