"""The hypervisor layer: the only code that talks to libvirt; knows nothing of Django.

The rest of the project imports from here and from nowhere below.
"""

from __future__ import annotations

from jobs.hypervisor.address import Address, AddressError, AddressPolicy, uri, validate
from jobs.hypervisor.destination import (
    Destination,
    DestinationError,
    check,
    check_bandwidth,
    check_options,
    to_xml,
)
from jobs.hypervisor.errors import (
    DestinationExists,
    DestinationUnusable,
    DiskNotFound,
    DomainNotFound,
    DomainNotRunning,
    HostBusy,
    HostUnreachable,
    HypervisorError,
    IdentityMismatch,
    InvalidOption,
    JobActive,
    NoAnswer,
    NoJob,
    NotReady,
    PivotFailed,
    Refused,
    StillEnding,
)
from jobs.hypervisor.eventloop import start_event_loop
from jobs.hypervisor.events import (
    BlockJobEvent,
    ConnectionClosed,
    Event,
    LifecycleEvent,
    Subscription,
)
from jobs.hypervisor.host import Hypervisor
from jobs.hypervisor.pool import close_all, connection
from jobs.hypervisor.records import (
    ChainLink,
    CopyOptions,
    DiskFacts,
    DiskObservation,
    DomainFacts,
    DomainObservation,
    HostFacts,
    Identity,
    Inventory,
    Mirror,
    PoolFacts,
    Progress,
    Started,
)

__all__ = [
    "Address",
    "AddressError",
    "AddressPolicy",
    "BlockJobEvent",
    "ChainLink",
    "ConnectionClosed",
    "CopyOptions",
    "Destination",
    "DestinationError",
    "DestinationExists",
    "DestinationUnusable",
    "DiskFacts",
    "DiskNotFound",
    "DiskObservation",
    "DomainFacts",
    "DomainNotFound",
    "DomainNotRunning",
    "DomainObservation",
    "Event",
    "HostBusy",
    "HostFacts",
    "HostUnreachable",
    "Hypervisor",
    "HypervisorError",
    "Identity",
    "IdentityMismatch",
    "InvalidOption",
    "Inventory",
    "JobActive",
    "LifecycleEvent",
    "Mirror",
    "NoAnswer",
    "NoJob",
    "NotReady",
    "PivotFailed",
    "PoolFacts",
    "Progress",
    "Refused",
    "Started",
    "StillEnding",
    "Subscription",
    "check",
    "check_bandwidth",
    "check_options",
    "close_all",
    "connection",
    "start_event_loop",
    "to_xml",
    "uri",
    "validate",
]
