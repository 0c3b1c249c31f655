"""What the console remembers: the fleet as last seen, the jobs, and the audit log."""

from __future__ import annotations

from jobs.models.audit import AuditEntry, AuditVerification
from jobs.models.definition import JobDefinition
from jobs.models.domain import ChainLink, Disk, Domain
from jobs.models.host import NEARLY_FULL, Host, Site, StoragePool
from jobs.models.job import CopyJob, JobEvent
from jobs.models.leftover import Leftover
from jobs.models.preferences import Preferences
from jobs.models.sample import JobSample
from jobs.models.view import SavedView

__all__ = [
    "NEARLY_FULL",
    "AuditEntry",
    "AuditVerification",
    "ChainLink",
    "CopyJob",
    "Disk",
    "Domain",
    "Host",
    "JobDefinition",
    "JobEvent",
    "JobSample",
    "Leftover",
    "Preferences",
    "SavedView",
    "Site",
    "StoragePool",
]
