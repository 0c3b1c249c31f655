"""What the database knows around the copies that are judged together."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from django.db.models import BooleanField, ExpressionWrapper, Q

from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Leftover
from jobs.models.domain import using

if TYPE_CHECKING:
    from jobs.preflight.case import Case

# The most users of one place that are looked at.
MOST_USERS = 50


class Known:
    """Each of these is read once for all of the cases, when the first rule asks."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def users(self, case: Case) -> list[Disk]:
        """Return the disks that the destination is a part of, those of its own host
        first, its source before all."""
        if not self._anything_used:
            return []
        # What tells who they are; some forty columns are none of it.
        named = ("target", "domain__name", "domain__host", "domain__host__name")
        elsewhere = ExpressionWrapper(~Q(domain__host=case.host), BooleanField())
        found = using(case.locations).only(*named).order_by(elsewhere, "pk")
        return sorted(found[:MOST_USERS], key=lambda user: user != case.row)

    def promised(self, case: Case) -> list[CopyJob]:
        """Return the active jobs that write, or are about to write, to a place of that
        name, the newest first."""
        return [job for job in self._promised if job.destination in case.locations]

    def left(self, case: Case) -> Leftover | None:
        """Return what a job left at the destination; None for nothing."""
        for row in self._left:
            if row.host_id == case.host.pk and row.location in case.locations:
                return row
        return None

    def doubt(self, case: Case) -> CopyJob | None:
        """Return the job since which libvirt may be wrong about where the disk's data
        is, in the guest's present run; None for none."""
        own = (case.host.pk, case.row.domain.uuid, case.target)
        for job in self._doubtful:
            if (job.host_id, job.domain_uuid, job.disk) == own:
                return job if job.is_doubted_in(case.run) else None
        return None

    def jobs(self, case: Case) -> list[CopyJob]:
        """Return the active jobs of the case's disk, the newest first."""
        own = (case.host.pk, case.row.domain.uuid, case.target)
        return [
            job for job in self._jobs if (job.host_id, job.domain_uuid, job.disk) == own
        ]

    # --- What is read ---------------------------------------------------------------

    @property
    def _locations(self) -> set[str]:
        return {location for case in self.cases for location in case.locations}

    @cached_property
    def _anything_used(self) -> bool:
        return using(self._locations).exists()

    @cached_property
    def _promised(self) -> list[CopyJob]:
        jobs = CopyJob.objects.active().filter(destination__in=self._locations)
        named = ("state", "destination", "destination_kind", "created_volume", "host")
        return list(jobs.only(*named))

    @cached_property
    def _left(self) -> list[Leftover]:
        hosts = {case.host.pk for case in self.cases}
        rows = Leftover.objects.there().filter(host__in=hosts)
        return list(rows.filter(location__in=self._locations))

    @cached_property
    def _doubtful(self) -> list[CopyJob]:
        """The newest first."""
        jobs = CopyJob.objects.filter(
            state=State.LOST,
            doubted=True,
            host__in={case.host.pk for case in self.cases},
            domain_uuid__in={case.row.domain.uuid for case in self.cases},
            disk__in={case.target for case in self.cases},
        )
        return list(jobs.only("host", "domain_uuid", "disk", "libvirt_id", "doubted"))

    @cached_property
    def _jobs(self) -> list[CopyJob]:
        jobs = CopyJob.objects.active().filter(
            host__in={case.host.pk for case in self.cases},
            domain_uuid__in={case.row.domain.uuid for case in self.cases},
            disk__in={case.target for case in self.cases},
        )
        named = ("state", "host", "domain_uuid", "disk")
        return list(jobs.only(*named))
