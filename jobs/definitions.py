"""Keeping what the domain's XML said of a disk before and after its copy.

From the very looks with which a job was started and ended, in the transaction of that
transition. libvirt tells no secrets in it: nothing here ever asks for them.
"""

from __future__ import annotations

from jobs.hypervisor import DiskObservation
from jobs.models import CopyJob, JobDefinition

When = JobDefinition.When


def keep(job: CopyJob, when: When, disk: DiskObservation | None) -> None:
    """Keep what a look showed of the job's disk; nothing if it showed no such disk."""
    if disk is None or not disk.xml:
        return
    JobDefinition.objects.update_or_create(
        job=job, when=when, defaults={"xml": disk.xml}
    )
