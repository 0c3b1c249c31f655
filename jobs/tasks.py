"""Celery tasks: short, take ids, idempotent. Each is a hint to look or to call.

A task that is lost, doubled or late does no harm: the intent is in the database, the
truth is on the host, and the tick asks again. Only `test_host` is asked for once;
without an outcome in the audit log it did not happen.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from jobs import (
    audit,
    calls,
    checks,
    dispatch,
    failures,
    heard,
    inventory,
    keeping,
    live,
    processes,
    reconcile,
    removal,
    samples,
    strangers,
    sweep,
)
from jobs.actor import SYSTEM
from jobs.audit.webhook import NotSent
from jobs.hypervisor import HostUnreachable, HypervisorError
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Host
from jobs.preflight import (
    CopyRequest,
    Finding,
    examinable,
    not_examined,
    preflight,
    request_from_json,
)


@shared_task
def tick() -> None:
    """Once a second: look at every host with active jobs, and sync those due."""
    _look_at_busy_hosts()
    _look_for_strangers()
    _sync_due_hosts()
    removal.tend()
    keeping.tend()
    keeping.tend_samples()
    processes.give_sign(processes.Kind.TICK, "tick")


def _look_at_busy_hosts() -> None:
    busy = (
        Host.objects.filter(enabled=True, jobs__in=CopyJob.objects.to_look_at())
        .distinct()
        .values_list("pk", "site__name")
    )
    for pk, site in busy:
        if live.first_to_ask(f"observe:{pk}", seconds=5):
            dispatch.observe_host(site, pk)


def _look_for_strangers() -> None:
    """Each host once in a period, some of them in each second of it."""
    period = settings.BLOCKCOPY_SWEEP_SECONDS
    enabled = Host.objects.filter(enabled=True).annotate(turn=F("pk") % period)
    turn = int(time.time()) % period
    for pk, site in enabled.filter(turn=turn).values_list("pk", "site__name"):
        if live.first_to_ask(f"strangers:{pk}", seconds=period):
            dispatch.observe_strangers(site, pk)


def _sync_due_hosts() -> None:
    now = timezone.now()
    due = now - timedelta(seconds=settings.BLOCKCOPY_INVENTORY_SECONDS)
    asked_long_ago = Q(sync_asked_at=None) | Q(sync_asked_at__lt=due)
    for host in Host.objects.filter(asked_long_ago, enabled=True).select_related(
        "site"
    ):
        rows = Host.objects.filter(asked_long_ago, pk=host.pk).update(sync_asked_at=now)
        if rows == 1:  # else another beat was first
            dispatch.sync_host(host.site.name, host.pk)


@shared_task
def observe_host(host_pk: int) -> None:
    """Settle all active jobs of a host."""
    live.taken_up(f"observe:{host_pk}")
    with live.exclusively(f"sweep:{host_pk}") as mine:
        host = _host(host_pk)
        if mine and host is not None:
            sweep.look_at_host(host)


@shared_task
def observe_strangers(host_pk: int) -> None:
    """See which disks of a host show a block job, ours or not."""
    host = _host(host_pk)
    if host is not None:
        _note_mirrors(host, strangers.running_domains(host))


def _note_mirrors(host: Host, domain_uuids: Collection[str]) -> None:
    asked_at = timezone.now()
    try:
        with reconcile.connect(host) as hypervisor:
            seen = hypervisor.observe_many(domain_uuids)
    except HypervisorError as error:
        reconcile.note_silence(host, error)
    else:
        strangers.note_mirrors(host, seen, asked_at)
        reconcile.note_answer(host)


@shared_task
def observe_domain(
    host_pk: int,
    domain_uuid: str,
    disk: str = "",
    status: str = "",
    at: float = 0.0,
    reason: str = "",
) -> None:
    """Settle the jobs of one domain, on an event that the listener heard.

    `status` (libvirt's, of `disk`, heard at the epoch second `at`) and `reason` (what
    QEMU said of a failure) are kept as evidence of how a mirror ended; what follows is
    decided by looking.
    """
    when = datetime.fromtimestamp(at, tz=UTC)
    if status in heard.EVIDENCE:
        failures.keep(host_pk, domain_uuid, disk, status, when, reason)
    jobs = list(
        CopyJob.objects.on_host()
        .filter(host=host_pk, domain_uuid=domain_uuid)
        .select_related("host__site")
    )
    if jobs:
        calls.look(jobs)
    elif status and (host := _host(host_pk)):
        _note_mirrors(host, [domain_uuid])
    if reason:
        failures.tell_late(host_pk, domain_uuid, disk, when, reason)


@shared_task
def start_job(job_pk: int) -> None:
    """Start a queued job."""
    calls.start(job_pk)


@shared_task
def pivot_job(job_pk: int) -> None:
    """Pivot a job whose pivot was asked for."""
    calls.pivot(job_pk)


@shared_task
def finish_job(job_pk: int) -> None:
    """End the mirror of a job whose finish was asked for."""
    calls.end(job_pk, State.FINISHING)


@shared_task
def cancel_job(job_pk: int) -> None:
    """End the copy of a job whose cancelling was asked for."""
    calls.end(job_pk, State.CANCELLING)


@shared_task
def set_speed(job_pk: int) -> None:
    """Change the bandwidth of a running copy to what was asked for last."""
    calls.set_speed(job_pk)


@shared_task
def thaw_job(job_pk: int) -> None:
    """Thaw a guest that was left frozen."""
    calls.thaw(job_pk)


@shared_task
def sync_host(host_pk: int) -> None:
    """Read a host's whole inventory and store it; once more if asked meanwhile."""
    again = f"sync again:{host_pk}"
    host = _host(host_pk)
    if host is None:
        return
    with live.exclusively(f"sync:{host_pk}") as mine:
        if not mine:
            # What the other one reads may be older than what we were asked about.
            live.first_to_ask(again, seconds=60)
            return
        live.taken_up(again)
        _sync(host)
    if live.taken_up(again):
        dispatch.sync_host(host.site.name, host_pk)


def _sync(host: Host) -> None:
    began = timezone.now()
    try:
        with reconcile.connect(host) as hypervisor:
            found = hypervisor.inventory(
                transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS
            )
    except HypervisorError as error:
        reconcile.note_silence(host, error)
    else:
        inventory.store(host, found)
        # Last: what is proven by an inventory needs all of it to be stored.
        Host.objects.filter(pk=host.pk).update(inventory_began_at=began)


@shared_task
def check_copy(key: str, wanted: dict[str, Any]) -> None:
    """Look at the host for a copy that somebody may want, and keep what was found."""
    try:
        request = request_from_json(wanted)
    except Disk.DoesNotExist:
        return  # the host was removed meanwhile
    findings, found = _judged(request)
    checks.keep(key, findings, found)


def _judged(request: CopyRequest) -> tuple[list[Finding], str]:
    """What every rule says, and the format of what lies at the destination."""
    if not examinable(request):
        return preflight(request), ""
    host = request.disk.domain.host
    try:
        with reconcile.connect(host) as hypervisor:
            evidence = hypervisor.examine(
                request.disk.domain.uuid,
                request.disk.target,
                request.destination,
                transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS,
            )
    except HostUnreachable as error:
        reconcile.note_silence(host, error)
        host.refresh_from_db()
        return preflight(request), ""
    except HypervisorError as error:
        return [*preflight(request), not_examined(request, error)], ""
    reconcile.note_answer(host)
    return preflight(request, evidence), evidence.destination.format


@shared_task
def measure_leftover(leftover_pk: int) -> None:
    """Look at what a job left on its host's storage."""
    removal.measure(leftover_pk)


@shared_task
def remove_leftover(leftover_pk: int) -> None:
    """Remove a leftover whose removal was asked for, or refuse with the reason."""
    removal.remove(leftover_pk)


@shared_task
def test_host(host_pk: int, actor: str) -> None:
    """Try a host's address and write down what came of it."""
    host = _host(host_pk)
    if host is None:
        return
    try:
        with reconcile.connect(host) as hypervisor:
            facts = hypervisor.facts()
    except HypervisorError as error:
        reconcile.note_silence(host, error)
        outcome, detail = audit.Outcome.FAILED, error.told
    else:
        reconcile.note_answer(host)
        outcome, detail = audit.Outcome.DONE, f"{facts.hostname} answered"
    audit.record(
        SYSTEM,
        "test connection",
        host,
        outcome,
        intent=f"asked by {actor}",
        detail=detail,
    )
    live.wake_host(host)


@shared_task(
    autoretry_for=(NotSent,), max_retries=3, retry_backoff=5, retry_backoff_max=30
)
def post_checkpoint(line: str) -> None:
    """Send a checkpoint of the audit log to the web address of the settings."""
    keeping.post(line)


@shared_task
def verify_audit() -> None:
    """Verify the audit log and remember what was found."""
    keeping.verify()


@shared_task
def thin_samples() -> None:
    """Thin the samples of long copies."""
    samples.thin()


def _host(pk: int) -> Host | None:
    return Host.objects.select_related("site").filter(pk=pk, enabled=True).first()
