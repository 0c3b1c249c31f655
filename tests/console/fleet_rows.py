"""More rows than one: fleets and jobs for lists, and names meant to do harm."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from jobs.lifecycle import State
from jobs.models import ChainLink, CopyJob, Disk, Domain, Host

HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>",
    "x" * 255,
    "\u202egnp.exe",
    "web 🦊 née",
    "'\"{{ 7|add:7 }}{% now 'Y' %}&lt;",
)


def add_domain(host: Host, name: str = "db", **fields: Any) -> Domain:
    """Add a running domain without disks."""
    return Domain.objects.create(
        **{
            "host": host,
            "uuid": str(uuid.uuid4()),
            "name": name,
            "libvirt_id": 9,
            "state": "running",
            "persistent": True,
            "seen_at": timezone.now(),
            **fields,
        }
    )


def add_disk(domain: Domain, target: str = "vda", **fields: Any) -> Disk:
    """Add a disk without a backing file."""
    path = f"/srv/images/{domain.uuid}-{target}.qcow2"
    disk = Disk.objects.create(
        **{
            "domain": domain,
            "target": target,
            "bus": "virtio",
            "device": "disk",
            "format": "qcow2",
            "source": path,
            "source_kind": "file",
            "persistent_source": path,
            "capacity": 2**30,
            **fields,
        }
    )
    if disk.source:
        ChainLink.objects.create(
            disk=disk, depth=0, location=disk.source, kind="file", format="qcow2"
        )
    return disk


def add_job(disk: Disk, state: State = State.MIRRORING, **fields: Any) -> CopyJob:
    """Add a job on `disk`."""
    domain = disk.domain
    return CopyJob.objects.create(
        **{
            "host": domain.host,
            "domain": domain,
            "host_name": domain.host.name,
            "domain_name": domain.name,
            "domain_uuid": domain.uuid,
            "disk": disk.target,
            "source": disk.source,
            "destination": f"/srv/images/copy-of-{disk.pk}.qcow2",
            "destination_format": "qcow2",
            "destination_xml": "<disk/>",
            "requested_by_name": "olga",
            "state": state,
            "libvirt_id": domain.libvirt_id,
            **fields,
        }
    )
