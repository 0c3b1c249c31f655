"""Whether a mirror's destination is still what the guest could run from.

libvirt pivots onto a file that was deleted or cut off meanwhile, and the guest then
runs on something that the next boot does not find. QEMU tells what it has open, a
storage pool what lies at the path now. A server that hangs lets a pivot hang as well,
and with it the guest; so a mirror that is behind must be seen to move.
"""

from __future__ import annotations

import posixpath
import time
from dataclasses import dataclass

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import (
    DestinationUnsound,
    HostBusy,
    HostUnreachable,
    HypervisorError,
    NoJob,
)
from jobs.hypervisor.link import Link
from jobs.hypervisor.looking import Look
from jobs.hypervisor.observation import DAEMON_SECONDS, QEMU_SECONDS
from jobs.hypervisor.records import Identity
from jobs.said import say

# How long a mirror that is behind may stand still.
STANDING_SECONDS = 3.0
STEP_SECONDS = 0.2
# QEMU is asked between two looks at the path; so much may the figures differ besides.
SLACK = 1024 * 1024
# A file that seems to be another one is looked at again, some steps later; its pool
# reads it anew for that, since one that met it before QEMU had written its header takes
# it for raw, and for as long as it is.
LOOKS = 3


@dataclass(frozen=True)
class _Sizes:
    """Of an image: the virtual size, and the bytes that it takes on the storage."""

    capacity: int
    occupied: int


def check_destination(
    link: Link, identity: Identity, *, transient_pools: bool = False
) -> None:
    """See Hypervisor.check_destination."""
    _require_movement(link, identity)
    if not identity.destination.startswith("/"):
        return  # nothing but QEMU sees a server's image
    trouble = _trouble(link, identity, transient_pools)
    for _ in range(LOOKS - 1):
        if trouble is None:
            return
        time.sleep(STEP_SECONDS)
        with Look(link, transient_pools) as look:
            look.folder(posixpath.dirname(identity.destination))
        trouble = _trouble(link, identity, transient_pools)
    if trouble is not None:
        raise trouble


def _trouble(
    link: Link, identity: Identity, transient_pools: bool
) -> DestinationUnsound | None:
    """Why what lies at the path is not what QEMU writes to; None if nothing says so."""
    try:
        before = _at_path(link, identity.destination, transient_pools)
        if before is None:
            return None  # nothing sees it
        opened = _opened(link, identity)
        after = _at_path(link, identity.destination, transient_pools)
    except DestinationUnsound as gone:
        return gone
    if after is None or opened is None:
        return None
    low, high = sorted((before.occupied, after.occupied))
    if not low - SLACK <= opened.occupied <= high + SLACK:
        return DestinationUnsound(
            f"QEMU has {opened.occupied} bytes open, at {identity.destination} lie "
            f"{after.occupied}.",
            cause=say("The file at the destination is not the one that was copied to."),
        )
    if after.capacity < opened.capacity:
        return DestinationUnsound(
            f"It should hold {opened.capacity} bytes and holds {after.capacity}.",
            cause=say("The destination was cut off."),
        )
    return None


def _require_movement(link: Link, identity: Identity) -> None:
    """A mirror that is behind and stands still has a destination that hangs."""
    end = time.monotonic() + STANDING_SECONDS
    current, left = _behind(link, identity)
    while left > 0:
        if time.monotonic() > end:
            raise DestinationUnsound(
                f"{left} bytes wait to be written to it.",
                cause=say("The destination takes no writes at present."),
                remedy=say(
                    "Check the destination's server and network. A pivot now would "
                    "stop the guest's disk; the guest is unharmed as long as it "
                    "mirrors."
                ),
            )
        time.sleep(STEP_SECONDS)
        now, left = _behind(link, identity)
        if now != current:
            return


def _behind(link: Link, identity: Identity) -> tuple[int, int]:
    """How many bytes the mirror has done, and how many it is behind."""

    def ask(connection: libvirt.virConnect) -> tuple[int, int]:
        domain = connection.lookupByUUIDString(identity.domain_uuid)
        info = domain.blockJobInfo(identity.disk, 0)
        if not info:
            raise NoJob
        return info["cur"], info["end"] - info["cur"]

    return link.ask(QEMU_SECONDS, ask, about=identity.domain_uuid)


def _at_path(link: Link, path: str, transient_pools: bool) -> _Sizes | None:
    """What a pool says of the path, without reading the whole pool again.

    A pool that did not know the file yet is read anew; None where none covers it.
    DestinationUnsound: it is gone.
    """
    try:
        found = link.ask(
            DAEMON_SECONDS, lambda c: _volume(c, path), about=f"{path} vol"
        )
    except (HostUnreachable, HostBusy):
        raise  # that says nothing of the file
    except HypervisorError as error:
        raise _gone(path, error.text) from error
    if found is not None:
        return found
    with Look(link, transient_pools) as look:
        image = look.image(path)
    if image.exists is False:
        raise _gone(path, "No file is there.")
    if image.capacity is None or image.allocation is None:
        return None
    return _Sizes(image.capacity, image.allocation)


def _gone(path: str, text: str) -> DestinationUnsound:
    return DestinationUnsound(
        f"{path}: {text}", cause=say("The destination's file is not there any more.")
    )


def _volume(connection: libvirt.virConnect, path: str) -> _Sizes | None:
    """None if no pool knows it; libvirt's error if a pool knew it and it is gone."""
    try:
        volume = connection.storageVolLookupByPath(path)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise
    _, capacity, occupied = volume.info()
    return _Sizes(capacity, occupied)


def _opened(link: Link, identity: Identity) -> _Sizes | None:
    def ask(connection: libvirt.virConnect) -> _Sizes | None:
        domain = connection.lookupByUUIDString(identity.domain_uuid)
        index = _mirror_index(domain, identity.disk)
        ((_, told),) = connection.domainListGetStats(
            [domain],
            libvirt.VIR_DOMAIN_STATS_BLOCK,
            libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING,
        )
        for number in range(told.get("block.count", 0)):
            if told.get(f"block.{number}.backingIndex") == index:
                return _Sizes(
                    told.get(f"block.{number}.capacity", 0),
                    told.get(f"block.{number}.physical", 0),
                )
        return None

    return link.ask(QEMU_SECONDS, ask, about=identity.domain_uuid)


def _mirror_index(domain: libvirt.virDomain, target: str) -> int | None:
    """The number by which QEMU's answers name the mirror's destination."""
    disk = domain_xml.disks(domain_xml.parse(domain.XMLDesc())).get(target)
    source = disk.find("./mirror/source") if disk is not None else None
    return int(source.get("index", "0")) if source is not None else None
