"""The hypervisor layer: the only code that talks to libvirt; knows nothing of Django.

The rest of the project imports from here and from nowhere below.
"""

from __future__ import annotations

from jobs.hypervisor.address import Address, AddressError, AddressPolicy, uri, validate
from jobs.hypervisor.destination import (
    Destination,
    DestinationError,
    Secret,
    Server,
    destination_from_json,
    destination_to_json,
)
from jobs.hypervisor.destination_check import check
from jobs.hypervisor.destination_reading import from_xml
from jobs.hypervisor.destination_xml import to_xml
from jobs.hypervisor.errors import (
    AgentUnavailable,
    DestinationExists,
    DestinationUnsound,
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
    KeyNotTimed,
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
from jobs.hypervisor.evidence import DirectoryFacts, Evidence, ImageFacts, Use
from jobs.hypervisor.host import Hypervisor
from jobs.hypervisor.options import (
    check_bandwidth,
    check_options,
    check_together,
    flag_names,
    options_for,
    parameters,
)
from jobs.hypervisor.pool import close_all, connection
from jobs.hypervisor.reasons import Reason, meaning
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
from jobs.hypervisor.versions import (
    OLDEST_LIBVIRT,
    host_support,
    option_support,
    version_text,
)

__all__ = [
    "OLDEST_LIBVIRT",
    "Address",
    "AddressError",
    "AddressPolicy",
    "AgentUnavailable",
    "BlockJobEvent",
    "ChainLink",
    "ConnectionClosed",
    "CopyOptions",
    "Destination",
    "DestinationError",
    "DestinationExists",
    "DestinationUnsound",
    "DestinationUnusable",
    "DirectoryFacts",
    "DiskFacts",
    "DiskNotFound",
    "DiskObservation",
    "DomainFacts",
    "DomainNotFound",
    "DomainNotRunning",
    "DomainObservation",
    "Event",
    "Evidence",
    "HostBusy",
    "HostFacts",
    "HostUnreachable",
    "Hypervisor",
    "HypervisorError",
    "Identity",
    "IdentityMismatch",
    "ImageFacts",
    "InvalidOption",
    "Inventory",
    "JobActive",
    "KeyNotTimed",
    "LifecycleEvent",
    "Mirror",
    "NoAnswer",
    "NoJob",
    "NotReady",
    "PivotFailed",
    "PoolFacts",
    "Progress",
    "Reason",
    "Refused",
    "Secret",
    "Server",
    "Started",
    "StillEnding",
    "Subscription",
    "Use",
    "check",
    "check_bandwidth",
    "check_options",
    "check_together",
    "close_all",
    "connection",
    "destination_from_json",
    "destination_to_json",
    "flag_names",
    "from_xml",
    "host_support",
    "meaning",
    "option_support",
    "options_for",
    "parameters",
    "start_event_loop",
    "to_xml",
    "uri",
    "validate",
    "version_text",
]
