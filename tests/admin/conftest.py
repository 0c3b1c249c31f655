"""A superuser beside the cast, and objects to look at."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host, Leftover
from jobs.transition import tell
from tests.conftest import PASSWORD, signed_in


@pytest.fixture
def sue(db: None) -> User:
    """The superuser."""
    return User.objects.create_superuser("sue", password=PASSWORD)


@pytest.fixture
def administration(ada: User) -> Client:
    """The administrator's client."""
    return signed_in(ada)


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    """A copy that mirrors."""
    job = CopyJob.objects.create(
        host=disk.domain.host,
        domain=disk.domain,
        host_name="alder",
        domain_name="web",
        domain_uuid=disk.domain.uuid,
        disk="vda",
        source=disk.source,
        destination="/srv/images/web-copy.qcow2",
        destination_format="qcow2",
        destination_xml="<disk/>",
        requested_by_name="olga",
        state=State.MIRRORING,
        libvirt_id=7,
        started_at=timezone.now(),
        ready_at=timezone.now(),
    )
    tell(job, "In sync.", actor=SYSTEM)
    return job


@pytest.fixture
def leftover(job: CopyJob) -> Leftover:
    """What another copy of the same disk left behind, as measured since."""
    ended = CopyJob.objects.get(pk=job.pk)
    ended.pk, ended.state, ended.ended_at = None, State.CANCELLED, timezone.now()
    ended.destination = "/srv/images/partial.qcow2"
    ended.claim = ""
    ended._state.adding = True
    ended.save()
    return Leftover.objects.create(
        host=ended.host,
        job=ended,
        host_name="alder",
        domain_name=ended.domain_name,
        kind=Leftover.Kind.PARTIAL,
        location=ended.destination,
        storage_kind="file",
        bytes=3 * 2**30,
        measured_at=timezone.now(),
    )


@pytest.fixture
def entry(host: Host) -> AuditEntry:
    """An entry of the audit log."""
    return audit.record(SYSTEM, "sync", host, audit.Outcome.DONE, reason="of course")
