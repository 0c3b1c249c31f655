"""The ledger of what jobs left on the hosts' storage."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from jobs.models.host import Host
from jobs.models.job import CopyJob
from jobs.models.told import Told
from jobs.said import say


class LeftoverQuerySet(models.QuerySet["Leftover"]):
    """The questions that pages and tasks ask of the ledger."""

    def there(self) -> LeftoverQuerySet:
        """Return what has not been removed, as far as the console knows."""
        return self.filter(removed_at=None)

    def to_remove(self) -> LeftoverQuerySet:
        """Return what somebody asked to be removed."""
        return self.there().exclude(removal_asked_at=None)


class Leftover(Told):
    """One file, device or volume that a job left behind.

    Nothing is ever removed by itself but a failed job's own volume. A removal is asked
    for (`removal_asked_at`), then proven harmless on every known host, then done
    (`removed_at`) or refused (`refusal`, and the asking is emptied). What was gone
    already, or belongs to a later row now, is closed in the same way: `closing` says
    how each row came to its end.
    """

    class Kind(models.TextChoices):
        PARTIAL = "partial", say("partial copy")
        SOURCE = "source", say("old source")
        COPY = "copy", say("point-in-time copy")
        UNCERTAIN = "unknown", say("not known which")

    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="leftovers")
    job = models.ForeignKey(CopyJob, on_delete=models.PROTECT, related_name="leftovers")
    host_name = models.CharField(max_length=63)
    domain_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=Kind)
    location = models.TextField()
    storage_kind = models.CharField(max_length=16)
    # Whether the console made it (a volume); only then may it go by itself.
    ours = models.BooleanField(default=False)
    # Bytes that it takes on the storage; None where the host could not tell.
    bytes = models.BigIntegerField(null=True)
    noted_at = models.DateTimeField(default=timezone.now)
    measured_at = models.DateTimeField(null=True)
    # What the file was like when it was measured (ImageFacts.fingerprint): only that
    # very file is ever removed.
    fingerprint = models.TextField(blank=True)

    removal_asked_at = models.DateTimeField(null=True)
    removal_asked_by = models.CharField(max_length=150, blank=True)
    removal_reason = models.TextField(blank=True)
    refusal = models.TextField(blank=True)
    # Written before the host is asked to delete it.
    removing_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    closing = models.TextField(blank=True)

    objects = LeftoverQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["job", "location"], name="one_leftover_per_job_and_place"
            )
        ]
        indexes: ClassVar = [
            # What is there, newest first; and what the tick is to remove.
            models.Index(
                fields=["-id"],
                condition=models.Q(removed_at=None),
                name="leftovers_there",
            ),
            # The tick: what is to be measured next?
            models.Index(
                fields=["measured_at"],
                condition=models.Q(removed_at=None),
                name="leftovers_to_measure",
            ),
        ]
        permissions: ClassVar = [("remove_leftover", "Can remove a leftover")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.location} on {self.host_name}"
