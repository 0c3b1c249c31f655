"""Requests and evidence by hand, for the rules to judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    DirectoryFacts,
    DiskFacts,
    DomainFacts,
    Evidence,
    HostFacts,
    ImageFacts,
    PoolFacts,
)
from jobs.models import Disk
from jobs.preflight import CopyRequest
from jobs.preflight.case import Case

GIB = 2**30
SIZE = 10 * GIB
SOURCE = "/srv/images/web.qcow2"
BASE = "/srv/images/base.qcow2"
NEW = "/srv/images/copy.qcow2"

HOST = HostFacts("alder", "host-uuid", "QEMU", 9_000_000, 7_002_000)
POOL = PoolFacts(
    "pool-uuid", "images", "dir", True, "/srv/images", 100 * GIB, 40 * GIB, 60 * GIB
)
DISK = DiskFacts(
    target="vda",
    bus="virtio",
    device="disk",
    format="qcow2",
    source=SOURCE,
    source_kind="file",
    persistent_source=SOURCE,
    read_only=False,
    shareable=False,
    capacity=SIZE,
    allocation=4 * GIB,
    physical=4 * GIB,
    chain=(ChainLink(BASE, "file", "qcow2"),),
)
IMAGE = ImageFacts(
    location=SOURCE,
    exists=True,
    kind="file",
    format="qcow2",
    capacity=SIZE,
    allocation=4 * GIB,
    backing=BASE,
    backing_format="qcow2",
    fingerprint="file source",
)
BASE_IMAGE = replace(
    IMAGE,
    location=BASE,
    allocation=GIB,
    backing="",
    backing_format="",
    fingerprint="file base",
)
# A reused file as it should be for a full copy.
REUSED = ImageFacts(NEW, True, "file", "qcow2", SIZE, 0, fingerprint="file copy")


def domain_facts(disk: DiskFacts | None = DISK, **changes: Any) -> DomainFacts:
    """The running domain "web" with one disk, or none."""
    facts = DomainFacts(
        uuid="6f9619ff-8b86-4011-b42d-00cf4fc964ff",
        name="web",
        domain_id=7,
        state="running",
        state_reason=1,
        persistent=True,
        disks=(disk,) if disk else (),
    )
    return replace(facts, **changes)


def evidence(disk: DiskFacts | None = DISK, **changes: Any) -> Evidence:
    """Evidence of a healthy host on which a new file can be made."""
    healthy = Evidence(
        host=HOST,
        domain=domain_facts(disk),
        destination=ImageFacts(NEW, False),
        source=IMAGE,
        chain=(BASE_IMAGE,),
        directory=DirectoryFacts(
            "/srv/images", True, "images", 60 * GIB, 100 * GIB, True
        ),
        pool=POOL,
    )
    return replace(healthy, **changes)


def to_file(path: str = NEW, format_: str = "qcow2", **more: Any) -> Destination:
    return Destination("file", path, format_, **more)  # type: ignore[arg-type]


def request(
    disk: Disk, destination: Destination | None = None, **changes: Any
) -> CopyRequest:
    """A copy to a new file; options by their names among `changes`."""
    names = CopyOptions.__dataclass_fields__.keys() & changes.keys()
    options = CopyOptions(**{name: changes.pop(name) for name in names})
    return CopyRequest(disk, destination or to_file(), options, **changes)


def case(
    disk: Disk,
    destination: Destination | None = None,
    seen: Evidence | None = None,
    **changes: Any,
) -> Case:
    return Case(request(disk, destination, **changes), seen)
