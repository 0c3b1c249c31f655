"""Rules about the host, the domain and the disk that is to be copied."""

from __future__ import annotations

from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, passed, stop

REMOVABLE = ("cdrom", "floppy")


def host_answers(case: Case) -> Finding:
    """A copy must not begin at some time later, when a silent host comes back."""
    host = case.host
    if not host.enabled:
        return stop(f"{host} is disabled.", "Ask an administrator to enable the host.")
    if host.error and case.evidence is None:
        return stop(
            f"{host} does not answer: {host.error}",
            host.error_remedy or "Test the connection to the host.",
        )
    return passed(f"{host} answers.")


def domain_is_running(case: Case) -> Finding:
    """Only a running (or paused) domain has block jobs."""
    seen = case.domain
    gone = case.row.domain.gone_at is not None
    if seen is None and (gone or case.evidence is not None):
        return stop(
            f"{case.guest} is no longer on {case.host}.",
            "Sync the host, then choose a domain that exists.",
        )
    running = case.row.domain.running if seen is None else seen.domain_id is not None
    if not running:
        return stop(
            f"{case.guest} is not running.",
            "Start the guest first; the disk of a guest that is off can be copied "
            "with qemu-img.",
        )
    return passed(f"{case.guest} is running.", seen.state if seen else "")


def disk_can_be_copied(case: Case) -> Finding:
    """The disk must be there and have a medium."""
    disk = case.disk
    if disk is None:
        return stop(
            f"{case.guest} has no disk {case.target} any more.",
            "Choose one of the domain's present disks.",
        )
    if not disk.source or disk.device in REMOVABLE:
        return stop(
            f"{case.target} is a {disk.device}"
            f"{'' if disk.source else ' without a medium'}.",
            "Choose a disk; removable media are not copied.",
        )
    return passed(f"{case.target} is a disk on {disk.source}.")


def disk_has_no_job(case: Case) -> Finding:
    """At most one active job per disk; a stranger's copy counts too."""
    domain = case.row.domain
    ours = (
        CopyJob.objects.active()
        .exclude(pk=case.request.job)
        .filter(host=domain.host, domain_uuid=domain.uuid, disk=case.target)
        .first()
    )
    if ours is not None:
        return stop(
            f"Job {ours.pk} is active on this disk ({State(ours.state).label}).",
            "Wait for it to end, or end it first.",
        )
    mirror = case.disk.mirror if case.disk else None
    if mirror is not None and not _was_ours(case, mirror.destination):
        return stop(
            f"A copy to {mirror.destination or 'somewhere'} runs on this disk; it was "
            "not started here.",
            "Wait for it to end, or ask whoever started it.",
        )
    return passed(f"No other job runs on {case.target}.")


def _was_ours(case: Case, destination: str) -> bool:
    """Whether the mirror that the inventory saw belongs to a job that has ended since.

    A mirror that the host shows now is none of ours.
    """
    if case.evidence is not None:
        return False
    jobs = CopyJob.objects.filter(host=case.host, domain_uuid=case.row.domain.uuid)
    return jobs.filter(
        disk=case.target, destination=destination, ended_at__gt=case.host.synced_at
    ).exists()


def shareable_stays_shareable(case: Case) -> Finding | None:
    """libvirt would refuse at the start (error 84)."""
    if case.disk is None or not case.disk.shareable:
        return None
    if case.destination.format == "raw":
        return passed("A disk that guests share is copied to raw.", field="format")
    return stop(
        f"{case.target} is shared between guests, which only raw can be.",
        "Choose raw.",
        field="format",
    )
