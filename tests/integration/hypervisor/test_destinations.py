"""Copies to files, devices, volumes and encrypted images, on real hosts.

Each becomes ready and is pivoted to, and holds then what the disk held.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    Hypervisor,
    HypervisorError,
    InvalidOption,
    Secret,
)
from lab.cell import LabError
from lab.guest import MIB, GuestDisk
from lab.host import PrivateHost
from lab.images import create_image
from lab.loop import LoopDevice
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import Heard
from tests.integration.hypervisor.copying import (
    PASSPHRASE,
    REUSE,
    SIZE,
    Copying,
    MakeImage,
    identical,
    json_name,
)

pytestmark = pytest.mark.integration


# --- Files and devices ------------------------------------------------------------


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
def test_file(copying: Copying, tmp_path: Path, format_: str) -> None:
    to = Destination("file", str(tmp_path / "new"), format_)  # type: ignore[arg-type]
    copying.pivot(to)
    assert identical(copying.source, to.path, "-F", format_)


MakeDevice = Callable[[int], str]


@pytest.fixture
def device(place: MakeImage) -> Iterator[MakeDevice]:
    with ExitStack() as opened:

        def device(size: int) -> str:
            try:
                return opened.enter_context(LoopDevice(place("device", size))).path
            except LabError as error:
                pytest.skip(str(error))

        yield device


def test_device(copying: Copying, device: MakeDevice) -> None:
    to = Destination("block", device(SIZE), "raw")
    copying.pivot(to)
    assert identical(copying.source, to.path, "-F", "raw")
    copying.guest.destroy()


def test_larger_device_with_qcow2(copying: Copying, device: MakeDevice) -> None:
    to = Destination("block", device(2 * SIZE), "qcow2")
    copying.pivot(to)
    assert identical(copying.source, to.path, "-F", "qcow2")
    copying.guest.destroy()


def test_slice_of_a_larger_device(copying: Copying, device: MakeDevice) -> None:
    to = Destination("block", device(2 * SIZE), "raw", slice_size=SIZE)
    copying.pivot(to)
    copying.guest.destroy()
    below = {"driver": "host_device", "filename": to.path}
    part = json_name(driver="raw", offset=0, size=SIZE, file=below)
    assert identical(copying.source, part)


def test_larger_device_without_slice_fails_later(
    copying: Copying, device: MakeDevice, heard: Heard
) -> None:
    identity = copying.start(Destination("block", device(2 * SIZE), "raw"))
    heard.block_job(identity.domain_uuid, "failed")
    assert copying.guest.source() == str(copying.source)


@pytest.mark.parametrize("offset", [0, MIB])
def test_slice_of_a_larger_file(
    copying: Copying, place: MakeImage, offset: int
) -> None:
    image = place("larger", 2 * SIZE)
    to = Destination("file", str(image), "raw", slice_offset=offset, slice_size=SIZE)
    copying.pivot(to, REUSE)
    below = {"driver": "file", "filename": str(image)}
    part = json_name(driver="raw", offset=offset, size=SIZE, file=below)
    assert identical(copying.source, part)
    slices = f"<slice type='storage' offset='{offset}' size='{SIZE}'/>"
    assert slices in copying.guest.host.virsh("dumpxml", copying.guest.name)


def test_slice_of_a_file_that_may_not_be_reused(
    copying: Copying, place: MakeImage
) -> None:
    """libvirt would refuse to create a slice (error 84)."""
    to = Destination("file", str(place("larger", 2 * SIZE)), "raw", slice_size=SIZE)
    with pytest.raises(InvalidOption, match="part of a file that exists"):
        copying.start(to)


def test_metadata_cache(copying: Copying, tmp_path: Path) -> None:
    path = str(tmp_path / "cached.qcow2")
    copying.pivot(Destination("file", path, "qcow2", metadata_cache=3 * MIB))
    live = copying.guest.host.virsh("dumpxml", copying.guest.name)
    assert f"<max_size unit='bytes'>{3 * MIB}</max_size>" in live


def test_declared_backing_file(
    alder: PrivateHost, hypervisor: Hypervisor, make_guest: MakeGuest, heard: Heard
) -> None:
    """The chain is the declared one, whatever the reused file's header says."""
    image = GuestDisk(alder.images / "web-layers.qcow2", backing=("qcow2",))
    guest = make_guest(alder, image, paused=True)
    base = alder.images / "web-layers.base1.qcow2"
    reused = alder.images / "web-layers.reused.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2"]
    subprocess.run([*create, "-b", base, reused], check=True)
    to = Destination(
        "file", str(reused), "qcow2", backing=Destination("file", str(base), "qcow2")
    )
    options = CopyOptions(shallow=True, reuse_external=True)
    Copying(guest, hypervisor, heard).pivot(to, options)
    assert identical(image.path, to.path, "-F", "qcow2")
    (chain,) = [
        disk.chain
        for domain in hypervisor.inventory().domains
        if domain.uuid == guest.uuid
        for disk in domain.disks
    ]
    assert [link.location for link in chain] == [str(base)]


# --- Volumes ----------------------------------------------------------------------


def test_created_volume_is_reused_without_being_told(
    copying: Copying, alder: PrivateHost, place: MakeImage
) -> None:
    name = f"volume-{copying.guest.name}.qcow2"
    size = str(SIZE)
    alder.virsh("vol-create-as", "images", name, size, "--format", "qcow2")
    path = str(alder.images / name)
    to = Destination("volume", path, "qcow2", pool="images", volume=name)
    copying.pivot(to)
    assert identical(copying.source, path, "-F", "qcow2")


def test_volume_without_a_path_is_not_started(
    copying: Copying,
) -> None:
    to = Destination("volume", "", "qcow2", pool="images", volume="never.qcow2")
    with pytest.raises(HypervisorError) as refusal:
        copying.start(to)
    assert "create it first" in refusal.value.cause


# --- LUKS -------------------------------------------------------------------------


USAGE = "copies of web"


@pytest.fixture(scope="module")
def secret(alder: PrivateHost) -> str:
    return alder.define_secret(PASSPHRASE, USAGE)


@pytest.mark.parametrize(("format_", "named"), [("raw", "uuid"), ("qcow2", "usage")])
def test_luks(
    copying: Copying,
    tmp_path: Path,
    secret: str,
    format_: str,
    named: str,
) -> None:
    by = Secret(uuid=secret) if named == "uuid" else Secret(usage=USAGE)
    path = tmp_path / "luks"
    to = Destination("file", str(path), format_, encryption=by)  # type: ignore[arg-type]
    copying.pivot(to)
    assert b"\xa5" * 512 not in path.read_bytes()
    assert identical(copying.source, *opened(path, format_, tmp_path))
    copying.guest.destroy()
    copying.guest.start(paused=True)  # the definition has the secret too


def opened(path: Path, format_: str, folder: Path) -> list[str]:
    """The image with its passphrase, as qemu-img's last arguments."""
    (folder / "passphrase").write_text(PASSPHRASE)
    key = f"secret,id=key,file={folder / 'passphrase'}"
    below = {"driver": "file", "filename": str(path)}
    if format_ == "raw":
        name = json_name(driver="luks", **{"key-secret": "key"}, file=below)
    else:
        encrypt = {"format": "luks", "key-secret": "key"}
        name = json_name(driver="qcow2", encrypt=encrypt, file=below)
    return [name, "--object", key]


def test_reused_luks_file(copying: Copying, tmp_path: Path, secret: str) -> None:
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    path = tmp_path / "made.luks"
    key = f"secret,id=key,file={tmp_path / 'passphrase'}"
    create_image(path, "luks", SIZE, "-o", "key-secret=key", "--object", key)
    to = Destination("file", str(path), "raw", encryption=Secret(uuid=secret))
    copying.pivot(to, REUSE)
    assert identical(copying.source, *opened(path, "raw", tmp_path))


def test_unknown_secret(copying: Copying, tmp_path: Path) -> None:
    by = Secret(usage="no such secret")
    with pytest.raises(HypervisorError) as refusal:
        copying.start(Destination("file", str(tmp_path / "l"), "raw", encryption=by))
    assert refusal.value.code == 66
    assert "no secret with matching usage" in refusal.value.text
    assert not (tmp_path / "l").exists()
