"""Refusals because of what would be overwritten: the worst that libvirt allows."""

from __future__ import annotations

import os
from pathlib import Path

from jobs.hypervisor import Destination, Secret
from jobs.preflight import CopyRequest
from lab.guest import MIB
from lab.images import run
from tests.integration.matrix.scene import (
    SIZE,
    Row,
    Scene,
    refused,
    refused_at_once,
)

ROWS: list[Row] = []
_SECRET = ("--object", "secret,id=s,data=correct-horse")

# --- What is there is not what was declared -------------------------------------------


@refused(ROWS, "reused_is_there", "There is nothing at")
def nothing_to_reuse(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("missing.qcow2"), reuse_external=True)


@refused(ROWS, "reused_is_there", "is a directory, not a file.")
def a_directory_to_reuse(scene: Scene) -> CopyRequest:
    scene.path("folder").mkdir()
    return scene.wants(scene.path("folder"), reuse_external=True)


@refused(ROWS, "reused_is_there", "is a file, not a block device.")
def a_file_for_a_device(scene: Scene) -> CopyRequest:
    image = scene.image("plain.raw", "raw")
    return scene.wants(image, "raw", kind="block")


@refused(ROWS, "reused_is_there", "could not be looked up. Copy to a new file")
def a_directory_that_nobody_may_look_into(scene: Scene) -> CopyRequest:
    scene.settings.BLOCKCOPY_TRANSIENT_POOLS = False
    return scene.wants(scene.image("there.qcow2"), reuse_external=True)


@refused(ROWS, "reused_format_is_declared", "is qcow2, not raw.")
def qcow2_called_raw(scene: Scene) -> CopyRequest:
    return scene.wants(scene.image("there.qcow2"), "raw", reuse_external=True)


@refused(ROWS, "reused_format_is_declared", "is raw, not qcow2.")
def raw_called_qcow2(scene: Scene) -> CopyRequest:
    return scene.wants(scene.image("there.raw", "raw"), reuse_external=True)


@refused(ROWS, "reused_format_is_declared", "is vmdk, not qcow2.")
def vmdk_called_qcow2(scene: Scene) -> CopyRequest:
    return scene.wants(scene.image("there.vmdk", "vmdk"), reuse_external=True)


@refused(ROWS, "reused_size_is_exact", "has 4 MiB (4194304 bytes), vda has 8 MiB")
def a_smaller_file(scene: Scene) -> CopyRequest:
    return scene.wants(scene.image("there.qcow2", size=SIZE // 2), reuse_external=True)


@refused(ROWS, "reused_size_is_exact", "Create it anew with exactly the disk's size.")
def a_larger_qcow2(scene: Scene) -> CopyRequest:
    return scene.wants(scene.image("there.qcow2", size=SIZE + MIB), reuse_external=True)


@refused(ROWS, "reused_size_is_exact", "Use a slice of it: slice size 8388608")
def a_larger_raw(scene: Scene) -> CopyRequest:
    image = scene.image("there.raw", "raw", SIZE + 512)
    return scene.wants(image, "raw", reuse_external=True)


@refused(ROWS, "reused_size_is_exact", "has 0 bytes, vda has 8 MiB")
def an_empty_file(scene: Scene) -> CopyRequest:
    scene.path("empty.raw").touch()
    return scene.wants(scene.path("empty.raw"), "raw", reuse_external=True)


@refused(ROWS, "reused_size_is_exact", "Set the slice's size to 8388608.")
def a_slice_of_another_size(scene: Scene) -> CopyRequest:
    image = scene.image("there.raw", "raw", 2 * SIZE)
    return scene.wants(image, "raw", reuse_external=True, slice_size=SIZE + 512)


@refused(ROWS, "reused_size_is_exact", "Choose a smaller offset")
def a_slice_beyond_the_end(scene: Scene) -> CopyRequest:
    image = scene.image("there.raw", "raw", SIZE + MIB)
    return scene.wants(
        image, "raw", reuse_external=True, slice_size=SIZE, slice_offset=2 * MIB
    )


@refused(ROWS, "reused_encryption_is_declared", "is encrypted, which is not declared.")
def an_encrypted_qcow2(scene: Scene) -> CopyRequest:
    image = scene.image(
        *("there.qcow2", "qcow2", SIZE, *_SECRET),
        *("-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"),
    )
    return scene.wants(image, reuse_external=True)


@refused(ROWS, "reused_encryption_is_declared", "is encrypted, which is not declared.")
def an_encrypted_raw(scene: Scene) -> CopyRequest:
    image = scene.image(
        "there.luks", "luks", SIZE, *_SECRET, "-o", "key-secret=s,iter-time=10"
    )
    return scene.wants(image, "raw", reuse_external=True)


@refused(ROWS, "reused_encryption_is_declared", "is not encrypted, although a secret")
def no_encryption_where_a_secret_is_named(scene: Scene) -> CopyRequest:
    image = scene.image("there.qcow2")
    secret = Secret(uuid=scene.secret())
    place = Destination("file", str(image), encryption=secret)
    return scene.wants_to(place, reuse_external=True)


# --- By another name ------------------------------------------------------------------


def _link(scene: Scene, to: str) -> Path:
    link = scene.path("another-name")
    link.symlink_to(scene.path(to))
    return link


def _hard_link(scene: Scene, to: str) -> Path:
    os.link(scene.path(to), scene.path("another-name"))
    return scene.path("another-name")


@refused(ROWS, "destination_is_nobodys", "web.qcow2 itself, by another name or link.")
def the_source_by_a_symbolic_link(scene: Scene) -> CopyRequest:
    return scene.wants(_link(scene, "web.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", "web.qcow2 itself, by another name or link.")
def the_source_by_a_hard_link(scene: Scene) -> CopyRequest:
    return scene.wants(_hard_link(scene, "web.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", "web.qcow2 itself, by another name or link.")
def the_source_by_a_linked_directory(scene: Scene) -> CopyRequest:
    scene.path("elsewhere").symlink_to(scene.host.images)
    return scene.wants(scene.path("elsewhere/web.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", "is the backing file")
def the_backing_file_by_a_link(scene: Scene) -> CopyRequest:
    return scene.wants(_link(scene, "web.base1.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", "is the source of vda of files, by the name")
def another_guests_disk_by_a_link(scene: Scene) -> CopyRequest:
    return scene.wants(_link(scene, "files.raw"), "raw", reuse_external=True)


OFF = "vda of archive, which is shut off, by the name of"


@refused(ROWS, "destination_is_nobodys", f"is the source of {OFF}")
def a_disk_of_a_domain_that_is_off_by_a_link(scene: Scene) -> CopyRequest:
    return scene.wants(_link(scene, "archive.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", f"is the source of {OFF}")
def a_disk_of_a_domain_that_is_off_by_a_hard_link(scene: Scene) -> CopyRequest:
    return scene.wants(_hard_link(scene, "archive.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", f"is the backing file of {OFF}")
def a_backing_file_of_a_domain_that_is_off_by_a_link(scene: Scene) -> CopyRequest:
    return scene.wants(_link(scene, "archive.base1.qcow2"), reuse_external=True)


@refused(ROWS, "destination_is_nobodys", "is the source of vda of mail, which is shut")
def a_disk_of_a_domain_defined_since(scene: Scene) -> CopyRequest:
    guest, _ = scene.guest()
    guest.destroy()
    now = scene.host.virsh("dumpxml", "--inactive", "mail")
    image = scene.image("fresh.qcow2")
    other = now.replace("mail.qcow2", "fresh.qcow2")
    scene.host.virsh("define", "/dev/stdin", text=other)
    return scene.wants(image, reuse_external=True)


@refused(ROWS, "all_users_were_seen", "Somebody is writing to")
def a_file_that_somebody_writes_to(scene: Scene) -> CopyRequest:
    image = scene.image("busy.qcow2")
    scene.keep_touching(image)
    return scene.wants(image, reuse_external=True)


# --- Shallow: the trap of virDomainBlockCopy ------------------------------------------

CORRUPT = "would corrupt the guest's disk"


@refused(ROWS, "shallow_backing_is_the_sources", "has no backing file; a shallow")
def shallow_onto_no_backing_file(scene: Scene) -> CopyRequest:
    image = scene.image("there.qcow2")
    return scene.wants(image, shallow=True, reuse_external=True)


@refused(ROWS, "shallow_backing_is_the_sources", "other.qcow2, vda has")
def shallow_onto_another_backing_file(scene: Scene) -> CopyRequest:
    other = scene.image("other.qcow2")
    image = scene.over("there.qcow2", other)
    return scene.wants(image, shallow=True, reuse_external=True)


@refused(ROWS, "shallow_backing_is_the_sources", CORRUPT)
def shallow_onto_the_same_content_elsewhere(scene: Scene) -> CopyRequest:
    """A copy of the backing file is right today and nobody keeps it so."""
    run("cp", scene.path("web.base1.qcow2"), scene.path("twin.qcow2"))
    image = scene.over("there.qcow2", scene.path("twin.qcow2"))
    return scene.wants(image, shallow=True, reuse_external=True)


@refused(ROWS, "shallow_backing_is_the_sources", "reads its backing file")
def shallow_onto_the_backing_file_in_another_format(scene: Scene) -> CopyRequest:
    base = scene.path("web.base1.qcow2")
    image = scene.over("there.qcow2", base)
    run("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", base, "-F", "raw", image)
    return scene.wants(image, shallow=True, reuse_external=True)


@refused(ROWS, "shallow_backing_is_the_sources", CORRUPT)
def shallow_onto_the_source_as_backing_file(scene: Scene) -> CopyRequest:
    image = scene.over("there.qcow2", scene.path("web.qcow2"))
    return scene.wants(image, shallow=True, reuse_external=True)


@refused(ROWS, "reused_is_there", "could not be looked up")
def shallow_where_nobody_may_look(scene: Scene) -> CopyRequest:
    image = scene.over("there.qcow2", scene.path("web.base1.qcow2"))
    scene.settings.BLOCKCOPY_TRANSIENT_POOLS = False
    return scene.wants(image, shallow=True, reuse_external=True)


def _declared(scene: Scene, backing: Path, *, shallow: bool = True) -> CopyRequest:
    image = scene.over("there.qcow2", scene.path("web.base1.qcow2"))
    place = Destination(
        "file", str(image), backing=Destination("file", str(backing), "qcow2")
    )
    return scene.wants_to(place, shallow=shallow, reuse_external=True)


@refused_at_once(ROWS, "declared_backing_is_the_sources", "corrupt the guest's disk")
def shallow_with_another_backing_file_declared(scene: Scene) -> CopyRequest:
    return _declared(scene, scene.image("other.qcow2"))


@refused_at_once(ROWS, "declared_backing_is_the_sources", "the copy is not shallow")
def a_backing_file_declared_for_a_full_copy(scene: Scene) -> CopyRequest:
    base = scene.path("web.base1.qcow2")
    return _declared(scene, base, shallow=False)
