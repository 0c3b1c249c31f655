"""The audit log: who asked for what, when, from where, and what came of it."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models import Q
from django.utils import timezone

from jobs.said import say

# Of a quiet log the larger part. One that was refused is none: it is worth reading.
SIGN_INS = Q(action__in=("sign in", "sign out"), outcome="done")


class AuditLogIsAppendOnly(TypeError):
    """Something tried to change or delete an audit entry."""

    def __init__(self) -> None:
        super().__init__("The audit log is append-only: entries are never changed.")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Entries can be read and appended, nothing else."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AuditLogIsAppendOnly

    def delete(self) -> NoReturn:
        raise AuditLogIsAppendOnly

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AuditLogIsAppendOnly  # it can overwrite; entries come one by one

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AuditLogIsAppendOnly


class AuditEntry(models.Model):
    """One act. Actor and object are text, so that history outlives both."""

    class Outcome(models.TextChoices):
        ASKED = "asked", say("asked")  # the outcome follows in a later entry
        DONE = "done", say("done")
        REFUSED = "refused", say("refused")
        FAILED = "failed", say("failed")

    time = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True)
    channel = models.CharField(max_length=16)
    address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_text = models.TextField(blank=True)
    intent = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome)
    detail = models.TextField(blank=True)

    # Its place in the chain, given at the commit (jobs.audit.sealing). `number` counts
    # the entries in the order of their commits, without gaps; `id` may have some.
    number = models.BigIntegerField(null=True, unique=True, editable=False)
    version = models.SmallIntegerField(default=0, editable=False)
    previous = models.CharField(max_length=64, blank=True, editable=False)
    key = models.CharField(max_length=8, blank=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, editable=False)
    mac = models.CharField(max_length=64, blank=True, editable=False)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            # "What happened to this job or host?"
            models.Index(fields=["object_type", "object_id"], name="audit_by_object"),
            # "What did this person do?"
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
            # "Which copies were pivoted?", "What was refused?", newest first.
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["outcome", "-id"], name="audit_by_outcome"),
            # "What happened in that night?"
            models.Index(fields=["time"], name="audit_by_time"),
            # "What happened but for sign-ins?" where a thousand lie between two acts.
            models.Index(fields=["-id"], condition=~SIGN_INS, name="audit_of_acts"),
        ]

    def __str__(self) -> str:
        return f"{self.time:%F %T} {self.actor}: {self.action} {self.object_text}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Append the entry; raise if it, or another with its number, was before."""
        if not self._state.adding:
            raise AuditLogIsAppendOnly
        super().save(force_insert=True, using=kwargs.get("using"))

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AuditLogIsAppendOnly


class AuditVerification(models.Model):
    """What one look at the whole chain found."""

    time = models.DateTimeField(default=timezone.now)
    seconds = models.FloatField()
    intact = models.BooleanField()
    entries = models.BigIntegerField()
    newest = models.BigIntegerField()  # number of the last entry that was read
    hash = models.CharField(max_length=64, blank=True)
    checked_to = models.BigIntegerField()  # newest checkpoint that agreed, or 0
    first_bad = models.BigIntegerField(null=True)  # number of the first bad entry
    text = models.TextField()  # what was found, in sentences

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.time:%F %T}: {self.text}"
