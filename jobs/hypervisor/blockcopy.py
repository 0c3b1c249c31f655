"""virDomainBlockCopy: start, limit, pivot, end.

Whatever changes a copy first reads the live XML and goes on only if the copy is the
one that was meant: a disk has at most one block job, but it may be somebody else's.
"""

from __future__ import annotations

import time

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.destination import Destination, DestinationError
from jobs.hypervisor.destination_xml import to_xml
from jobs.hypervisor.errors import (
    DestinationExists,
    DestinationUnusable,
    DiskNotFound,
    DomainNotRunning,
    HypervisorError,
    IdentityMismatch,
    NoJob,
    Refused,
    StillEnding,
)
from jobs.hypervisor.keys import timing_keys
from jobs.hypervisor.link import Link
from jobs.hypervisor.options import (
    check_bandwidth,
    check_options,
    check_together,
    flags,
    options_for,
    parameters,
)
from jobs.hypervisor.records import CopyOptions, HostFacts, Identity, Mirror, Started
from jobs.hypervisor.translation import options_translated
from jobs.hypervisor.versions import require_support
from jobs.said import say

# libvirt itself gives up (68) when the domain is taken for 30 s.
CHANGE_SECONDS = 35.0
# Creates and formats the destination.
START_SECONDS = 60.0
# A start that did not get as far as the call itself for so long is not sent any more:
# whoever wrote it down may by then have taken it for one that never was.
SEND_SECONDS = 4.0
# Waits until the guest's writes in flight are on both sides; 0.02 to 0.4 s were seen.
PIVOT_SECONDS = 60.0


def start(
    link: Link,
    domain_uuid: str,
    disk: str,
    destination: Destination,
    options: CopyOptions,
) -> Started:
    """See Hypervisor.start."""
    check_options(options)
    xml = to_xml(destination)
    check_together(destination, options)
    sent = options_for(destination, options)
    began = time.monotonic()
    if destination.source_type == "volume":
        raise DestinationError("path", say("The volume has no path: create it first."))

    def call(connection: libvirt.virConnect) -> Started:
        require_support(options, _versions(connection))
        domain = connection.lookupByUUIDString(domain_uuid)
        domain_id = _require_disk(domain, disk)
        transient_job = bool(domain.isPersistent())
        if time.monotonic() - began > SEND_SECONDS:
            raise _too_late()
        with options_translated():
            domain.blockCopy(disk, xml, parameters(sent), flags(sent, transient_job))
        return Started(domain_id, transient_job, xml)

    try:
        return timing_keys(lambda: link.ask(START_SECONDS, call, about=domain_uuid))
    except DestinationExists as error:
        if destination.source_type != "block":
            raise
        raise _no_device(error) from error


def _too_late() -> HypervisorError:
    return Refused(
        f"The host took more than {SEND_SECONDS:g} s before it could be asked.",
        cause=say(
            "The host was too slow to get ready for the start; it was not asked to."
        ),
        remedy=say("Copy again when the host is less busy."),
    )


def _versions(connection: libvirt.virConnect) -> HostFacts:
    return HostFacts(
        hostname="",
        uuid="",
        hypervisor="",
        libvirt_version=connection.getLibVersion(),
        hypervisor_version=connection.getVersion(),
    )


def _no_device(error: HypervisorError) -> DestinationUnusable:
    """libvirt says of a file that was called a device only that it exists already."""
    return DestinationUnusable(
        error.text,
        code=error.code,
        cause=say("The destination is not a block device."),
        remedy=say("Say file instead of device, or name a device."),
    )


def set_speed(link: Link, identity: Identity, bytes_per_second: int) -> int:
    """See Hypervisor.set_speed."""
    check_bandwidth(bytes_per_second)

    def call(connection: libvirt.virConnect) -> int:
        domain = _same_copy(connection, identity)
        in_bytes = libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES
        with options_translated():
            domain.blockJobSetSpeed(identity.disk, bytes_per_second, in_bytes)
        info = domain.blockJobInfo(
            identity.disk, libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES
        )
        if not info:
            raise NoJob
        return info["bandwidth"]

    return link.ask(CHANGE_SECONDS, call, about=identity.domain_uuid)


def pivot(link: Link, identity: Identity) -> None:
    """See Hypervisor.pivot.

    Synchronous, because only that call ever tells why a pivot failed; an asynchronous
    one returns 0 even when the destination is dead.
    """
    _abort(link, identity, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT, PIVOT_SECONDS)


def end(link: Link, identity: Identity) -> None:
    """See Hypervisor.end."""
    _abort(link, identity, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC, CHANGE_SECONDS)


def _abort(link: Link, identity: Identity, flags: int, seconds: float) -> None:
    def call(connection: libvirt.virConnect) -> None:
        _same_copy(connection, identity).blockJobAbort(identity.disk, flags)

    link.ask(seconds, call, about=identity.domain_uuid)


def _require_disk(domain: libvirt.virDomain, disk: str) -> int:
    """The running domain's id, if `disk` is one of its targets.

    libvirt would take a source's path as well, and we would then miss the job.
    """
    live = domain_xml.parse(domain.XMLDesc())
    number = domain_xml.domain_id(live)
    if number is None:
        raise DomainNotRunning
    if disk not in domain_xml.disks(live):
        raise DiskNotFound(f"The domain has no disk {disk}.")
    return number


def _same_copy(connection: libvirt.virConnect, identity: Identity) -> libvirt.virDomain:
    """The domain, if its copy is the one that `identity` means."""
    domain = connection.lookupByUUIDString(identity.domain_uuid)
    live = domain_xml.parse(domain.XMLDesc())
    number = domain_xml.domain_id(live)
    if number is None:
        raise DomainNotRunning
    if number != identity.domain_id:
        raise IdentityMismatch(
            f"The domain was restarted: its id is {number}, not {identity.domain_id}."
        )
    disk = domain_xml.disks(live).get(identity.disk)
    if disk is None:
        raise DiskNotFound(f"The domain has no disk {identity.disk}.")
    _require_mirror(domain_xml.mirror(disk), identity)
    return domain


def _require_mirror(mirror: Mirror | None, identity: Identity) -> None:
    if mirror is None:
        raise NoJob
    if not mirror.job:
        raise StillEnding  # for some milliseconds libvirt names neither job nor source
    if (mirror.job, mirror.destination) != ("copy", identity.destination):
        raise IdentityMismatch(
            f"The disk's {mirror.job} job goes to {mirror.destination}, not to "
            f"{identity.destination}."
        )
