"""Refusals because of the destination: its name, its place, whose it is, its room."""

from __future__ import annotations

from dataclasses import replace

from jobs.hypervisor import Destination, Server
from jobs.models import ChainLink, CopyJob, Disk, Domain, Host
from jobs.preflight import CopyRequest, Level
from lab.guest import MIB, GuestDisk
from lab.images import run
from tests.integration.matrix.scene import (
    SIZE,
    Row,
    Scene,
    refused,
    refused_at_once,
)

ROWS: list[Row] = []
GIB = 1024 * MIB

# --- How it is written ----------------------------------------------------------------


@refused_at_once(ROWS, "destination_makes_sense", "must be an absolute path")
def a_relative_path(scene: Scene) -> CopyRequest:
    return scene.wants("new.qcow2")


@refused_at_once(ROWS, "destination_makes_sense", "no path")
def no_path(scene: Scene) -> CopyRequest:
    return scene.wants("")


@refused_at_once(ROWS, "destination_makes_sense", "must be written without")
def a_path_with_dots(scene: Scene) -> CopyRequest:
    return scene.wants(f"{scene.host.images}/../images/web.qcow2")


@refused_at_once(ROWS, "destination_makes_sense", "control characters")
def a_path_with_a_line_break(scene: Scene) -> CopyRequest:
    return scene.wants(f"{scene.host.images}/new\nfile.qcow2")


@refused_at_once(ROWS, "destination_makes_sense", "too long")
def a_path_that_is_too_long(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("x" * 256))


@refused_at_once(ROWS, "destination_makes_sense", "must be raw or qcow2")
def another_format(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.vmdk"), "vmdk")


# --- Whose it is ----------------------------------------------------------------------


@refused_at_once(ROWS, "destination_is_free", "web.qcow2 is the source itself.")
def the_source(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("web.qcow2"), reuse_external=True)


@refused_at_once(ROWS, "destination_is_free", "web.base1.qcow2 is the source itself.")
def the_sources_backing_file(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("web.base1.qcow2"), reuse_external=True)


@refused_at_once(ROWS, "destination_is_free", "in use by vda of files on alder")
def another_guests_disk(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("files.raw"), "raw", reuse_external=True)


@refused_at_once(ROWS, "destination_is_free", "in use by vda of archive on alder")
def the_disk_of_a_domain_that_is_off(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("archive.qcow2"), reuse_external=True)


@refused_at_once(ROWS, "destination_is_free", "in use by vda of mail on alder")
def the_file_of_another_guests_next_boot(scene: Scene) -> CopyRequest:
    scene.guest()
    run("cp", scene.path("mail.qcow2"), scene.path("tomorrow.qcow2"))
    now = scene.host.virsh("dumpxml", "--inactive", "mail")
    tomorrow = now.replace("mail.qcow2", "tomorrow.qcow2")
    scene.host.virsh("define", "/dev/stdin", text=tomorrow)
    scene.sync()
    return scene.wants(scene.path("tomorrow.qcow2"), reuse_external=True)


@refused_at_once(ROWS, "destination_is_free", "in use by vda of mail on alder")
def the_destination_of_a_strangers_copy(scene: Scene) -> CopyRequest:
    _strangers_copy(scene)
    scene.sync()
    return scene.wants(scene.path("theirs.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", "is the mirror of vda of mail.")
def the_destination_of_a_strangers_copy_since(scene: Scene) -> CopyRequest:
    _strangers_copy(scene)
    return scene.wants(scene.path("theirs.qcow2"), reuse_external=True)


def _strangers_copy(scene: Scene) -> None:
    scene.guest(GuestDisk(scene.path("mail.qcow2"), SIZE, data=SIZE // 2))
    scene.host.virsh(
        *("blockcopy", "mail", "vda", "--dest", scene.path("theirs.qcow2")),
        *("--format", "qcow2", "--transient-job", "--bandwidth", "65536", "--bytes"),
        *("--buf-size", "65536"),
    )


@refused_at_once(ROWS, "destination_is_free", "in use by vda of shop on birch")
def a_disk_of_another_host_on_shared_storage(scene: Scene) -> CopyRequest:
    path = str(scene.image("shop.qcow2"))
    birch = Host.objects.create(name="birch", site=scene.row.site, transport="local")
    domain = Domain.objects.create(
        host=birch,
        uuid="6f9619ff-8b86-4011-b42d-00cf4fc964ff",
        name="shop",
        state="shutoff",
        persistent=True,
        seen_at=scene.disk().domain.seen_at,
    )
    disk = Disk.objects.create(domain=domain, target="vda", device="disk", source=path)
    ChainLink.objects.create(disk=disk, depth=0, location=path, kind="file")
    return scene.wants(path, reuse_external=True)


@refused_at_once(ROWS, "destination_is_free", "is the destination of job")
def a_file_promised_to_a_job(scene: Scene) -> CopyRequest:
    _, disk = scene.guest(GuestDisk(scene.path("mail.qcow2"), SIZE, data=SIZE // 2))
    path = scene.path("promised.qcow2")
    _, job = scene.ask(scene.wants(path, disk=disk, bandwidth=2**16, buf_size=2**16))
    assert job is not None
    return scene.wants(path)


@refused(ROWS, "destination_is_nobodys", "is the source of vda of mail, which is shut")
def a_missing_file_of_a_domain_since(scene: Scene) -> CopyRequest:
    guest, _ = scene.guest()
    guest.destroy()
    now = scene.host.virsh("dumpxml", "--inactive", "mail")
    other = now.replace("mail.qcow2", "not-there-yet.qcow2")
    scene.host.virsh("define", "/dev/stdin", text=other)
    return scene.wants(scene.path("not-there-yet.qcow2"))


# --- What is there --------------------------------------------------------------------


@refused(ROWS, "destination_is_absent", "exists already. Choose another name")
def a_file_that_exists(scene: Scene) -> CopyRequest:
    scene.path("taken.qcow2").write_text("somebody's file")
    return scene.wants(scene.path("taken.qcow2"))


@refused(ROWS, "destination_is_absent", "is a directory.")
def a_directory(scene: Scene) -> CopyRequest:
    scene.path("folder").mkdir()
    return scene.wants(scene.path("folder"))


@refused(ROWS, "directory_is_there", "alder has no directory")
def a_directory_that_is_missing(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("no/such/new.qcow2"))


@refused(ROWS, "directory_is_there", "alder has no directory")
def a_file_for_a_directory(scene: Scene) -> CopyRequest:
    scene.path("plain").write_text("a file")
    return scene.wants(scene.path("plain/new.qcow2"))


@refused(ROWS, "directory_is_there", "does not seem to be allowed to write", Level.WARN)
def a_directory_of_somebody_else(scene: Scene) -> CopyRequest:
    scene.path("closed").mkdir()
    scene.path("closed").chmod(0o555)
    return scene.wants(scene.path("closed/new.qcow2"))


@refused(ROWS, "destination_is_absent", "could not be looked up", Level.WARN)
def a_directory_that_nobody_may_look_into(scene: Scene) -> CopyRequest:
    scene.settings.BLOCKCOPY_TRANSIENT_POOLS = False
    return scene.wants(scene.path("new.qcow2"))


@refused(ROWS, "destination_is_no_leftover", "listed as a leftover of job")
def a_leftover(scene: Scene) -> CopyRequest:
    _, disk = scene.guest(GuestDisk(scene.path("mail.qcow2"), SIZE, data=SIZE // 2))
    path = scene.path("half.qcow2")
    slow = scene.wants(path, disk=disk, bandwidth=2**16, buf_size=2**16)
    _, job = scene.ask(slow)
    assert job is not None
    scene.host.virsh("blockjob", "mail", "vda", "--abort")
    scene.workers.until_true(lambda: _ended(job.pk), lambda: "the job does not end")
    return scene.wants(path, disk=scene.disk())


def _ended(pk: int) -> bool:
    return not CopyJob.objects.get(pk=pk).active


# --- Volumes --------------------------------------------------------------------------


def _volume(scene: Scene, pool: str, name: str, format_: str = "qcow2") -> CopyRequest:
    place = Destination("volume", pool=pool, volume=name, format=format_)  # type: ignore[arg-type]
    return scene.wants_to(place)


@refused(ROWS, "pool_can_take_it", "alder has no storage pool slow.")
def a_volume_in_no_pool(scene: Scene) -> CopyRequest:
    return _volume(scene, "slow", "new.qcow2")


@refused(ROWS, "pool_can_take_it", "The storage pool resting is not active.")
def a_volume_in_a_pool_that_rests(scene: Scene) -> CopyRequest:
    scene.define_pool("resting")
    scene.host.virsh("pool-destroy", "resting")
    return _volume(scene, "resting", "new.qcow2")


@refused(ROWS, "destination_is_absent", "has a volume taken.qcow2 already")
def a_volume_that_exists(scene: Scene) -> CopyRequest:
    folder = scene.define_pool("fast")
    run("qemu-img", "create", "-q", "-f", "qcow2", folder / "taken.qcow2", "1M")
    return _volume(scene, "fast", "taken.qcow2")


@refused_at_once(ROWS, "destination_makes_sense", "one name without")
def a_volume_by_a_path(scene: Scene) -> CopyRequest:
    return _volume(scene, "fast", "../web.qcow2")


# --- Room -----------------------------------------------------------------------------


@refused(ROWS, "there_is_room", "can grow to", Level.WARN)
def a_disk_that_could_outgrow_the_storage(scene: Scene) -> CopyRequest:
    scene.guest(
        GuestDisk(scene.path("mail.qcow2"), SIZE),
        GuestDisk(scene.path("mail-data.qcow2"), 64 * 1024 * GIB),
    )
    return scene.wants(scene.path("new.qcow2"), disk=scene.disk("mail", "vdb"))


@refused(ROWS, "there_is_room", "will need at least")
def a_disk_that_does_not_fit(scene: Scene) -> CopyRequest:
    disk = _full_disk(scene, 4 * MIB)
    small = scene.small_folder(2 * MIB)
    return scene.wants(small / "new.raw", "raw", disk=disk)


@refused(ROWS, "there_is_room", "tight has")
def a_volume_that_does_not_fit(scene: Scene) -> CopyRequest:
    disk = _full_disk(scene, 4 * MIB)
    scene.define_pool("tight", scene.small_folder(3 * MIB))
    place = Destination("volume", pool="tight", volume="new.raw", format="raw")
    return scene.wants_to(place, disk)


@refused(ROWS, "there_is_room", "will take")
def room_that_is_promised(scene: Scene) -> CopyRequest:
    """It would fit alone; the other copy has begun and needs what is left."""
    disk = _full_disk(scene, 4 * MIB)
    small = scene.small_folder(6 * MIB)
    first = scene.wants(small / "first.raw", "raw", disk=disk)
    first = replace(first, accepted=frozenset({"there_is_room"}), reason="a test")
    slow = replace(first.options, bandwidth=2**16, buf_size=2**16)
    _, job = scene.ask(replace(first, options=slow))
    assert job is not None
    second = _second_disk(scene)
    return scene.wants(small / "second.raw", "raw", disk=second)


def _full_disk(scene: Scene, data: int) -> Disk:
    """The first of two disks that have `data` bytes in them."""
    scene.guest(
        GuestDisk(scene.path("mail.raw"), SIZE, "raw", data=data),
        GuestDisk(scene.path("mail-data.raw"), SIZE, "raw", data=data),
    )
    return scene.disk("mail")


def _second_disk(scene: Scene) -> Disk:
    return scene.disk("mail", "vdb")


# --- Devices and servers --------------------------------------------------------------


@refused(ROWS, "reused_is_there", "could not be looked up", Level.WARN)
def a_server_that_nobody_can_look_into(scene: Scene) -> CopyRequest:
    place = Destination(
        "network",
        protocol="nbd",
        name="export",
        servers=(Server("127.0.0.1", 1),),
        format="raw",
    )
    return scene.wants_to(place)


@refused(ROWS, "reused_is_there", "could not be looked up", Level.WARN)
def a_device_that_nobody_knows(scene: Scene) -> CopyRequest:
    return scene.wants("/dev/no-such-device", "raw", kind="block")
