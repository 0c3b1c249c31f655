"""What can be said against a copy before the host is asked, one rule per function.

The rules here read the last inventory only. What only the host knows (is there a file
already, does the directory exist) libvirt itself refuses before it starts anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationError,
    InvalidOption,
    check,
    check_options,
)
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Disk
from jobs.models.domain import in_use


@dataclass(frozen=True)
class CopyRequest:
    """What somebody wants copied. `reason` is free text for the audit log."""

    disk: Disk
    destination: Destination
    options: CopyOptions = field(default_factory=CopyOptions)
    when_ready: WhenReady = WhenReady.WAIT
    reason: str = ""


@dataclass(frozen=True)
class Problem:
    """Why a request can't be granted: the field, the cause, and what to do."""

    field: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}".strip()


Rule = Callable[[CopyRequest], Problem | None]


def problems(request: CopyRequest) -> list[Problem]:
    """Return everything that speaks against `request`; empty when nothing does."""
    return list(_found(request))


def _found(request: CopyRequest) -> Iterator[Problem]:
    for rule in RULES:
        problem = rule(request)
        if problem is not None:
            yield problem


def domain_is_running(request: CopyRequest) -> Problem | None:
    """Only a running (or paused) domain has block jobs."""
    domain = request.disk.domain
    if domain.gone_at is not None:
        return Problem(
            "disk",
            f"{domain.name} is no longer on {domain.host}.",
            "Sync the host, then choose a domain that exists.",
        )
    if not domain.running:
        return Problem(
            "disk",
            f"{domain.name} is not running.",
            "Start the guest first; the disk of a guest that is off can be copied "
            "with qemu-img.",
        )
    return None


def host_answers(request: CopyRequest) -> Problem | None:
    """A copy must not begin at some time later, when a silent host comes back."""
    host = request.disk.domain.host
    if not host.enabled:
        return Problem(
            "disk", f"{host} is disabled.", "Ask an administrator to enable the host."
        )
    if host.error:
        return Problem(
            "disk",
            f"{host} does not answer: {host.error}",
            host.error_remedy or "Test the connection to the host.",
        )
    return None


def disk_can_be_copied(request: CopyRequest) -> Problem | None:
    """The disk must be there and have a medium."""
    disk = request.disk
    if disk.gone_at is not None:
        return Problem(
            "disk",
            f"{disk.domain.name} has no disk {disk.target} any more.",
            "Choose one of the domain's present disks.",
        )
    if not disk.source or disk.device in ("cdrom", "floppy"):
        return Problem(
            "disk",
            f"{disk.target} is a {disk.device}"
            f"{'' if disk.source else ' without a medium'}.",
            "Choose a disk; removable media are not copied.",
        )
    return None


def disk_has_no_job(request: CopyRequest) -> Problem | None:
    """At most one active job per disk; a stranger's copy counts too."""
    disk = request.disk
    ours = (
        CopyJob.objects.active()
        .filter(host=disk.domain.host, domain_uuid=disk.domain.uuid, disk=disk.target)
        .first()
    )
    if ours is not None:
        return Problem(
            "disk",
            f"Job {ours.pk} is active on this disk ({State(ours.state).label}).",
            "Wait for it to end, or end it first.",
        )
    if disk.mirror and not _was_ours(disk):
        return Problem(
            "disk",
            f"A copy to {disk.mirror} runs on this disk; it was not started here.",
            "Wait for it to end, or ask whoever started it.",
        )
    return None


def _was_ours(disk: Disk) -> bool:
    """Whether the mirror last seen belongs to a job of ours that has ended since."""
    host = disk.domain.host
    jobs = CopyJob.objects.filter(host=host, domain_uuid=disk.domain.uuid)
    return jobs.filter(
        disk=disk.target, destination=disk.mirror, ended_at__gt=host.synced_at
    ).exists()


def shareable_stays_shareable(request: CopyRequest) -> Problem | None:
    """libvirt would refuse at the start (error 84)."""
    if not request.disk.shareable or request.destination.format == "raw":
        return None
    return Problem(
        "format",
        f"{request.disk.target} is shared between guests, which only raw can be.",
        "Choose raw.",
    )


def destination_makes_sense(request: CopyRequest) -> Problem | None:
    """Absolute, printable, written in one way, a known format."""
    try:
        check(request.destination)
    except DestinationError as error:
        names = {"path": "destination", "kind": "destination_kind"}
        return Problem(names.get(error.field, error.field), error.cause, "")
    return None


def destination_is_free(request: CopyRequest) -> Problem | None:
    """Not part of any known disk, on any host: storage may be shared."""
    location = request.destination.location
    user = in_use(location).first()
    if user is not None:
        what = "the source itself" if user == request.disk else f"in use by {user}"
        return Problem(
            "destination",
            f"{location} is {what}.",
            "Choose a path that no disk, backing chain or copy uses.",
        )
    promised = CopyJob.objects.active().filter(destination=location).first()
    if promised is not None:
        return Problem(
            "destination",
            f"{location} is the destination of job {promised.pk}.",
            "Choose another path.",
        )
    return None


def options_make_sense(request: CopyRequest) -> Problem | None:
    """libvirt and QEMU would refuse these, some only after the start."""
    try:
        check_options(request.options)
    except InvalidOption as error:
        return Problem(error.field, error.text, "")
    return None


def shallow_is_possible(request: CopyRequest) -> Problem | None:
    """libvirt refuses a shallow copy into a raw file (error 67)."""
    if not request.options.shallow:
        return None
    if request.destination.format == "raw":
        return Problem(
            "shallow",
            "A shallow copy needs a format with a backing file.",
            "Choose qcow2, or copy the whole chain.",
        )
    if not request.disk.chain.filter(depth__gt=0).exists():
        return Problem(
            "shallow",
            f"{request.disk.target} has no backing file to share.",
            "Leave shallow off.",
        )
    return None


RULES: tuple[Rule, ...] = (
    host_answers,
    domain_is_running,
    disk_can_be_copied,
    disk_has_no_job,
    shareable_stays_shareable,
    destination_makes_sense,
    destination_is_free,
    options_make_sense,
    shallow_is_possible,
)
