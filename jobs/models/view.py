"""What one person keeps for themselves."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """A filter of the jobs page under a name, of one user and for nobody else.

    `query` is a query string of `jobs.console.filters.JobFilter`.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views"
    )
    name = models.CharField(max_length=60)
    query = models.TextField(blank=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "name"], name="one_view_per_user_and_name"
            )
        ]

    def __str__(self) -> str:
        return self.name
