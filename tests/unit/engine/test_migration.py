"""Jobs of a release that did not keep what their start was called with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from tests.console.fleet_rows import add_disk, add_job

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = ("jobs", "0024_group_of_what_failed")
BEGUN = timezone.now() - timedelta(hours=1)


@pytest.fixture
def kept(disk: Disk) -> dict[str, Any]:
    """What the migration finds out, by name of the job."""
    fields: dict[str, Any] = {"bandwidth": 2**20, "started_at": BEGUN}
    domain = disk.domain
    jobs = {
        "as it was": add_job(disk, **fields),
        "changed": add_job(add_disk(domain, "vdb"), **fields),
        "refused": add_job(add_disk(domain, "vdc"), **fields),
        "adopted": add_job(add_disk(domain, "vdd"), adopted_at=BEGUN, **fields),
        "waits": add_job(add_disk(domain, "vde"), State.QUEUED, bandwidth=2**20),
    }
    for name, outcome in (("changed", "done"), ("refused", "failed")):
        audit.record(SYSTEM, "speed", jobs[name], audit.Outcome(outcome))
    call_command("migrate", *BEFORE, verbosity=0)
    old = MigrationExecutor(connection).loader.project_state([BEFORE])
    assert not hasattr(old.apps.get_model("jobs", "CopyJob"), "bandwidth_sent")
    call_command("migrate", verbosity=0)
    return {
        name: CopyJob.objects.get(pk=job.pk).bandwidth_sent
        for name, job in jobs.items()
    }


def test_what_is_known_is_filled_in(kept: dict[str, Any]) -> None:
    known = {"as it was": 2**20, "refused": 2**20}
    assert kept == {"changed": None, "adopted": None, "waits": None, **known}
