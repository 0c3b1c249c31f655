"""A fleet that was made up: rows whose words are as long as they get.

It is written straight into the console's database and Redis, whose clocks then stand
an hour ahead: what was seen then is fresh for as long as a test takes.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from jobs import audit, live
from jobs.actor import SYSTEM, Actor
from jobs.hypervisor import Progress
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Host, JobSample, Site, StoragePool
from tests.console.fleet_rows import add_disk, add_domain
from tests.console.rows import add_leftover, job_in

HOUR = 3600
MIB = 2**20
GIB = 2**30
TO_LEFT = "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}\N{HEBREW LETTER GIMEL}"
PLACES = (
    "/srv/virtual-machines/storage/fast/orders-db-vda.qcow2",
    "/srv/virtual-machines/storage/images/orders-db-vda.qcow2",
    "/srv/virtual-machines/storage/images/orders-db-vda-20261127.img",
    f"/srv/virtual-machines/{TO_LEFT}/fast/orders-db-vda.qcow2",
    f"/srv/virtual-machines/fast/{TO_LEFT}/{TO_LEFT}.qcow2",
)


def furnish() -> None:
    """Fill an empty console."""
    host = _host("alder")
    _jobs_in_sync(host)
    _jobs_that_copy(host)
    for state in State:
        _job(host, state)
    start = timezone.now() + timedelta(hours=5, minutes=40)
    _job(host, State.REQUESTED, start_at=start)
    _leftovers(host)
    _entries()


def _host(name: str) -> Host:
    ahead = timezone.now() + timedelta(seconds=HOUR)
    host = Host.objects.create(
        name=name,
        site=Site.objects.get_or_create(name="default")[0],
        transport="local",
        last_seen_at=ahead,
        synced_at=ahead,
    )
    for number, pool in enumerate(("fast", "images"), 1):
        StoragePool.objects.create(
            host=host,
            uuid=f"0f1e7f7e-0000-4000-8000-00000000000{number}",
            name=pool,
            kind="dir",
            active=True,
            path=f"/srv/virtual-machines/storage/{pool}",
            capacity=100 * GIB,
            allocation=40 * GIB,
            available=60 * GIB,
            seen_at=ahead,
        )
    return host


def _job(host: Host, state: State, **fields: Any) -> CopyJob:
    number = CopyJob.objects.count()
    disk = add_disk(add_domain(host, "orders-db"))
    fields.setdefault("destination", PLACES[number % len(PLACES)])
    fields.setdefault("requested_at", timezone.now() - timedelta(minutes=59))
    return job_in(state, disk, capacity=40 * GIB, **fields)


def _jobs_in_sync(host: Host) -> None:
    """Held for minutes and for days, and one that goes on by itself."""
    now = timezone.now()
    for held, then in (
        (timedelta(seconds=22), WhenReady.WAIT),
        (timedelta(days=2, hours=13, minutes=34), WhenReady.WAIT),
        (timedelta(hours=13, minutes=34), WhenReady.FINISH),
    ):
        job = _job(host, State.MIRRORING, ready_at=now - held, when_ready=then)
        JobSample.objects.create(
            job=job, at=now, current=40 * GIB, end=40 * GIB, bandwidth=0
        )
        _seen(job, [40 * GIB], [40 * GIB + 1013 * MIB])


def _jobs_that_copy(host: Host) -> None:
    """Soon there, hours from there, and never."""
    for rates, rest in (
        ([19 * MIB, 15 * MIB], 5000 * MIB),
        ([109.4 * MIB, 55 * MIB], 2_000_000 * MIB),
        ([0.0, 0.0], 30 * GIB),
    ):
        job = _job(host, State.COPYING)
        copied = [0.0]
        for second in range(120):
            copied.append(copied[-1] + (rates[second // 60] or 101 * MIB))
        ends = [
            rest + (count if not any(rates) else copied[-1]) + GIB for count in copied
        ]
        _seen(job, [count + GIB for count in copied], ends)


def _seen(job: CopyJob, currents: list[float], ends: list[float]) -> None:
    """Store a look each second, the last of them in an hour."""
    ahead = time.time() + HOUR
    with patch("jobs.live.time.time") as clock:
        for ago, (current, end) in enumerate(zip(currents, ends, strict=True)):
            clock.return_value = ahead - len(currents) + ago
            live.store_progress({job.pk: Progress(int(current), int(end), 0)})


def _leftovers(host: Host) -> None:
    disk = add_disk(add_domain(host, "orders-db"))
    add_leftover(disk, job=CopyJob.objects.filter(state=State.PIVOTED)[0])


def _entries() -> None:
    """Acts by everybody and from everywhere, with each outcome."""
    job = CopyJob.objects.all()[0]
    host = job.host
    olga = Actor("olga", "console", address="192.168.117.123", request_id="f" * 32)
    for outcome in audit.Outcome:
        audit.record(olga, "test connection", host, outcome)
        audit.record(
            olga, "remove leftover", job, outcome, reason="Before the weekend."
        )
        audit.record(SYSTEM, "change password", job, outcome, detail="It is done.")
