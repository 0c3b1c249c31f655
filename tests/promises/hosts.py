"""What private hosts show of their disks, asked by virsh and read without the product.

But for the names of network sources, which are the console's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from jobs.hypervisor.destination import location
from lab.cell import LabError
from lab.host import PrivateHost

Place = tuple[str, str, str]  # a host's name, a domain's UUID, a disk's target


@dataclass(frozen=True)
class Shown:
    """One disk. `live` is empty while the domain is off.

    `persistent` is None for a transient domain.
    """

    domain: str
    domain_id: int | None
    live: str
    persistent: str | None
    mirror: str
    ready: bool

    @property
    def named(self) -> set[str]:
        """Where the guest runs, or would run when it is started next."""
        return {name for name in (self.live, self.persistent) if name}


def look(host: PrivateHost) -> dict[Place, Shown]:
    """Every disk of every domain of a host. LabError if it does not answer."""
    persistent = set(host.virsh("list", "--all", "--persistent", "--uuid").split())
    found: dict[Place, Shown] = {}
    for uuid in host.virsh("list", "--all", "--uuid").split():
        try:
            live = _definition(host, uuid)
            kept = _definition(host, uuid, "--inactive") if uuid in persistent else None
        except LabError:
            if uuid in host.virsh("list", "--all", "--uuid").split():
                raise
            continue  # it went away while we looked
        for target, shown in _disks(live, kept):
            found[host.name, uuid, target] = shown
    return found


def _definition(host: PrivateHost, uuid: str, *which: str) -> ElementTree.Element:
    return ElementTree.fromstring(host.virsh("dumpxml", uuid, *which))


def _disks(
    live: ElementTree.Element, kept: ElementTree.Element | None
) -> Iterator[tuple[str, Shown]]:
    number = live.get("id")
    later = {} if kept is None else dict(_sources(kept))
    for disk in live.iterfind("./devices/disk"):
        target, mirror = _target(disk), disk.find("mirror")
        yield (
            target,
            Shown(
                domain=live.findtext("name", ""),
                domain_id=int(number) if number else None,
                live=location(disk.find("source")) if number else "",
                persistent=None if kept is None else later.get(target, ""),
                mirror="" if mirror is None else location(mirror.find("source")) or "?",
                ready=mirror is not None and mirror.get("ready") == "yes",
            ),
        )


def _sources(domain: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for disk in domain.iterfind("./devices/disk"):
        yield _target(disk), location(disk.find("source"))


def _target(disk: ElementTree.Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")
