"""Domains, their disks and backing chains, as a host said they were at a time.

What vanishes is marked with `gone_at`, never deleted: jobs and the audit log refer
to it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from django.db import models

from jobs.models.host import Host
from jobs.models.search import lying_at


class Domain(models.Model):
    """A libvirt domain. `libvirt_id` is its numeric id while it runs."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="domains")
    uuid = models.CharField(max_length=36)
    name = models.CharField(max_length=255)
    libvirt_id = models.IntegerField(null=True)
    state = models.CharField(max_length=16)
    persistent = models.BooleanField()
    # libvirt says that it is off and not why: it may have lost a guest that still runs.
    unaccounted = models.BooleanField(default=False)
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name", "host__name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["host", "uuid"], name="one_domain_per_uuid")
        ]
        # Search by a part of the name, in the list and in the new-copy page.
        indexes: ClassVar = [
            models.Index(fields=["name"], name="domain_by_name"),
            # How many domains each host has, and how many of them run.
            models.Index(
                fields=["host", "libvirt_id"],
                condition=models.Q(gone_at=None),
                name="domains_there_by_host",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    @property
    def running(self) -> bool:
        """Whether a QEMU process stands behind the domain (paused ones included)."""
        return self.libvirt_id is not None and self.gone_at is None


class Disk(models.Model):
    """A disk of a domain. Sizes in bytes, None where libvirt would not say."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="disks")
    target = models.CharField(max_length=64)
    bus = models.CharField(max_length=16, blank=True)
    device = models.CharField(max_length=16)
    format = models.CharField(max_length=16, blank=True)
    source = models.TextField(blank=True)
    source_kind = models.CharField(max_length=16, blank=True)
    persistent_source = models.TextField(null=True)  # noqa: DJ001 (None: transient)
    read_only = models.BooleanField(default=False)
    shareable = models.BooleanField(default=False)
    capacity = models.BigIntegerField(null=True)
    allocation = models.BigIntegerField(null=True)
    physical = models.BigIntegerField(null=True)
    # The destination of a block copy that the host shows on this disk, ours or not.
    mirror = models.TextField(blank=True)
    mirror_job = models.CharField(max_length=16, blank=True)
    mirror_kind = models.CharField(max_length=16, blank=True)
    mirror_format = models.CharField(max_length=16, blank=True)
    # Whether the host could tell the whole chain; a domain that is off may hide some.
    chain_known = models.BooleanField(default=True)
    gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["domain", "target"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "target"], name="one_disk_per_target"
            )
        ]
        indexes: ClassVar = [
            # "Which disks show a copy that is none of ours?", on every overview.
            models.Index(
                fields=["domain"],
                condition=~models.Q(mirror=""),
                name="disks_with_mirror",
            )
        ]

    def __str__(self) -> str:
        return f"{self.target} of {self.domain}"

    @property
    def definitions_disagree(self) -> bool:
        """Whether the next boot would use another file than the running guest."""
        return self.persistent_source is not None and (
            self.persistent_source != self.source
        )


class ChainLink(models.Model):
    """One file of a disk's backing chain; depth 0 is the source itself."""

    disk = models.ForeignKey(Disk, on_delete=models.CASCADE, related_name="chain")
    depth = models.PositiveSmallIntegerField()
    location = models.TextField()
    kind = models.CharField(max_length=16)
    format = models.CharField(max_length=16, blank=True)
    # The size that it shows, in bytes; None where the host could not tell.
    capacity = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["disk", "depth"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["disk", "depth"], name="one_link_per_depth")
        ]

    def __str__(self) -> str:
        return self.location


def using(locations: Collection[str]) -> models.QuerySet[Disk]:
    """Return the disks, on any host, that any of `locations` is a part of.

    Live source, any member of the backing chain, the persistent definition and the
    destination of a copy all count.
    """
    disks = Disk.objects.order_by()
    links = lying_at(ChainLink.objects.order_by(), "location", locations)
    # One after the other, since each has an index of its own.
    named = lying_at(disks, "source", locations).values("pk")
    others = (
        lying_at(disks, "persistent_source", locations).values("pk"),
        lying_at(disks, "mirror", locations).values("pk"),
        links.values("disk"),
    )
    found = Disk.objects.filter(pk__in=named.union(*others))
    return found.filter(gone_at=None, domain__gone_at=None).select_related(
        "domain__host"
    )
