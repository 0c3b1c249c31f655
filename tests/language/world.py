"""A fleet in which a bit of everything happens, so that pages have all to say."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.hypervisor import Destination, Secret, Server, destination_to_json
from jobs.lifecycle import State
from jobs.models import (
    CopyJob,
    Disk,
    Host,
    JobEvent,
    JobSample,
    SavedView,
    StoragePool,
)
from jobs.preflight import Finding, Level, findings_to_json
from tests.console.fleet_rows import add_disk, add_domain
from tests.console.rows import add_leftover, job_in, seen_for

GIB = 2**30


class World(SimpleNamespace):
    """What was made, by name; jobs by their state."""

    disk: Disk
    host: Host
    silent: Host
    jobs: dict[State, CopyJob]


def furnish(reader: User, disk: Disk, pool: StoragePool) -> World:
    """Fill the database (and Redis) around `disk`; `reader` has saved a view."""
    host = disk.domain.host
    jobs = {state: _job(host, state) for state in State}
    world = World(reader=reader, disk=disk, host=host, pool=pool, jobs=jobs)
    _progress(jobs[State.COPYING])
    _samples(jobs[State.MIRRORING])
    _told(jobs[State.FAILED])
    world.more = _odd_jobs(host)
    world.silent = _silent(host)
    world.stranger = _stranger(host)
    world.odd = _odd_domain(host)
    world.leftovers = _leftovers(disk)
    world.view = SavedView.objects.create(
        user=reader, name="w-1", query="state=failed-or-lost&host=alder&within=24h"
    )
    return world


def _job(host: Host, state: State, **fields: Any) -> CopyJob:
    disk = add_disk(add_domain(host, "web"))
    fields.setdefault("source_format", "qcow2")
    fields.setdefault("capacity", 40 * GIB)
    fields.setdefault("reason", "w-1")
    return job_in(state, disk, **fields)


def _progress(job: CopyJob) -> None:
    # The guest writes faster than is copied.
    seen_for(job, 3 * GIB, 9 * GIB, rate=2**20, growth=2**20, seconds=300)


def _samples(job: CopyJob) -> None:
    began = timezone.now() - timedelta(minutes=10)
    for number in range(12):
        JobSample.objects.create(
            job=job,
            at=began + timedelta(seconds=50 * number),
            current=number * GIB,
            end=13 * GIB,
            bandwidth=0,
            written=number * 2**20,
        )
    findings = [
        Finding("a", Level.WARN, "Recorded.", "Recorded.", "disk", "w-1"),
        Finding("b", Level.PASS, "Recorded."),
        Finding("c", Level.NOTICE, "Recorded."),
    ]
    CopyJob.objects.filter(pk=job.pk).update(
        findings=findings_to_json(findings), bandwidth=5 * 2**20, bandwidth_asked=2**20
    )


def _told(job: CopyJob) -> None:
    """Everything that a failed job can say."""
    CopyJob.objects.filter(pk=job.pk).update(
        failure="Recorded.",
        remedy="Recorded.",
        libvirt_text="Recorded.",
        libvirt_code=9,
        left_behind="Recorded.",
    )
    for level in ("info", "warning", "error"):
        JobEvent.objects.create(job=job, level=level, message="Recorded.")
    for outcome in audit.Outcome:
        audit.record(SYSTEM, "speed", job, outcome, reason="w-1", detail="Recorded.")


def _odd_jobs(host: Host) -> list[CopyJob]:
    now = timezone.now()
    network = Destination(
        kind="network",
        protocol="rbd",
        name="pool/image",
        servers=(Server("h-1", 6789),),
        user="u-1",
        auth=Secret(usage="u-1"),
        format="raw",
    )
    return [
        _job(host, State.MIRRORING, adopted_at=now),
        _job(host, State.QUEUED, start_at=now + timedelta(hours=3)),
        _job(host, State.QUEUED, start_at=now - timedelta(hours=3)),
        _job(host, State.COPYING, flagged="Recorded.", stall_limit=60, total_limit=60),
        _job(host, State.FINISHING, frozen_at=now, consistent=True),
        _job(host, State.FAILED, qemu_text="Recorded.", failure="Recorded."),
        _job(host, State.LOST, likely_cause="Recorded.", failure="Recorded."),
        _job(
            host,
            State.COPYING,
            destination_kind="network",
            destination_spec=destination_to_json(network),
            granularity=65536,
            buf_size=2**20,
            shallow=True,
            synchronous_writes=True,
            when_ready="finish",
        ),
    ]


def _silent(host: Host) -> Host:
    now = timezone.now()
    silent = Host.objects.create(
        name="birch",
        site=host.site,
        transport="ssh",
        host_name="h-1",
        user="u-1",
        port=2222,
        error="Recorded.",
        error_remedy="Recorded.",
        error_at=now,
        last_seen_at=now - timedelta(minutes=9),
        production=True,
    )
    _job(silent, State.COPYING)
    Host.objects.create(name="h-2", site=host.site, transport="local", enabled=False)
    Host.objects.create(name="h-3", site=host.site, transport="local")
    return silent


def _stranger(host: Host) -> Disk:
    return add_disk(
        add_domain(host, "web"),
        mirror="/srv/images/s-1",
        mirror_job="copy",
        mirror_kind="file",
        mirror_format="qcow2",
    )


def _odd_domain(host: Host) -> Disk:
    """Its next boot would use another file; it had more disks; it is gone."""
    domain = add_domain(host, "web", persistent=False, state="shutoff")
    disk = add_disk(domain, persistent_source="/srv/images/s-2", read_only=True)
    add_disk(domain, "vdb", gone_at=timezone.now())
    add_domain(host, "web", gone_at=timezone.now())
    return disk


def _leftovers(disk: Disk) -> list[Any]:
    now = timezone.now()
    kinds = ("source", "copy", "partial", "unknown")
    made = [add_leftover(disk, kind=kind, ours=True) for kind in kinds]
    made.append(add_leftover(disk, bytes=None, measured_at=None, refusal="Recorded."))
    made.append(add_leftover(disk, removal_asked_at=now, removal_asked_by="u-1"))
    made.append(add_leftover(disk, removed_at=now, closing="Recorded."))
    return made
