"""Volumes made and images removed on a real host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.hypervisor import (
    ChainLink,
    CopyOptions,
    Destination,
    DestinationError,
    DestinationExists,
    DestinationUnusable,
    Hypervisor,
    Identity,
    Secret,
)
from lab.guest import MIB, Guest, GuestDisk
from lab.host import PrivateHost
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration

ODD = 64 * MIB + 512


@pytest.fixture(autouse=True)
def nothing_is_left(alder: PrivateHost) -> Iterator[None]:
    before = set(alder.images.iterdir())
    yield
    for made in set(alder.images.iterdir()) - before:
        made.unlink()
    alder.virsh("pool-refresh", "images")


def volume(name: str, format_: str = "qcow2", **fields: Any) -> Destination:
    return Destination(
        "volume", pool="images", volume=name, **{"format": format_, **fields}
    )


def info(path: str | Path) -> dict[str, Any]:
    command = ["qemu-img", "info", "-U", "--output", "json", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def create(path: Path, *more: str | Path) -> Path:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *more, path, "8M"]
    subprocess.run(command, check=True)
    return path


# --- Making ---------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [MIB + 512, MIB, ODD, 10 * 1024 * 1024 * MIB])
@pytest.mark.parametrize("format_", ["raw", "qcow2"])
def test_a_volume_is_what_was_asked_for(
    hypervisor: Hypervisor, alder: PrivateHost, format_: str, capacity: int
) -> None:
    path = hypervisor.create_volume(volume("exact", format_), capacity)
    assert path == str(alder.images / "exact")
    told = info(path)
    assert (told["format"], told["virtual-size"]) == (format_, capacity)
    assert told["actual-size"] < MIB, "it takes no room yet"
    if format_ == "qcow2":
        assert told["format-specific"]["data"]["compat"] == "1.1"


@pytest.mark.parametrize(("format_", "named"), [("raw", "uuid"), ("qcow2", "usage")])
def test_an_encrypted_volume(
    hypervisor: Hypervisor, alder: PrivateHost, format_: str, named: str
) -> None:
    usage = f"locked {format_} {named}"
    uuid = alder.define_secret("open sesame", usage)
    secret = Secret(uuid=uuid) if named == "uuid" else Secret(usage=usage)
    locked = volume("locked", format_, encryption=secret)
    path = hypervisor.create_volume(locked, ODD)
    alder.virsh("secret-undefine", uuid)
    seen = hypervisor.image(path)
    assert (seen.format, seen.encrypted, seen.capacity) == (format_, True, ODD)
    assert opens(path, format_, "open sesame")
    assert not opens(path, format_, "wrong")


def opens(path: str, format_: str, passphrase: str) -> bool:
    """Whether a QEMU that has this passphrase can read the last sector."""
    luks = {
        "raw": "driver=luks,key-secret=key,file.driver=file",
        "qcow2": "driver=qcow2,encrypt.format=luks,encrypt.key-secret=key,"
        "file.driver=file",
    }[format_]
    done = subprocess.run(
        [
            *("qemu-io", "--object", f"secret,id=key,data={passphrase}"),
            *("-r", "-c", f"read {ODD - 512} 512"),
            *("--image-opts", f"{luks},file.filename={path}"),
        ],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_copies_of_a_disk_of_an_odd_size(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    """A volume that is larger than the disk would make the copy fail, silently."""
    guest = make_guest(alder, GuestDisk(alder.images / "odd.raw", ODD, "raw", 8 * MIB))
    uuid = guest.uuid
    for format_ in ("qcow2", "raw"):
        path = hypervisor.create_volume(volume(f"to.{format_}", format_), ODD)
        reused = Destination("file", path, format_)
        source = guest.source()
        started = hypervisor.start(
            uuid, "vda", reused, CopyOptions(reuse_external=True)
        )
        until(lambda: is_ready(hypervisor, uuid))
        hypervisor.pivot(Identity(uuid, started.domain_id, "vda", path))
        assert guest.source() == path
        command = ["qemu-img", "compare", "-U", source, path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def is_ready(hypervisor: Hypervisor, uuid: str) -> bool:
    mirror = hypervisor.observe(uuid).disks["vda"].mirror
    assert mirror is not None, "the copy failed"
    return mirror.is_ready


@pytest.mark.parametrize("name", ["it's <b>&amp;\" ü", "-rf", " %00 {} "])
def test_hostile_names(hypervisor: Hypervisor, alder: PrivateHost, name: str) -> None:
    path = hypervisor.create_volume(volume(name), MIB)
    assert Path(path) == alder.images / name
    assert hypervisor.image(path).exists
    hypervisor.delete_image(path, kind="volume")
    assert not Path(path).exists()


def refused(hypervisor: Hypervisor, *asked: Any) -> DestinationUnusable:
    with pytest.raises(DestinationUnusable) as no:
        hypervisor.create_volume(*asked)
    assert no.value.cause.endswith(".")
    assert no.value.remedy.endswith(".")
    return no.value


@pytest.mark.parametrize("name", ["../outside", "a/b", ".."])
def test_no_volume_outside_of_its_pool(
    hypervisor: Hypervisor, alder: PrivateHost, name: str
) -> None:
    with pytest.raises(DestinationError) as no:
        hypervisor.create_volume(volume(name), MIB)
    assert no.value.field == "volume"
    assert not (alder.images.parent / "outside").exists()


@pytest.mark.parametrize("how", ["file", "link", "directory"])
def test_what_is_there_is_not_touched(
    hypervisor: Hypervisor, alder: PrivateHost, tmp_path: Path, how: str
) -> None:
    """libvirt's pool has not seen it; qemu-img would write over it."""
    there, other = alder.images / "taken", tmp_path / "precious"
    other.write_text("precious")
    if how == "file":
        there.write_text("precious")
    elif how == "link":
        there.symlink_to(other)
    else:
        there.mkdir()
    with pytest.raises(DestinationExists) as no:
        hypervisor.create_volume(volume("taken"), MIB)
    assert "already" in no.value.cause
    assert other.read_text() == "precious"
    if how == "directory":
        there.rmdir()
    else:
        assert there.read_text() == "precious"


def test_a_pool_that_is_not_active(hypervisor: Hypervisor, alder: PrivateHost) -> None:
    alder.virsh("pool-define-as", "asleep", "dir", "--target", "/nowhere")
    try:
        no = refused(hypervisor, Destination("volume", pool="asleep", volume="x"), MIB)
        seen = hypervisor.examine(
            alder.uuid, "vda", Destination("volume", pool="asleep", volume="x")
        )
    finally:
        alder.virsh("pool-undefine", "asleep")
    assert no.cause == "The storage pool is not active."
    assert seen.pool is not None
    assert not seen.pool.active


def test_a_pool_that_is_full(
    hypervisor: Hypervisor, alder: PrivateHost, small_pool: str
) -> None:
    path = hypervisor.create_volume(
        Destination("volume", pool=small_pool, volume="x"), MIB
    )
    hypervisor.delete_image(path, kind="volume")
    alder.virsh(
        *("vol-create-as", small_pool, "filling", "2M", "--format", "raw"),
        *("--allocation", "2M"),
    )
    no = refused(hypervisor, Destination("volume", pool=small_pool, volume="x"), MIB)
    assert no.cause == "The destination's storage is full."
    assert alder.virsh("vol-list", small_pool).split()[0] == "filling"
    assert len(alder.virsh("vol-list", small_pool).splitlines()) == 1


@pytest.fixture
def small_pool(alder: PrivateHost, tmp_path: Path) -> Iterator[str]:
    """A pool over a file system of 2 MiB, which only the host's processes see."""
    alder.make_small_folder(tmp_path / "small", 2 * MIB)
    alder.define_pool("small", tmp_path / "small")
    yield "small"
    alder.virsh("pool-destroy", "small")
    alder.virsh("pool-undefine", "small")


def test_a_size_that_no_file_can_have(
    hypervisor: Hypervisor, alder: PrivateHost
) -> None:
    for format_ in ("raw", "qcow2"):
        no = refused(hypervisor, volume("huge", format_), 2**62)
        assert no.cause == "The storage cannot hold an image of that size."
    assert not (alder.images / "huge").exists()


def test_a_secret_without_a_value(hypervisor: Hypervisor, alder: PrivateHost) -> None:
    text = "<secret><usage type='volume'><volume>blank</volume></usage></secret>"
    alder.virsh("secret-define", "/dev/stdin", text=text)
    uuid = alder.virsh("secret-list").split()[0]
    no = refused(hypervisor, volume("x", encryption=Secret(usage="blank")), MIB)
    alder.virsh("secret-undefine", uuid)
    assert "secret" in no.cause
    assert not (alder.images / "x").exists()


def test_a_backing_file_that_is_elsewhere(
    hypervisor: Hypervisor, alder: PrivateHost
) -> None:
    missing = ChainLink("/nowhere/base.qcow2", "file", "qcow2")
    assert "backing file" in refused(hypervisor, volume("x"), MIB, missing).cause
    served = ChainLink("nbd://box:10809/base", "network", "raw")
    assert "network" in refused(hypervisor, volume("x"), MIB, served).cause
    assert not (alder.images / "x").exists()


# --- Removing -------------------------------------------------------------------------


def test_one_name_of_a_file_is_removed_and_no_other(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    kept = create(tmp_path / "kept.qcow2")
    for make in (Path.symlink_to, Path.hardlink_to):
        name = tmp_path / "name.qcow2"
        make(name, kept)
        hypervisor.delete_image(str(name), kind="file", transient_pools=True)
        assert not name.exists()
        assert kept.exists()


def test_nothing_is_removed_unseen(hypervisor: Hypervisor, tmp_path: Path) -> None:
    path = create(tmp_path / "unseen.qcow2")
    with pytest.raises(DestinationUnusable) as no:
        hypervisor.delete_image(str(path), kind="file")
    assert no.value.cause == (
        f"Whether anything uses it is not known. No storage pool covers {tmp_path}."
    )
    assert path.exists()


def test_nothing_is_removed_while_a_chain_is_not_known(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, tmp_path: Path
) -> None:
    """Its base may be just what is to be removed."""
    path = create(alder.images / "base.qcow2")
    top = create(tmp_path / "top.qcow2", "-b", path, "-F", "qcow2")
    off = make_guest(alder, GuestDisk(top), start=False)
    with pytest.raises(DestinationUnusable):
        hypervisor.delete_image(str(path), kind="file")
    with pytest.raises(DestinationUnusable) as no:
        hypervisor.delete_image(str(path), kind="file", transient_pools=True)
    assert no.value.cause == f"{path} is the backing file of vda of {off.name}."
    assert path.exists()


@pytest.mark.parametrize("name", ["other name", "other folder"])
def test_no_disk_is_removed_by_its_other_name(
    hypervisor: Hypervisor,
    alder: PrivateHost,
    make_guest: MakeGuest,
    tmp_path: Path,
    name: str,
) -> None:
    off = make_guest(alder, start=False)
    disk = off.disks[0].path
    (tmp_path / "folder").symlink_to(disk.parent)
    (tmp_path / "name").hardlink_to(disk)
    path = {"other name": "name", "other folder": f"folder/{disk.name}"}[name]
    with pytest.raises(DestinationUnusable) as no:
        hypervisor.delete_image(str(tmp_path / path), kind="file", transient_pools=True)
    assert off.name in no.value.cause
    assert disk.exists()


def named_by_firmware(guest: Guest, path: Path) -> None:
    definition = guest.host.virsh("dumpxml", guest.name)
    edited = definition.replace("</type>", f"</type><kernel>{path}</kernel>", 1)
    guest.host.virsh("define", "/dev/stdin", text=edited)


def named_by_snapshot(guest: Guest, path: Path) -> None:
    """An old source: the guest has moved on, its snapshot has not."""
    host = guest.host
    definition = host.virsh("dumpxml", guest.name)
    old = definition.replace(str(guest.disks[0].path), str(path))
    host.virsh("define", "/dev/stdin", text=old)
    host.virsh("snapshot-create-as", guest.name, "monday")
    host.virsh("define", "/dev/stdin", text=definition)


@pytest.mark.parametrize(
    ("name_it", "words"),
    [(named_by_firmware, "the definition of"), (named_by_snapshot, "snapshot monday")],
)
def test_what_a_domain_names_otherwise_is_not_removed(
    hypervisor: Hypervisor,
    alder: PrivateHost,
    make_guest: MakeGuest,
    name_it: Callable[[Guest, Path], None],
    words: str,
) -> None:
    off = make_guest(alder, start=False)
    path = create(alder.images / "needed.qcow2")
    name_it(off, path)
    with pytest.raises(DestinationUnusable) as no:
        hypervisor.delete_image(str(path), kind="file")
    assert words in no.value.cause
    assert off.name in no.value.cause
    assert path.exists()
    if name_it is named_by_snapshot:
        alder.virsh("snapshot-delete", off.name, "monday", "--metadata")
        hypervisor.delete_image(str(path), kind="file")


@pytest.mark.parametrize("kind", ["network", "dir", ""])
def test_only_files_and_volumes_are_removed(
    hypervisor: Hypervisor, alder: PrivateHost, kind: str
) -> None:
    path = create(alder.images / "x.qcow2")
    with pytest.raises(DestinationUnusable):
        hypervisor.delete_image(str(path), kind=kind)
    assert path.exists()


def test_devices_are_not_removed(hypervisor: Hypervisor) -> None:
    for path in ("/dev/vda", "/dev/null", "/proc/1/mem"):
        with pytest.raises(DestinationUnusable):
            hypervisor.delete_image(path, kind="block", transient_pools=True)
