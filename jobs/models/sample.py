"""What a copy's chart is drawn from."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from jobs.models.job import CopyJob


class JobSample(models.Model):
    """How far a copy was at one moment; older ones are thinned, never all removed.

    Counters, not rates: what lies between two samples is right however far apart they
    are. `current` and `end` are libvirt's: `end` grows with what the guest writes to
    where the copy has been already.
    """

    job = models.ForeignKey(
        CopyJob, on_delete=models.CASCADE, related_name="samples", db_index=False
    )
    at = models.DateTimeField()
    current = models.BigIntegerField()
    end = models.BigIntegerField()
    # The limit in force on the host, bytes/s; 0 is none.
    bandwidth = models.BigIntegerField()
    # Bytes that the guest has written to the disk since it was started; None if its
    # QEMU was not asked.
    written = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["at"]
        indexes: ClassVar = [
            # The chart of a job; what it mirrored since it was ready; thinning.
            models.Index(fields=["job", "at"], name="samples_of_job"),
        ]

    def __str__(self) -> str:
        return f"{self.current} of {self.end} bytes at {self.at}"
