"""Asking the workers for something.

By name, so that pages and actions need not import what runs in a worker. Requests
leave when the transaction is committed. One that is lost is made again by the tick,
but for a connection test and a check: those a person asks for again.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from blockcopy_web.celery import site_queue
from jobs.models import CopyJob, Host, Leftover

log = structlog.get_logger(__name__)


def _send(task: str, site: str, *args: object, expires: float | None = None) -> None:
    def publish() -> None:
        try:
            current_app.send_task(
                f"jobs.tasks.{task}",
                args=args,
                queue=site_queue(site),
                expires=expires,
                retry=False,
            )
        except OperationalError as error:
            # Intent is in the database: the next tick asks again.
            log.warning("broker did not answer", task=task, error=str(error))

    # Asked first, because on_commit connects to the database; the listener must not.
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(publish)
    else:
        publish()


def start(job: CopyJob) -> None:
    """Ask for a queued job to be started."""
    _send("start_job", job.host.site.name, job.pk)


def call(job: CopyJob) -> None:
    """Ask for the verb that the job's state names: pivot, finish or cancel."""
    task = {
        "pivoting": "pivot_job",
        "finishing": "finish_job",
        "cancelling": "cancel_job",
    }[job.state]
    _send(task, job.host.site.name, job.pk)


def set_speed(job: CopyJob) -> None:
    """Ask for the bandwidth that `job.bandwidth_asked` names."""
    _send("set_speed", job.host.site.name, job.pk, expires=60)


def thaw(job: CopyJob) -> None:
    """Ask for the guest's file systems to be thawed, since nobody else will."""
    _send("thaw_job", job.host.site.name, job.pk, expires=60)


def observe_domain(
    site: str,
    host_pk: int,
    domain_uuid: str,
    disk: str = "",
    status: str = "",
    at: float = 0.0,
    reason: str = "",
) -> None:
    """Ask for a look at all jobs of one domain, as the listener does on an event.

    With `status` the event was a block job's on `disk`, heard at the epoch second
    `at`; `reason` is what QEMU said of a failure.
    """
    _send("observe_domain", site, host_pk, domain_uuid, disk, status, at, reason)


def observe_host(site: str, host_pk: int) -> None:
    """Ask for a look at all active jobs of a host."""
    _send("observe_host", site, host_pk, expires=10)


def observe_strangers(site: str, host_pk: int) -> None:
    """Ask which disks of a host show a block job."""
    _send("observe_strangers", site, host_pk, expires=10)


def sync_host(site: str, host_pk: int) -> None:
    """Ask for a host's whole inventory."""
    _send("sync_host", site, host_pk, expires=300)


def check_copy(host: Host, key: str, request: dict[str, Any]) -> None:
    """Ask for a look at a host for a copy that somebody may want; see checks.keep."""
    _send("check_copy", host.site.name, key, request, expires=10)


def measure_leftover(leftover: Leftover) -> None:
    """Ask for a look at what a job left."""
    _send("measure_leftover", leftover.host.site.name, leftover.pk, expires=60)


def remove_leftover(leftover: Leftover) -> None:
    """Ask for a removal to be carried out, or refused."""
    _send("remove_leftover", leftover.host.site.name, leftover.pk, expires=60)


def test_host(host: Host, actor: str) -> None:
    """Ask for a try at connecting to the host."""
    _send("test_host", host.site.name, host.pk, actor, expires=60)
