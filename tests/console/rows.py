"""Copy jobs in every state, as the pages meet them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import live
from jobs.hypervisor import Progress
from jobs.lifecycle import ENDED, State
from jobs.models import CopyJob, Disk, Host, Leftover
from tests.console.fleet_rows import add_disk, add_domain, add_job

SYNCED = {State.MIRRORING, State.PIVOTING, State.FINISHING, State.PIVOTED, State.COPIED}


def job_in(state: State, disk: Disk, **fields: Any) -> CopyJob:
    """Add a job with the times that its state implies."""
    now = timezone.now()
    if state not in (State.REQUESTED, State.QUEUED):
        fields.setdefault("started_at", now - timedelta(minutes=20))
    else:
        fields.setdefault("libvirt_id", None)
    if state in SYNCED:
        fields.setdefault("ready_at", now - timedelta(seconds=751))
    if state in ENDED:
        fields.setdefault("ended_at", now - timedelta(minutes=1))
    return add_job(disk, state, **fields)


def add_leftover(disk: Disk, **fields: Any) -> Leftover:
    """Add a measured leftover of a job that was pivoted, on `disk`'s host."""
    now = timezone.now()
    number = Leftover.objects.count()
    job = fields.pop("job", None) or job_in(
        State.PIVOTED, disk, destination=f"/srv/images/new-{number}.qcow2"
    )
    return Leftover.objects.create(
        **{
            "host": disk.domain.host,
            "job": job,
            "host_name": disk.domain.host.name,
            "domain_name": disk.domain.name,
            "kind": Leftover.Kind.SOURCE,
            "location": f"/srv/images/old-{number}.qcow2",
            "storage_kind": "file",
            "bytes": 3 * 2**30,
            "measured_at": now,
            **fields,
        }
    )


def many_jobs(host: Host, state: State, count: int) -> list[CopyJob]:
    """Add jobs in `state`, each on a domain of its own."""
    return [
        job_in(state, add_disk(add_domain(host, f"guest-{number}")))
        for number in range(count)
    ]


def seen(job: CopyJob, current: int, end: int) -> None:
    """Store progress as a look at the host does."""
    live.store_progress({job.pk: Progress(current, end, 0)})


def seen_for(
    job: CopyJob,
    current: int,
    end: int,
    *,
    rate: float,
    growth: float = 0,
    seconds: int = 90,
    bandwidth: int = 0,
) -> None:
    """Store progress as looks over some time do, of a copy that goes on steadily.

    `rate` is by how much it copies, `growth` by how much `end` grows, in bytes/s.
    """
    now = timezone.now().timestamp()
    with patch("jobs.live.time.time") as clock:
        for ago in range(seconds, -1, -5):
            clock.return_value = now - ago
            progress = Progress(
                int(current - rate * ago), int(end - growth * ago), bandwidth
            )
            live.store_progress({job.pk: progress})


def text_of(response: Any) -> str:
    """Return a page's text with runs of white space made one space."""
    return " ".join(response.content.decode().split())


def queries_of(client: Client, address: str) -> int:
    """Return the number of queries that a page takes."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address)
    assert response.status_code == 200
    return len(captured)
