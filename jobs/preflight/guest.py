"""Rules about the domain and the disk that is to be copied."""

from __future__ import annotations

from jobs.hypervisor import Evidence
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.preflight.case import DEVICE_POOLS, Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn

REMOVABLE = ("cdrom", "floppy")
# Sources that QEMU does not read itself: libvirt has no block jobs for them.
FOREIGN_SOURCES = ("vhostuser", "vhostvdpa", "dir")


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
    if disk.source_kind in FOREIGN_SOURCES:
        return stop(
            f"{case.target} is of the kind {disk.source_kind}, which QEMU can't copy.",
            "Copy it with the means of its storage.",
        )
    return passed(f"{case.target} is a disk on {disk.source}.")


def disk_is_written_to(case: Case) -> Finding | None:
    """libvirt copies a read-only disk; the guest still can't write to it afterwards."""
    if case.disk is None or not case.disk.read_only:
        return None
    return warn(
        f"{case.target} is read-only for {case.guest}.",
        "Nothing changes on it while it is copied, and after a pivot it is read-only "
        "on the copy too. Copy it only if the file itself is to move.",
    )


def lun_stays_lun(case: Case) -> Finding | None:
    """virDomainDiskDefSourceLUNValidate: only raw devices and iSCSI can be a LUN."""
    if case.disk is None or case.disk.device != "lun":
        return None
    wanted = case.destination
    if wanted.kind == "volume" and case.evidence is None:
        return None  # the pool's kind decides
    in_pool = wanted.kind == "volume" and case.pool_kind in DEVICE_POOLS
    if not (wanted.kind == "block" or wanted.protocol == "iscsi" or in_pool):
        return stop(
            f"{case.target} is passed to {case.guest} as a LUN, which only a block "
            "device or an iSCSI target can be.",
            "Choose a block device or an iSCSI destination.",
            field="destination_kind",
        )
    if wanted.format != "raw":
        return stop(
            f"{case.target} is passed to {case.guest} as a LUN, which must be raw.",
            "Choose raw.",
            field="format",
        )
    if wanted.slice_size:
        return stop(
            f"{case.target} is passed to {case.guest} as a LUN, which can't be a "
            "slice of a device.",
            "Choose a device of exactly the disk's size.",
            field="slice_size",
        )
    return passed(f"{case.target} stays a LUN.")


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


def no_backup_runs(case: Case, evidence: Evidence) -> Finding:
    """A disk that is being backed up has a block job already (error 83)."""
    if evidence.backup:
        return stop(
            f"A backup of {case.guest} is running.",
            "Wait for it to end, or end it with virsh domjobabort.",
        )
    return passed(f"No backup of {case.guest} is running.")


def checkpoints_survive(case: Case, evidence: Evidence) -> Finding:
    """libvirt carries checkpoints' bitmaps over at the pivot, but only into qcow2."""
    if not evidence.checkpoints:
        return passed(f"{case.guest} has no checkpoints.")
    has = f"{case.guest} has {_number(evidence.checkpoints, 'checkpoint')}"
    if not case.may_pivot:
        return notice(f"{has}; they stay with the source.")
    if case.destination.format == "qcow2":
        return notice(f"{has}; libvirt carries their bitmaps over at a pivot.")
    return warn(
        f"{has}, and raw has no room for their bitmaps.",
        "After a pivot the next backup must be a full one. Choose qcow2 to keep them.",
        field="format",
    )


def snapshots_stay_valid(case: Case, evidence: Evidence) -> Finding:
    """Snapshots' metadata names the old files, and a copy has no snapshots inside."""
    if not evidence.snapshots:
        return passed(f"{case.guest} has no snapshots.")
    names = ", ".join(evidence.snapshots[:5])
    more = len(evidence.snapshots) - 5
    has = (
        f"{case.guest} has {_number(len(evidence.snapshots), 'snapshot')}: {names}"
        f"{f' and {more} more' if more > 0 else ''}."
    )
    if not case.may_pivot:
        return notice(f"{has} They are not in the copy.", "They stay with the source.")
    return warn(
        f"{has} They are not in the copy, and their metadata names "
        f"{case.source or 'the old file'}.",
        "After a pivot reverting to them would lead back to the old file or fail: keep "
        "that file for them, or delete the snapshots first.",
    )


def definitions_agree(case: Case) -> Finding | None:
    """After a pivot libvirt corrects the persistent definition only if it agreed."""
    disk = case.disk
    persistent = case.domain.persistent if case.domain else case.row.domain.persistent
    if disk is None or not persistent or disk.persistent_source == disk.source:
        return None
    if disk.persistent_source is None:
        cause = f"The persistent definition of {case.guest} has no {case.target}."
        remedy = "The next boot will have neither the disk nor its copy."
    else:
        cause = (
            f"The persistent definition of {case.guest} names "
            f"{disk.persistent_source or 'no medium'} for {case.target}, the running "
            f"guest uses {disk.source}."
        )
        remedy = (
            f"Also after a pivot the next boot uses "
            f"{disk.persistent_source or 'no medium'}: correct the persistent "
            "definition first if that is not wanted."
        )
    return warn(cause, remedy) if case.may_pivot else notice(cause, remedy)


def guest_can_do_less(case: Case) -> Finding:
    """What libvirt refuses while a block job runs (errors 55, 83 and 1)."""
    return notice(
        f"While the copy runs libvirt refuses, for {case.guest}: save, managed save, "
        f"core dump and migration; for {case.target}: snapshot, detach, resize, "
        "backup and another copy.",
        "Shutting the guest down is not refused: it ends the copy.",
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
