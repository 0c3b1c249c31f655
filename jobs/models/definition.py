"""What a domain's XML said of a disk, before and after its copy."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models.job import CopyJob


class JobDefinition(models.Model):
    """A disk's `<disk>` element in the live XML as one look showed it.

    A table of its own, since sweeps read every active job each second.
    """

    class When(models.TextChoices):
        BEFORE = "before", _("before the start")
        AFTER = "after", _("after the end")

    job = models.ForeignKey(
        CopyJob, on_delete=models.CASCADE, related_name="definitions", db_index=False
    )
    when = models.CharField(max_length=6, choices=When)
    taken_at = models.DateTimeField(default=timezone.now)
    xml = models.TextField()

    class Meta:
        ordering = ["taken_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "when"], name="one_of_each_moment"),
        ]

    def __str__(self) -> str:
        return f"{self.job}, {self.get_when_display()}"
