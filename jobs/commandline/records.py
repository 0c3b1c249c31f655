"""The JSON objects that the commands print; their keys are an interface.

Times are ISO 8601 in UTC, sizes bytes, rates bytes per second, durations seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from jobs import live
from jobs.forecast import Forecast
from jobs.hypervisor import HostFacts, option_support
from jobs.leftovers import uses_of
from jobs.live import LiveProgress
from jobs.models import (
    AuditEntry,
    CopyJob,
    Disk,
    Domain,
    Host,
    Leftover,
    StoragePool,
)
from jobs.roles import role_of
from jobs.units import version_text

Record = dict[str, Any]


def when(time: datetime | None) -> str | None:
    """Return a time as ISO 8601, or None."""
    return time.isoformat() if time else None


def version(number: int | None) -> str | None:
    """Return a version as people write it, or None."""
    return None if number is None else version_text(number)


# --- Hosts ---------------------------------------------------------------------------


def host_record(host: Host) -> Record:
    """Return a host: its address, and what it last said of itself."""
    return {
        "host": host.name,
        "site": host.site.name,
        **{name: getattr(host, name) for name in _ADDRESS},
        "enabled": host.enabled,
        "production": host.production,
        "reachable": host.reachable,
        "last_seen_at": when(host.last_seen_at),
        "synced_at": when(host.synced_at),
        "error": host.error,
        "remedy": host.error_remedy,
        "reported_name": host.reported_name,
        "uuid": host.uuid,
        "hypervisor": host.hypervisor,
        "libvirt_version": version(host.libvirt_version),
        "hypervisor_version": version(host.hypervisor_version),
    }


def lacks_record(host: Host) -> Record:
    """Return the options of a copy that the host lacks, each with why.

    Empty for a host that has them all, and for one that has not told its versions.
    """
    if host.libvirt_version is None or host.hypervisor_version is None:
        return {}
    facts = HostFacts(
        hostname=host.reported_name,
        uuid=host.uuid,
        hypervisor=host.hypervisor,
        libvirt_version=host.libvirt_version,
        hypervisor_version=host.hypervisor_version,
    )
    return {option: why for option, why in option_support(facts).items() if why}


_ADDRESS = ("transport", "host_name", "port", "user", "mode", "socket")


def pool_record(pool: StoragePool) -> Record:
    """Return a storage pool."""
    names = ("name", "kind", "active", "path", "capacity", "allocation", "available")
    return {name: getattr(pool, name) for name in names}


# --- Domains -------------------------------------------------------------------------


def domain_record(domain: Domain) -> Record:
    """Return a domain without its disks."""
    return {
        "domain": domain.name,
        "uuid": domain.uuid,
        "host": domain.host.name,
        "state": "gone" if domain.gone_at else domain.state,
        "id": domain.libvirt_id,
        "persistent": domain.persistent,
        "seen_at": when(domain.seen_at),
    }


def disk_record(disk: Disk, job: int | None) -> Record:
    """Return a disk with its backing chain; `job` is its active copy job."""
    return {
        "disk": disk.target,
        **{name: getattr(disk, name) for name in _DISK},
        "chain": [
            {"location": link.location, "kind": link.kind, "format": link.format}
            for link in disk.chain.all()
        ],
        "job": job,
    }


_DISK = (
    *("bus", "device", "format", "source", "source_kind", "persistent_source"),
    *("read_only", "shareable", "capacity", "allocation", "physical", "mirror"),
)


# --- Jobs ----------------------------------------------------------------------------


def job_records(jobs: Iterable[CopyJob]) -> list[Record]:
    """Return copy jobs, with the progress of those that run."""
    listed = list(jobs)
    progress = live.progress_of(job.pk for job in listed if job.active)
    return [_job_record(job, progress.get(job.pk)) for job in listed]


def job_record(job: CopyJob) -> Record:
    """Return one copy job."""
    return job_records([job])[0]


def _job_record(job: CopyJob, progress: LiveProgress | None) -> Record:
    return {
        "job": job.pk,
        "state": str(job.state),
        "source": job.source,
        "destination": job.destination,
        "seconds": seconds(job),
        "host": job.host_name,
        "domain": job.domain_name,
        "disk": job.disk,
        "failure": job.failure,
        "remedy": job.remedy,
        **{name: getattr(job, name) for name in _ENDED},
        "domain_uuid": job.domain_uuid,
        "capacity": job.capacity,
        "destination_kind": job.destination_kind,
        "destination_format": job.destination_format,
        "when_ready": str(job.when_ready),
        "requested_by": job.requested_by_name,
        "reason": job.reason,
        **{name: getattr(job, name) for name in _OPTIONS},
        **{name: when(getattr(job, name)) for name in _TIMES},
        "progress": progress_record(progress),
    }


_ENDED = (
    *("left_behind", "libvirt_code", "libvirt_text", "qemu_text", "likely_cause"),
    *("flagged", "created_volume", "consistency"),
)
_OPTIONS = (
    *("shallow", "reuse_external", "synchronous_writes", "target_zeroed"),
    *("bandwidth", "bandwidth_asked", "granularity", "buf_size", "consistent"),
    *("stall_limit", "total_limit", "at_limit", "accepted", "transient_job"),
)
_TIMES = (
    *("requested_at", "start_at", "started_at", "ready_at", "ended_at", "seen_at"),
    "adopted_at",
)


def seconds(job: CopyJob) -> float:
    """Return the seconds from the request to the end, or to now."""
    end = job.ended_at or timezone.now()
    return round((end - job.requested_at).total_seconds(), 3)


def progress_record(progress: LiveProgress | None) -> Record | None:
    """Return how far a copy is, or None if that is not known."""
    if progress is None:
        return None
    return {
        "current": progress.current,
        "end": progress.end,
        "percent": progress.percent,
        "rate": round(progress.rate),
        **forecast_record(progress.forecast),
        "age": round(progress.age, 3),
    }


def forecast_record(found: Forecast) -> Record:
    """Return how long a copy still takes; `seconds_left` is on the safe side."""
    return {
        "seconds_left": found.high,
        "seconds_left_at_least": found.low,
        "forecast": str(found.kind),
    }


def event_records(job: CopyJob) -> list[Record]:
    """Return the history of a job."""
    return [event.record for event in job.events.all()]


def shown_record(job: CopyJob) -> Record:
    """Return one copy job with all that belongs to it but its findings."""
    return job_record(job) | {
        "destination_spec": job.destination_spec,
        "destination_xml": job.destination_xml,
        "disk_xml": {one.when: one.xml for one in job.definitions.all()},
        "leftovers": leftover_records(job.leftovers.all()),
        "events": event_records(job),
    }


# --- Leftovers -----------------------------------------------------------------------


def leftover_records(leftovers: Iterable[Leftover]) -> list[Record]:
    """Return what jobs left behind, each with what uses it as far as is known."""
    listed = list(leftovers)
    used = uses_of(listed)
    return [_leftover_record(left, used.get(left.pk, [])) for left in listed]


def leftover_record(left: Leftover) -> Record:
    """Return one leftover."""
    return leftover_records([left])[0]


def _leftover_record(left: Leftover, used_by: list[str]) -> Record:
    names = (
        *("location", "storage_kind", "ours", "bytes", "removal_asked_by"),
        *("removal_reason", "refusal", "closing"),
    )
    times = ("noted_at", "measured_at", "removal_asked_at", "removed_at")
    return {
        "leftover": left.pk,
        "state": _leftover_state(left),
        "kind": str(left.kind),
        "host": left.host_name,
        "job": left.job_id,
        "used_by": used_by,
        **{name: getattr(left, name) for name in names},
        **{name: when(getattr(left, name)) for name in times},
    }


def _leftover_state(left: Leftover) -> str:
    """Return "there", "asked", "removing" or "removed"."""
    if left.removed_at is not None:
        return "removed"
    if left.removing_at is not None:
        return "removing"
    return "there" if left.removal_asked_at is None else "asked"


# --- The audit log and the users -----------------------------------------------------


def audit_record(entry: AuditEntry) -> Record:
    """Return an entry of the audit log."""
    names = (
        *("actor", "channel", "address", "request_id", "action", "object_type"),
        *("object_id", "object_text", "intent", "reason", "outcome", "detail"),
    )
    return {
        "id": entry.pk,
        "time": when(entry.time),
        **{name: getattr(entry, name) for name in names},
    }


def user_record(user: User) -> Record:
    """Return a user; never a password."""
    return {
        "user": user.get_username(),
        "role": role_of(user),
        "superuser": user.is_superuser,
        "active": user.is_active,
        "last_login": when(user.last_login),
    }
