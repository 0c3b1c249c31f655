"""Samples of a copy whose guest writes, on real libvirt."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs import actions, live, samples
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import CopyJob, JobSample
from jobs.preflight import CopyRequest
from tests.conftest import actor_of
from tests.integration.engine.conftest import MakeDisk
from tests.workers import Workers

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_what_the_guest_writes_and_the_mirror_carries(
    make_disk: MakeDisk, workers: Workers, olga: User
) -> None:
    guest, disk = make_disk()
    place = Destination("file", str(guest.host.images / "web-copy.qcow2"), "qcow2")
    job = actions.request_copy(CopyRequest(disk, place), actor_of(olga))
    workers.until(job, State.MIRRORING)

    def new_sample() -> JobSample:
        live.taken_up(f"samples:{job.host_id}")
        workers.sweep()
        return job.samples.latest("at")

    first = new_sample()
    assert first.written is not None
    before = guest.log.writes
    workers.until_true(
        lambda: guest.log.writes >= before + 20 and new_sample().end > first.end,
        lambda: f"{list(job.samples.values())}",
        timeout=60,
    )
    last = new_sample()
    assert last.written is not None
    assert last.written > first.written
    # Two writes to one place may be carried as one, so no more than this is so.
    assert last.current > first.current
    assert last.end > first.end
    job = CopyJob.objects.get(pk=job.pk)
    assert samples.ready_ends([job])[job.pk] <= last.end
    actions.perform(actions.CANCEL, job, actor_of(olga))
    workers.until(job, State.CANCELLED)
    assert job.samples.count() >= 2, "history stays"
