"""A host in memory, a copy on it, and what is told of the copy."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions, tasks
from jobs.actor import Actor
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host
from jobs.preflight import CopyRequest
from jobs.resolve import EVIDENCE_SECONDS
from tests.conftest import actor_of
from tests.fakes import FakeHypervisor
from tests.workers import Workers, workers

__all__ = ["workers"]

NEW = "/images/new.qcow2"


@pytest.fixture
def alder(monkeypatch: pytest.MonkeyPatch) -> FakeHypervisor:
    """The host that every worker finds."""
    fake = FakeHypervisor()
    monkeypatch.setattr("jobs.reconcile.connection", fake.connection)
    return fake


@pytest.fixture
def web(alder: FakeHypervisor) -> str:
    return alder.add_domain("web")


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


@pytest.fixture
def job(web: str, workers: Workers, host: Host, operator: Actor) -> CopyJob:
    """A copy that was requested and not yet started."""
    tasks.sync_host(host.pk)
    wanted = CopyRequest(Disk.objects.get(), Destination("file", NEW, "qcow2"))
    return actions.request_copy(wanted, operator)


@pytest.fixture
def mirroring(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> CopyJob:
    workers.work()
    alder.make_ready(web, "vda")
    workers.sweep()
    assert settled(job).state == State.MIRRORING
    return job


def settled(job: CopyJob) -> CopyJob:
    job.refresh_from_db()
    return job


def much_later(job: CopyJob) -> None:
    """The end was asked for longer ago than evidence of it is waited for."""
    since = timezone.now() - timedelta(seconds=EVIDENCE_SECONDS + 1)
    CopyJob.objects.filter(pk=job.pk).update(ending_at=since)


def history(job: CopyJob) -> list[str]:
    return list(job.events.values_list("message", flat=True))


def outcomes(job: CopyJob) -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(object_type="copy job", object_id=str(job.pk))
    return list(entries.order_by("id").values_list("action", "outcome", "actor"))
