"""Refusals because of the host, the domain or the disk that is to be copied."""

from __future__ import annotations

from dataclasses import replace

from jobs import actions
from jobs.lifecycle import State, WhenReady
from jobs.models import Disk, Host
from jobs.preflight import CopyRequest, Level
from lab.guest import GuestDisk
from lab.images import run
from tests.integration.matrix.scene import (
    SIZE,
    Row,
    Scene,
    refused,
    refused_at_once,
)

ROWS: list[Row] = []


# --- The host -------------------------------------------------------------------------


@refused_at_once(ROWS, "host_answers", "alder is disabled. Ask an administrator")
def a_disabled_host(scene: Scene) -> CopyRequest:
    Host.objects.update(enabled=False)
    return scene.wants(scene.path("new.qcow2"))


@refused_at_once(ROWS, "host_answers", "alder does not answer: No route to host")
def a_silent_host(scene: Scene) -> CopyRequest:
    Host.objects.update(error="No route to host")
    return scene.wants(scene.path("new.qcow2"))


# --- The domain -----------------------------------------------------------------------


@refused_at_once(ROWS, "domain_is_running", "archive is not running. Start the guest")
def a_domain_that_is_off(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("archive"))


@refused(ROWS, "domain_is_running", "mail is not running.")
def a_domain_that_stopped_since(scene: Scene) -> CopyRequest:
    guest, disk = scene.guest()
    guest.destroy()
    return scene.wants(scene.path("new.qcow2"), disk=disk)


@refused_at_once(ROWS, "domain_is_running", "mail is no longer on alder.")
def a_domain_that_is_gone(scene: Scene) -> CopyRequest:
    guest, _ = scene.guest()
    guest.destroy()
    scene.host.virsh("undefine", "mail")
    scene.sync()
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail"))


@refused(ROWS, "domain_is_running", "mail is no longer on alder.")
def a_domain_that_went_since(scene: Scene) -> CopyRequest:
    guest, disk = scene.guest()
    guest.destroy()
    scene.host.virsh("undefine", "mail")
    return scene.wants(scene.path("new.qcow2"), disk=disk)


# --- The disk -------------------------------------------------------------------------


def _with_drive(scene: Scene, medium: str) -> CopyRequest:
    guest, _ = scene.guest(start=False)
    source = f"<source file='{medium}'/>" if medium else ""
    scene.attach(
        "mail",
        f"<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>{source}"
        "<target dev='hdc' bus='ide'/><readonly/></disk>",
    )
    guest.start()
    scene.sync()
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail", "hdc"))


@refused_at_once(ROWS, "disk_can_be_copied", "hdc is a cdrom without a medium.")
def an_empty_drive(scene: Scene) -> CopyRequest:
    return _with_drive(scene, "")


@refused_at_once(ROWS, "disk_can_be_copied", "hdc is a cdrom. Choose a disk")
def a_drive_with_a_medium(scene: Scene) -> CopyRequest:
    return _with_drive(scene, str(scene.image("medium.iso", "raw")))


@refused(ROWS, "disk_is_written_to", "vdb is read-only for mail.", Level.WARN)
def a_read_only_disk(scene: Scene) -> CopyRequest:
    scene.guest(
        GuestDisk(scene.path("mail.qcow2"), SIZE),
        GuestDisk(scene.path("mail-data.qcow2"), SIZE, read_only=True),
    )
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail", "vdb"))


@refused_at_once(ROWS, "shareable_stays_shareable", "vdb is shared between guests")
def a_shared_disk_to_qcow2(scene: Scene) -> CopyRequest:
    scene.guest(
        GuestDisk(scene.path("mail.qcow2"), SIZE),
        GuestDisk(scene.path("mail-data.raw"), SIZE, "raw", shareable=True),
    )
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail", "vdb"))


@refused_at_once(ROWS, "disk_can_be_copied", "mail has no disk vdb any more.")
def a_disk_that_is_gone(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), disk=_detached(scene, sync=True))


@refused(ROWS, "disk_can_be_copied", "mail has no disk vdb any more.")
def a_disk_that_went_since(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), disk=_detached(scene, sync=False))


def _detached(scene: Scene, *, sync: bool) -> Disk:
    guest, _ = scene.guest(
        GuestDisk(scene.path("mail.qcow2"), SIZE),
        GuestDisk(scene.path("mail-data.qcow2"), SIZE),
    )
    disk = scene.disk("mail", "vdb")
    guest.destroy()
    scene.host.virsh("detach-disk", "mail", "vdb", "--config")
    guest.start()
    if sync:
        scene.sync()
        disk.refresh_from_db()
    return disk


# --- Other jobs -----------------------------------------------------------------------


@refused_at_once(ROWS, "disk_has_no_job", "is active on this disk (copying)")
def a_disk_with_a_job(scene: Scene) -> CopyRequest:
    _, disk = scene.guest(GuestDisk(scene.path("mail.qcow2"), SIZE, data=SIZE // 2))
    slow = scene.wants(
        scene.path("first.qcow2"), disk=disk, bandwidth=2**16, buf_size=2**16
    )
    _, job = scene.ask(slow)
    assert job is not None
    return scene.wants(scene.path("second.qcow2"), disk=disk)


def _copy_of_a_stranger(scene: Scene) -> CopyRequest:
    _, disk = scene.guest(GuestDisk(scene.path("mail.qcow2"), SIZE, data=SIZE // 2))
    scene.host.virsh(
        *("blockcopy", "mail", "vda", "--dest", scene.path("theirs.qcow2")),
        *("--format", "qcow2", "--transient-job", "--bandwidth", "65536", "--bytes"),
        *("--buf-size", "65536"),
    )
    return scene.wants(scene.path("ours.qcow2"), disk=disk)


@refused_at_once(ROWS, "disk_has_no_job", "it was not started here")
def a_disk_with_a_strangers_copy(scene: Scene) -> CopyRequest:
    wanted = _copy_of_a_stranger(scene)
    scene.sync()
    return replace(wanted, disk=scene.disk("mail"))


@refused(ROWS, "disk_has_no_job", "it was not started here")
def a_disk_with_a_strangers_copy_since(scene: Scene) -> CopyRequest:
    return _copy_of_a_stranger(scene)


@refused_at_once(ROWS, "libvirt_knows_the_source", "may be wrong about which file")
def a_disk_after_a_pivot_that_nobody_heard_of(scene: Scene) -> CopyRequest:
    """To libvirt it is on its source, as after a daemon that was killed in a pivot."""
    _, disk = scene.guest()
    _, job = scene.ask(scene.wants(scene.path("first.qcow2"), disk=disk))
    assert job is not None
    scene.workers.until(job, State.MIRRORING)
    actions.perform(actions.PIVOT, job, scene.operator)
    scene.workers.inbox.clear()
    scene.host.virsh("blockjob", "mail", "vda", "--abort")
    scene.workers.until(job, State.LOST)
    scene.sync()
    return scene.wants(scene.path("second.qcow2"), disk=scene.disk("mail"))


@refused(ROWS, "no_backup_runs", "A backup of mail is running.")
def a_disk_that_is_backed_up(scene: Scene) -> CopyRequest:
    _, disk = scene.guest()
    socket = scene.path("backup.sock")
    scene.host.virsh(
        *("backup-begin", "mail", "/dev/stdin"),
        text=f"<domainbackup mode='pull'><server transport='unix' socket='{socket}'/>"
        f"<disks><disk name='vda' backup='yes' type='file'><scratch "
        f"file='{scene.path('scratch.qcow2')}'/></disk></disks></domainbackup>",
    )
    return scene.wants(scene.path("new.qcow2"), disk=disk)


# --- What a pivot would do ------------------------------------------------------------


@refused(ROWS, "checkpoints_survive", "mail has 1 checkpoint", Level.WARN)
def checkpoints_and_raw(scene: Scene) -> CopyRequest:
    _, disk = scene.guest()
    scene.host.virsh("checkpoint-create-as", "mail", "monday")
    return scene.wants(scene.path("new.raw"), "raw", disk=disk)


@refused(
    ROWS, "snapshots_stay_valid", "mail has 1 snapshot: before the update.", Level.WARN
)
def snapshots(scene: Scene) -> CopyRequest:
    _, disk = scene.guest()
    scene.host.virsh("snapshot-create-as", "mail", "before the update")
    return scene.wants(scene.path("new.qcow2"), disk=disk)


@refused(ROWS, "definitions_agree", "next boot uses", Level.WARN)
def another_file_at_the_next_boot(scene: Scene) -> CopyRequest:
    scene.guest()
    run("cp", scene.path("mail.qcow2"), scene.path("tomorrow.qcow2"))
    now = scene.host.virsh("dumpxml", "--inactive", "mail")
    tomorrow = now.replace("mail.qcow2", "tomorrow.qcow2")
    scene.host.virsh("define", "/dev/stdin", text=tomorrow)
    scene.sync()
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail"))


@refused(
    ROWS,
    "definitions_agree",
    "The persistent definition of mail has no vdb",
    Level.WARN,
)
def a_disk_that_the_next_boot_lacks(scene: Scene) -> CopyRequest:
    scene.guest(
        GuestDisk(scene.path("mail.qcow2"), SIZE),
        GuestDisk(scene.path("mail-data.qcow2"), SIZE),
    )
    scene.host.virsh("detach-disk", "mail", "vdb", "--config")
    scene.sync()
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail", "vdb"))


@refused_at_once(ROWS, "consistent_only_if_finished", "guest-consistent copy is one")
def consistent_and_not_finished(scene: Scene) -> CopyRequest:
    return replace(scene.wants(scene.path("new.qcow2")), consistent=True)


@refused(ROWS, "agent_answers", "No guest agent answers in web", Level.WARN)
def consistent_without_an_agent(scene: Scene) -> CopyRequest:
    wanted = scene.wants(scene.path("new.qcow2"))
    return replace(wanted, consistent=True, when_ready=WhenReady.FINISH)
