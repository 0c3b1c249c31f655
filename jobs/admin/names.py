"""What models and their fields are called, in the reader's language.

Records keep to English: `verbose_name_raw` is what the audit log calls a model. Said
here, and not in the models, since it is no part of the database.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from jobs.models import (
    AuditEntry,
    ChainLink,
    CopyJob,
    Disk,
    Domain,
    Host,
    JobDefinition,
    JobEvent,
    Leftover,
    Site,
    StoragePool,
)

MODELS: dict[type[Model], tuple[Any, Any]] = {
    Site: (_("site"), _("sites")),
    Host: (_("host"), _("hosts")),
    StoragePool: (_("storage pool"), _("storage pools")),
    Domain: (_("domain"), _("domains")),
    Disk: (_("disk"), _("disks")),
    ChainLink: (_("chain link"), _("chain links")),
    CopyJob: (_("copy job"), _("copy jobs")),
    JobEvent: (_("job event"), _("job events")),
    JobDefinition: (_("job definition"), _("job definitions")),
    Leftover: (_("leftover"), _("leftovers")),
    AuditEntry: (_("audit entry"), _("audit entries")),
}
# One word for a field of whichever model: they mean the same.
FIELDS: dict[str, Any] = {
    # Everywhere
    "name": _("name"),
    "host": _("host"),
    "host_name": _("host name"),
    "site": _("site"),
    "domain": _("domain"),
    "disk": _("disk"),
    "job": _("job"),
    "uuid": _("UUID"),
    "state": _("state"),
    "kind": _("kind"),
    "format": _("format"),
    "source": _("source"),
    "capacity": _("capacity"),
    "allocation": _("allocation"),
    "reason": _("reason"),
    "time": _("time"),
    "actor": _("actor"),
    "seen_at": _("last seen"),
    "gone_at": _("gone since"),
    "libvirt_id": _("domain id"),
    # Sites and hosts
    "description": _("description"),
    "enabled": _("enabled"),
    "production": _("production"),
    "transport": _("transport"),
    "port": _("port"),
    "user": _("user"),
    "socket": _("socket"),
    "mode": _("daemon"),
    "last_seen_at": _("last seen"),
    "synced_at": _("synced at"),
    "error": _("error"),
    "error_remedy": _("what helps"),
    "error_at": _("error at"),
    "reported_name": _("name it gave"),
    "listener": _("listener"),
    "listener_until": _("listener until"),
    # Domains, disks and storage pools
    "persistent": _("persistent"),
    "unaccounted": _("unaccounted for"),
    "target": _("target"),
    "bus": _("bus"),
    "device": _("device"),
    "mirror": _("mirror"),
    "mirror_job": _("mirror’s job"),
    "mirror_kind": _("mirror’s kind"),
    "mirror_format": _("mirror’s format"),
    "source_kind": _("kind of source"),
    "persistent_source": _("source after a restart"),
    "read_only": _("read-only"),
    "shareable": _("shareable"),
    "physical": _("physical size"),
    "chain_known": _("chain known"),
    "depth": _("depth"),
    "location": _("location"),
    "active": _("active"),
    "path": _("path"),
    "available": _("available"),
    # Copy jobs
    "domain_name": _("domain name"),
    "domain_uuid": _("domain’s UUID"),
    "source_format": _("format of the source"),
    "destination": _("destination"),
    "destination_kind": _("destination kind"),
    "destination_format": _("format of the destination"),
    "destination_xml": _("destination’s XML"),
    "volume_asked_at": _("volume asked for at"),
    "shallow": _("shallow"),
    "reuse_external": _("reuse external"),
    "synchronous_writes": _("synchronous writes"),
    "target_zeroed": _("destination is zeroed"),
    "transient_job": _("transient job"),
    "when_ready": _("when ready"),
    "consistent": _("guest-consistent"),
    "at_limit": _("at the limit"),
    "requested_by": _("account"),
    "requested_by_name": _("asked for by"),
    "failure": _("failure"),
    "remedy": _("what helps"),
    "qemu_text": _("QEMU’s reason"),
    "likely_cause": _("likely cause"),
    "libvirt_code": _("libvirt’s code"),
    "libvirt_text": _("libvirt’s text"),
    "flagged": _("limit reached"),
    "consistency": _("consistency"),
    "left_behind": _("left behind"),
    "requested_at": _("asked for at"),
    "start_at": _("start at"),
    "queued_at": _("queued at"),
    "started_at": _("started at"),
    "ready_at": _("ready at"),
    "ending_at": _("ending at"),
    "ended_at": _("ended at"),
    "frozen_at": _("frozen at"),
    "adopted_at": _("adopted at"),
    # Their events, definitions and leftovers
    "level": _("level"),
    "old_state": _("old state"),
    "new_state": _("new state"),
    "message": _("message"),
    "when": _("when"),
    "taken_at": _("taken at"),
    "xml": _("XML"),
    "storage_kind": _("storage kind"),
    "ours": _("made by the console"),
    "bytes": _("size"),
    "noted_at": _("noted at"),
    "measured_at": _("measured at"),
    "removal_asked_at": _("removal asked for at"),
    "removal_asked_by": _("removal asked for by"),
    "removal_reason": _("reason for the removal"),
    "refusal": _("refusal"),
    "removing_at": _("removing since"),
    "removed_at": _("removed at"),
    "closing": _("how it ended"),
    # The audit log
    "channel": _("channel"),
    "address": _("address"),
    "request_id": _("request’s id"),
    "action": _("action"),
    "outcome": _("outcome"),
    "object_type": _("kind of object"),
    "object_id": _("object’s id"),
    "object_text": _("object"),
    "intent": _("intent"),
    "detail": _("detail"),
}


def give_names() -> None:
    """Call them so. Forms of models are to be made afterwards."""
    for model, names in MODELS.items():
        options = model._meta
        options.verbose_name, options.verbose_name_plural = names
        for field in options.fields:
            field.verbose_name = FIELDS.get(field.name, field.verbose_name)
