"""A job once more, as the address of a filled-in new copy: the same, or back again."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from jobs.actions import REPEAT_STATES, repeat_why_not
from jobs.console.copy_fields import FLAGS, FORMATS, LIMITS, NUMBERS
from jobs.console.storage import EXTENSIONS, free_path, pools_of
from jobs.hypervisor import Destination, Secret, Server
from jobs.lifecycle import ENDED, State, WhenReady
from jobs.models import CopyJob, Disk
from jobs.said import say
from jobs.units import seconds_text

_MORE = ("slice_offset", "slice_size")
GONE = say("The domain has no such disk any more.")


@dataclass(frozen=True)
class Again:
    """What can be done with an ended job: addresses, "" where it can't, and why not."""

    repeat: str = ""
    back: str = ""
    why_not: str = ""
    why_not_back: str = ""
    retry: bool = False
    why_not_retry: str = ""


def again_of(job: CopyJob) -> Again | None:
    """Return what can follow on `job`; None while it has not ended."""
    if job.state not in ENDED:
        return None
    disk = (
        Disk.objects.select_related("domain__host__site")
        .filter(domain=job.domain_id, target=job.disk, gone_at=None)
        .first()
    )
    if disk is None:
        return Again(why_not=GONE)
    why_not_back = _why_not_back(job, disk)
    retry = job.state in REPEAT_STATES and job.adopted_at is None
    return Again(
        repeat="" if job.adopted_at else _address(disk, repeated(job, disk)),
        back="" if why_not_back else _address(disk, turned_around(job, disk)),
        why_not=say("How an adopted copy was made is not known.")
        if job.adopted_at
        else "",
        why_not_back=why_not_back if job.state == State.PIVOTED else "",
        retry=retry,
        why_not_retry=repeat_why_not(job, disk=disk) if retry else "",
    )


def _address(disk: Disk, fields: dict[str, Any]) -> str:
    told = {name: value for name, value in fields.items() if value not in ("", 0)}
    return f"{reverse('disk-copy', args=[disk.pk])}?{urlencode(told)}"


def _why_not_back(job: CopyJob, disk: Disk) -> str:
    if job.state != State.PIVOTED:
        return say("Only a pivoted copy can be turned around.")
    if disk.source != job.destination:
        return say(
            "%(target)s is on %(source)s by now, not on %(destination)s.",
            target=disk.target,
            source=disk.source,
            destination=job.destination,
        )
    return ""


# --- The same again ----------------------------------------------------------------


def repeated(job: CopyJob, disk: Disk) -> dict[str, Any]:
    """Return the fields of a new copy like `job`'s, to a place that is free."""
    to = job.target_destination
    return {
        **_place(job, to, disk),
        "format": "same" if to.format == disk.format else to.format,
        **{name: "on" for name in FLAGS if getattr(job, name)},
        **{name: getattr(job, name) for name in NUMBERS},
        **{
            name: seconds_text(getattr(job, name))
            for name in LIMITS
            if getattr(job, name)
        },
        "at_limit": job.at_limit,
        "when_ready": job.when_ready,
        "consistent": "on" if job.consistent else "",
        "reason": job.reason,
        "repeats": job.pk,
    }


def _place(job: CopyJob, to: Destination, disk: Disk) -> dict[str, Any]:
    if to.backing is not None or to.metadata_cache:
        return {"destination_kind": "xml", "xml": job.destination_xml}
    more = {name: getattr(to, name) for name in _MORE}
    secrets = {"encryption": _secret(to.encryption)}
    place = {"destination_kind": to.kind, **more, **secrets}
    if to.kind == "file":
        path = to.path if job.reuse_external else free_path(disk, to.path)
        return {**place, "destination": path}
    if to.kind == "block":
        return {**place, "device": to.path}
    if to.kind == "volume":
        return {**place, "pool": to.pool, "volume": _free_volume(disk, to)}
    return {
        **place,
        "protocol": to.protocol or "",
        "name": to.name,
        "servers": ", ".join(map(_server, to.servers)),
        "tls": "on" if to.tls else "",
        "user": to.user,
        "auth": _secret(to.auth),
    }


def _free_volume(disk: Disk, to: Destination) -> str:
    pools = pools_of(disk.domain.host)
    pool = next((pool for pool in pools if pool.name == to.pool), None)
    directory = pool.path if pool and pool.path else "/"
    return posixpath.basename(free_path(disk, posixpath.join(directory, to.volume)))


def _server(server: Server) -> str:
    if server.socket:
        return server.socket
    name = f"[{server.name}]" if ":" in server.name else server.name
    return f"{name}:{server.port}" if server.port else name


def _secret(secret: Secret | None) -> str:
    return (secret.uuid or secret.usage) if secret else ""


# --- Back again --------------------------------------------------------------------


def turned_around(job: CopyJob, disk: Disk) -> dict[str, Any]:
    """Return the fields of a copy of `disk` back to where `job` took it from.

    The old file stays what it was, as long as it is there: the copy goes beside it. A
    device is written to as it is.
    """
    file_format = job.source_format if job.source_format in FORMATS else disk.format
    fields: dict[str, Any] = {
        "format": "same" if file_format == disk.format else file_format,
        "when_ready": WhenReady.WAIT.value,
        "bandwidth": job.bandwidth,
        "back": job.pk,
    }
    if job.source.startswith("/dev/"):
        return {**fields, "destination_kind": "block", "device": job.source}
    if not job.source.startswith("/"):  # on a server: how it is reached is not known
        return {**fields, "destination_kind": "network"}
    extension = EXTENSIONS.get(file_format, "")
    path = free_path(disk, job.source, extension)
    return {**fields, "destination_kind": "file", "destination": path}
