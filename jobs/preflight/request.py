"""What somebody wants copied, before it is a job; and as text for workers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    destination_from_json,
    destination_to_json,
)
from jobs.lifecycle import WhenReady
from jobs.models import CopyJob, Disk
from jobs.models.job import AtLimit


@dataclass(frozen=True)
class CopyRequest:
    """A disk, where it is to be copied, and how.

    The limits are seconds, 0 is none. `accepted` are the rules whose warnings were
    accepted, and `reason` is free text for the audit log: why. `job` is the job that
    this became (0 before), which is not in its own way.
    """

    disk: Disk
    destination: Destination
    options: CopyOptions = field(default_factory=CopyOptions)
    when_ready: WhenReady = WhenReady.WAIT
    consistent: bool = False
    stall_limit: int = 0
    total_limit: int = 0
    at_limit: AtLimit = AtLimit.FLAG
    accepted: frozenset[str] = frozenset()
    reason: str = ""
    job: int = 0


_PLAIN = ("consistent", "stall_limit", "total_limit", "reason", "job")


def request_of(job: CopyJob, disk: Disk | None = None) -> CopyRequest:
    """The request that `job` was made of, with the disk as the inventory has it now:
    `disk`, where that was read already.

    Disk.DoesNotExist if the domain has no such disk on record (any more).
    """
    if disk is None:
        disk = Disk.objects.select_related("domain__host__site").get(
            domain=job.domain_id, target=job.disk
        )
    return CopyRequest(
        disk=disk,
        destination=job.target_destination,
        options=job.options,
        when_ready=WhenReady(job.when_ready),
        consistent=job.consistent,
        stall_limit=job.stall_limit,
        total_limit=job.total_limit,
        at_limit=AtLimit(job.at_limit),
        accepted=frozenset(job.accepted),
        reason=job.reason,
        job=job.pk,
    )


def request_to_json(request: CopyRequest) -> dict[str, Any]:
    """What a worker gets: numbers, texts and dicts of them."""
    return {
        "disk": request.disk.pk,
        "destination": destination_to_json(request.destination),
        "options": asdict(request.options),
        "when_ready": str(request.when_ready),
        "at_limit": str(request.at_limit),
        "accepted": sorted(request.accepted),
        **{name: getattr(request, name) for name in _PLAIN},
    }


def request_from_json(kept: dict[str, Any]) -> CopyRequest:
    """The request that `request_to_json` made this of; Disk.DoesNotExist if the disk
    is gone from the database."""
    disk = Disk.objects.select_related("domain__host__site").get(pk=kept["disk"])
    return CopyRequest(
        disk=disk,
        destination=destination_from_json(kept["destination"]),
        options=CopyOptions(**kept["options"]),
        when_ready=WhenReady(kept["when_ready"]),
        at_limit=AtLimit(kept["at_limit"]),
        accepted=frozenset(kept["accepted"]),
        **{name: kept[name] for name in _PLAIN},
    )


def digest(request: CopyRequest) -> str:
    """One name for all requests for which the rules say the same: what was accepted,
    and why, is no part of it."""
    told = request_to_json(request)
    judged = {name: told[name] for name in told.keys() - {"accepted", "reason"}}
    text = json.dumps(judged, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
