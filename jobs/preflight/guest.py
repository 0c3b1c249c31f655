"""Rules about the domain and the disk that is to be copied."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.hypervisor import Evidence
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.preflight.case import DEVICE_POOLS, Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.said import say, say_many

REMOVABLE = ("cdrom", "floppy")
# Snapshots that are named before it says "and 7 more".
MOST_SNAPSHOTS = 5
# Sources that QEMU does not read itself: libvirt has no block jobs for them.
FOREIGN_SOURCES = ("vhostuser", "vhostvdpa", "dir")


def domain_is_running(case: Case) -> Finding:
    """Only a running (or paused) domain has block jobs."""
    seen = case.domain
    gone = case.row.domain.gone_at is not None
    if seen is None and (gone or case.evidence is not None):
        return stop(
            say(
                "%(guest)s is no longer on %(host)s.", guest=case.guest, host=case.host
            ),
            say("Sync the host, then choose a domain that exists."),
        )
    running = case.row.domain.running if seen is None else seen.domain_id is not None
    if not running:
        return stop(
            say("%(guest)s is not running.", guest=case.guest),
            say(
                "Start the guest first; the disk of a guest that is off can be "
                "copied with qemu-img."
            ),
        )
    return passed(
        say("%(guest)s is running.", guest=case.guest), seen.state if seen else ""
    )


def disk_can_be_copied(case: Case) -> Finding:
    """The disk must be there and have a medium."""
    disk = case.disk
    if disk is None:
        return stop(
            say(
                "%(guest)s has no disk %(target)s any more.",
                guest=case.guest,
                target=case.target,
            ),
            say("Choose one of the domain's present disks."),
        )
    if not disk.source or disk.device in REMOVABLE:
        return stop(
            say("%(target)s is a %(device)s.", target=case.target, device=disk.device)
            if disk.source
            else say(
                "%(target)s is a %(device)s without a medium.",
                target=case.target,
                device=disk.device,
            ),
            say("Choose a disk; removable media are not copied."),
        )
    if disk.source_kind in FOREIGN_SOURCES:
        return stop(
            say(
                "%(target)s is of the kind %(source_kind)s, which QEMU can't copy.",
                target=case.target,
                source_kind=disk.source_kind,
            ),
            say("Copy it with the means of its storage."),
        )
    return passed(
        say(
            "%(target)s is a disk on %(source)s.",
            target=case.target,
            source=disk.source,
        )
    )


def libvirt_knows_the_source(case: Case) -> Finding | None:
    """After a pivot of which nobody heard how it ended libvirt may show the wrong file;
    a copy made of that would be old, and a pivot to it would lose what was written."""
    job = case.known.doubt(case)
    if job is None:
        return None
    return stop(
        doubt(case.guest, job),
        say(
            "Find out on the host which file its QEMU has open, as job %(job)s says; "
            "once the guest was started anew, copy again.",
            job=job.pk,
        ),
    )


def doubt(guest: str, job: CopyJob) -> str:
    """Return what there is to be feared since a job that is doubted."""
    return say(
        "libvirt may be wrong about which file %(guest)s runs from since the pivot "
        "of job %(job)s.",
        guest=guest,
        job=job.pk,
    )


def disk_is_written_to(case: Case) -> Finding | None:
    """libvirt copies a read-only disk; the guest still can't write to it afterwards."""
    if case.disk is None or not case.disk.read_only:
        return None
    return warn(
        say(
            "%(target)s is read-only for %(guest)s.",
            target=case.target,
            guest=case.guest,
        ),
        say(
            "Nothing changes on it while it is copied, and after a pivot it "
            "is read-only on the copy too. Copy it only if the file itself "
            "is to move."
        ),
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
            say(
                "%(target)s is passed to %(guest)s as a LUN, which only a block "
                "device or an iSCSI target can be.",
                target=case.target,
                guest=case.guest,
            ),
            say("Choose a block device or an iSCSI destination."),
            field="destination_kind",
        )
    if wanted.format != "raw":
        return stop(
            say(
                "%(target)s is passed to %(guest)s as a LUN, which must be raw.",
                target=case.target,
                guest=case.guest,
            ),
            say("Choose raw."),
            field="format",
        )
    if wanted.slice_size:
        return stop(
            say(
                "%(target)s is passed to %(guest)s as a LUN, which can't be a "
                "slice of a device.",
                target=case.target,
                guest=case.guest,
            ),
            say("Choose a device of exactly the disk's size."),
            field="slice_size",
        )
    return passed(say("%(target)s stays a LUN.", target=case.target))


def shareable_stays_shareable(case: Case) -> Finding | None:
    """libvirt would refuse at the start (error 84)."""
    if case.disk is None or not case.disk.shareable:
        return None
    if case.destination.format == "raw":
        return passed(say("A disk that guests share is copied to raw."), field="format")
    return stop(
        say(
            "%(target)s is shared between guests, which only raw can be.",
            target=case.target,
        ),
        say("Choose raw."),
        field="format",
    )


def disk_has_no_job(case: Case) -> Finding:
    """At most one active job per disk; a stranger's copy counts too."""
    others = (job for job in case.known.jobs(case) if job.pk != case.request.job)
    ours = next(others, None)
    if ours is not None:
        return stop(
            say(
                "Job %(job)s is active on this disk (%(state)s).",
                job=ours.pk,
                state=State(ours.state).label,
            ),
            say("Wait for it to end, or end it first."),
        )
    mirror = case.disk.mirror if case.disk else None
    if mirror is not None and not _was_ours(case, mirror.destination):
        return stop(
            say(
                "A copy to %(destination)s runs on this disk; it was not started here.",
                destination=mirror.destination or say("somewhere"),
            ),
            say("Wait for it to end, or ask whoever started it."),
        )
    if case.evidence is not None and case.evidence.job:
        return stop(
            say(
                "A block %(kind)s runs on %(target)s; it was not started here.",
                kind=case.evidence.job,
                target=case.target,
            ),
            say("Wait for it to end, or ask whoever started it."),
        )
    return passed(say("No other job runs on %(target)s.", target=case.target))


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
            say("A backup of %(guest)s is running.", guest=case.guest),
            say("Wait for it to end, or end it with virsh domjobabort."),
        )
    return passed(say("No backup of %(guest)s is running.", guest=case.guest))


def checkpoints_survive(case: Case, evidence: Evidence) -> Finding:
    """libvirt carries checkpoints' bitmaps over at the pivot, but only into qcow2."""
    if not evidence.checkpoints:
        return passed(say("%(guest)s has no checkpoints.", guest=case.guest))
    has = say_many(
        "%(guest)s has %(count)d checkpoint",
        "%(guest)s has %(count)d checkpoints",
        evidence.checkpoints,
        guest=case.guest,
    )
    if not case.may_pivot:
        return notice(say("%(has)s; they stay with the source.", has=has))
    if case.destination.format == "qcow2":
        return notice(
            say("%(has)s; libvirt carries their bitmaps over at a pivot.", has=has)
        )
    return warn(
        say("%(has)s, and raw has no room for their bitmaps.", has=has),
        say(
            "After a pivot the next backup must be a full one. Choose qcow2 "
            "to keep them."
        ),
        field="format",
    )


def snapshots_stay_valid(case: Case, evidence: Evidence) -> Finding:
    """Snapshots' metadata names the old files, and a copy has no snapshots inside."""
    if not evidence.snapshots:
        return passed(say("%(guest)s has no snapshots.", guest=case.guest))
    has = _has_snapshots(case.guest, evidence.snapshots)
    if not case.may_pivot:
        return notice(
            say("%(has)s They are not in the copy.", has=has),
            say("They stay with the source."),
        )
    return warn(
        say(
            "%(has)s They are not in the copy, and their metadata names %(source)s.",
            has=has,
            source=case.source or say("the old file"),
        ),
        say(
            "After a pivot reverting to them would lead back to the old "
            "file or fail: keep that file for them, or delete the snapshots "
            "first."
        ),
    )


def definitions_agree(case: Case) -> Finding | None:
    """After a pivot libvirt corrects the persistent definition only if it agreed."""
    disk = case.disk
    persistent = case.domain.persistent if case.domain else case.row.domain.persistent
    if disk is None or not persistent or disk.persistent_source == disk.source:
        return None
    if disk.persistent_source is None:
        cause = say(
            "The persistent definition of %(guest)s has no %(target)s.",
            guest=case.guest,
            target=case.target,
        )
        remedy = say("The next boot will have neither the disk nor its copy.")
    else:
        named = disk.persistent_source or say("no medium")
        cause = say(
            "The persistent definition of %(guest)s names %(named)s for %(target)s, "
            "the running guest uses %(source)s.",
            guest=case.guest,
            named=named,
            target=case.target,
            source=disk.source,
        )
        remedy = say(
            "Also after a pivot the next boot uses %(named)s: correct the persistent "
            "definition first if that is not wanted.",
            named=named,
        )
    return warn(cause, remedy) if case.may_pivot else notice(cause, remedy)


def guest_can_do_less(case: Case) -> Finding:
    """What libvirt refuses while a block job runs (errors 55, 83 and 1)."""
    return notice(
        say(
            "While the copy runs libvirt refuses, for %(guest)s: save, "
            "managed save, core dump and migration; for %(target)s: "
            "snapshot, detach, resize, backup and another copy.",
            guest=case.guest,
            target=case.target,
        ),
        say("Shutting the guest down is not refused: it ends the copy."),
    )


def _has_snapshots(guest: str, snapshots: Sequence[str]) -> str:
    names = ", ".join(snapshots[:MOST_SNAPSHOTS])
    if len(snapshots) > MOST_SNAPSHOTS:
        more = len(snapshots) - MOST_SNAPSHOTS
        names = say("%(names)s and %(more)d more", names=names, more=more)
    return say_many(
        "%(guest)s has %(count)d snapshot: %(names)s.",
        "%(guest)s has %(count)d snapshots: %(names)s.",
        len(snapshots),
        guest=guest,
        names=names,
    )
