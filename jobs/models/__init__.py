"""What the console remembers: the fleet as last seen, the jobs, and the audit log."""

from __future__ import annotations

from jobs.models.audit import AuditEntry, AuditVerification
from jobs.models.domain import ChainLink, Disk, Domain
from jobs.models.host import Host, Site, StoragePool
from jobs.models.job import CopyJob, JobEvent
from jobs.models.leftover import Leftover

__all__ = [
    "AuditEntry",
    "AuditVerification",
    "ChainLink",
    "CopyJob",
    "Disk",
    "Domain",
    "Host",
    "JobEvent",
    "Leftover",
    "Site",
    "StoragePool",
]
