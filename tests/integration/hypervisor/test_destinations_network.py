"""Copies over a network, on real hosts: NBD, with TLS too, and iSCSI.

What no server is here for, rbd and gluster, gets the real libvirt's own answer.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    Hypervisor,
    HypervisorError,
    PivotFailed,
    Secret,
    Server,
    to_xml,
)
from lab import iscsi
from lab.cell import LabError
from lab.guest import MIB, GuestDisk
from lab.host import PrivateHost
from lab.iscsi import IscsiTarget
from lab.nbd import NbdServer
from lab.tls import Authority
from tests.integration.conftest import MakeGuest
from tests.integration.hypervisor.conftest import Heard, until
from tests.integration.hypervisor.copying import (
    PASSPHRASE,
    SIZE,
    Copying,
    MakeImage,
    identical,
    json_name,
    network,
)

pytestmark = pytest.mark.integration

CACHE = Path(__file__).resolve().parents[3] / "var/cache"
# What QEMU's LUKS takes for its keys, before the disk's first byte.
LUKS_HEADER = 2068480


# --- NBD --------------------------------------------------------------------------


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("export", ["", "disks/web ü?x#1&2%"])
def test_nbd(
    copying: Copying, place: MakeImage, tmp_path: Path, unix: bool, export: str
) -> None:
    image = place("export.raw")
    with NbdServer(tmp_path / "nbd", image, export=export, unix=unix) as server:
        copying.pivot(network(server))
        copying.guest.destroy()
    assert identical(copying.source, str(image), "-F", "raw")


def test_nbd_with_qcow2_inside(
    copying: Copying, place: MakeImage, tmp_path: Path
) -> None:
    """Formatted by libvirt; the export is larger for what qcow2 needs itself."""
    image = place("export", 2 * SIZE)
    with NbdServer(tmp_path / "nbd", image, export="web") as server:
        copying.finish(replace(network(server), format="qcow2"))
    assert identical(copying.source, str(image), "-F", "qcow2")


def test_nbd_slice(copying: Copying, place: MakeImage, tmp_path: Path) -> None:
    image = place("export.raw", SIZE + MIB)
    with NbdServer(tmp_path / "nbd", image, export="web") as server:
        copying.finish(network(server, slice_size=SIZE))
    subprocess.run(["truncate", "-s", str(SIZE), image], check=True)
    assert identical(copying.source, str(image), "-F", "raw")


def test_guest_goes_on_from_its_export(
    alder: PrivateHost,
    hypervisor: Hypervisor,
    make_guest: MakeGuest,
    heard: Heard,
    place: MakeImage,
    tmp_path: Path,
) -> None:
    """It writes through the pivot, is then switched off, and boots from there."""
    guest = make_guest(alder, writing=True, pause=0.001)
    guest.log.wait_for_writes()
    with NbdServer(tmp_path / "nbd", place("export.raw"), export="web") as server:
        Copying(guest, hypervisor, heard).pivot(network(server))
        guest.log.wait_for_writes(2)
        guest.destroy()
        guest.start()
        guest.log.wait_for_boot(2)
        guest.log.wait_for_writes()
        assert guest.source() == "web"
        assert (guest.log.errors, guest.log.mismatches) == (0, 0)
        guest.destroy()


def test_nbd_server_that_dies_while_mirroring(
    copying: Copying, place: MakeImage, tmp_path: Path, hypervisor: Hypervisor
) -> None:
    """An idle guest notices at the pivot; it stays where it was."""
    with NbdServer(tmp_path / "nbd", place("export.raw"), export="web") as server:
        identity = copying.ready(network(server))
        server.kill()
        with pytest.raises(PivotFailed):
            hypervisor.pivot(identity)
    assert copying.guest.source() == str(copying.source)


def test_frozen_nbd_server_holds_the_copy_until_it_goes_on(
    copying: Copying, place: MakeImage, tmp_path: Path, hypervisor: Hypervisor
) -> None:
    slow = CopyOptions(bandwidth=MIB, buf_size=MIB)
    with NbdServer(tmp_path / "nbd", place("export.raw"), export="web") as server:
        identity = copying.start(network(server), slow)
        server.freeze()
        hypervisor.end(identity)
        mirror = hypervisor.observe(identity.domain_uuid).disks["vda"].mirror
        assert mirror is not None
        server.thaw()
        until(
            lambda: hypervisor.observe(identity.domain_uuid).disks["vda"].mirror is None
        )


def test_luks_over_nbd(
    copying: Copying, place: MakeImage, tmp_path: Path, alder: PrivateHost
) -> None:
    """libvirt formats the export; it has to hold the disk and LUKS's own header."""
    secret = Secret(uuid=alder.define_secret(PASSPHRASE, f"nbd of {tmp_path.name}"))
    image = place("export", SIZE + LUKS_HEADER)
    with NbdServer(tmp_path / "nbd", image, export="web") as server:
        copying.finish(network(server, encryption=secret))
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    key = f"secret,id=key,file={tmp_path / 'passphrase'}"
    below = {"driver": "file", "filename": str(image)}
    name = json_name(driver="luks", **{"key-secret": "key"}, file=below)
    assert identical(copying.source, name, "--object", key)


# --- NBD over TLS -----------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(
    tmp_path_factory: pytest.TempPathFactory, alder: PrivateHost
) -> Authority:
    """One that the host trusts, and that has given it a client's certificate."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue(alder.certificates, "client")
    return authority


@pytest.fixture(scope="module")
def certificates(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Path:
    return authority.issue(tmp_path_factory.mktemp("server"), "server")


def test_nbd_over_tls(
    copying: Copying, place: MakeImage, tmp_path: Path, certificates: Path
) -> None:
    image = place("export.raw")
    with NbdServer(
        tmp_path / "nbd", image, export="web", certificates=certificates
    ) as server:
        copying.pivot(network(server, tls=True))
        live = copying.guest.host.virsh("dumpxml", copying.guest.name)
        copying.guest.destroy()
    assert "tls='yes'" in live
    assert identical(copying.source, str(image), "-F", "raw")


def test_tls_server_of_another_authority(
    copying: Copying, place: MakeImage, tmp_path: Path, authority: Authority
) -> None:
    stranger = Authority(tmp_path / "stranger").issue(tmp_path / "theirs", "server")
    with (
        NbdServer(
            tmp_path / "nbd", place("export.raw"), export="web", certificates=stranger
        ) as server,
        pytest.raises(HypervisorError) as refusal,
    ):
        copying.start(network(server, tls=True))
    assert refusal.value.code == 1
    assert "certificate" in refusal.value.text


def test_server_that_insists_on_tls(
    copying: Copying, place: MakeImage, tmp_path: Path, certificates: Path
) -> None:
    with (
        NbdServer(
            tmp_path / "nbd", place("e.raw"), export="web", certificates=certificates
        ) as server,
        pytest.raises(HypervisorError) as refusal,
    ):
        copying.start(network(server))
    assert refusal.value.code == 1
    assert "TLS" in refusal.value.text


# --- iSCSI ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packages() -> Path:
    try:
        return iscsi.fetch(CACHE)
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def over_iscsi(
    alder: PrivateHost,
    hypervisor: Hypervisor,
    make_guest: MakeGuest,
    heard: Heard,
    packages: Path,
) -> Copying:
    """A guest at rest whose QEMU speaks iSCSI."""
    image = GuestDisk(alder.images / "web-iscsi.qcow2", data=8 * MIB)
    guest = make_guest(alder, image, start=False)
    iscsi.give_module(guest, packages)
    guest.start(paused=True)
    return Copying(guest, hypervisor, heard)


def lun(target: IscsiTarget, **fields: Any) -> Destination:
    server = Server("127.0.0.1", target.port)
    return Destination(
        "network",
        format="raw",
        protocol="iscsi",
        name=target.name,
        servers=(server,),
        **fields,
    )


def test_iscsi(
    over_iscsi: Copying, place: MakeImage, tmp_path: Path, packages: Path
) -> None:
    image = place("lun.raw")
    with IscsiTarget(tmp_path, image, packages) as target:
        over_iscsi.pivot(lun(target))
        over_iscsi.guest.destroy()
        over_iscsi.guest.start(paused=True)
        over_iscsi.guest.destroy()
    assert identical(over_iscsi.source, str(image), "-F", "raw")


def test_iscsi_with_a_secret(
    over_iscsi: Copying,
    place: MakeImage,
    tmp_path: Path,
    packages: Path,
    alder: PrivateHost,
) -> None:
    usage = f"target of {tmp_path.name}"
    alder.define_secret("olgas-password", usage, "iscsi")
    wrong = alder.define_secret("another-password", f"wrong {usage}", "iscsi")
    image = place("lun.raw")
    with IscsiTarget(
        tmp_path, image, packages, user="olga", password="olgas-password"
    ) as target:
        for refused in (lun(target), lun(target, user="olga", auth=Secret(uuid=wrong))):
            error = refusal(over_iscsi, refused)
            assert (error.code, "log in" in error.text) == (1, True)
        over_iscsi.finish(lun(target, user="olga", auth=Secret(usage=usage)))
    assert identical(over_iscsi.source, str(image), "-F", "raw")


def refusal(copying: Copying, to: Destination) -> HypervisorError:
    """libvirt's own answer; nothing was started."""
    with pytest.raises(HypervisorError) as refusal:
        copying.start(to)
    assert "<mirror" not in copying.guest.host.virsh("dumpxml", copying.guest.name)
    return refusal.value


def test_target_that_is_not_there(
    over_iscsi: Copying, place: MakeImage, tmp_path: Path, packages: Path
) -> None:
    with IscsiTarget(tmp_path, place("lun.raw"), packages) as target:
        good = lun(target)
        other = replace(good, name="iqn.2024-01.org.example:other/1")
        assert "Target not found" in refusal(over_iscsi, other).text
        seventh = replace(good, name=f"{iscsi.IQN}/7")
        assert "LOGICAL_UNIT_NOT_SUPPORTED" in refusal(over_iscsi, seventh).text
    gone = refusal(over_iscsi, good)
    assert gone.code == 1
    assert "Failed to connect to LUN" in gone.text


# --- What no server is here for ---------------------------------------------------

MONITORS = (Server("127.0.0.1", 1), Server("::1", 1))
RBD = Destination(
    "network", format="raw", protocol="rbd", name="images/web", servers=MONITORS
)
GLUSTER = replace(RBD, protocol="gluster", name="images/web/disk.raw")
ISCSI = replace(RBD, protocol="iscsi", name=f"{iscsi.IQN}/1", servers=MONITORS[:1])


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (RBD, "Block driver 'rbd' not found or not supported"),
        (GLUSTER, "Block driver 'gluster' not found or not supported"),
        (ISCSI, "Unknown driver 'iscsi'"),
    ],
    ids=lambda value: value.protocol if isinstance(value, Destination) else "",
)
def test_qemu_without_the_module(copying: Copying, to: Destination, words: str) -> None:
    """Debian has these in a package of their own, which a plain host lacks."""
    if list(Path("/usr/lib").glob(f"*/qemu/block-{to.protocol}.so")):
        pytest.skip(f"This machine's QEMU has its module for {to.protocol}.")
    error = refusal(copying, to)
    assert error.code == 1
    assert words in error.text


@pytest.mark.parametrize("to", [RBD, ISCSI], ids=["rbd", "iscsi"])
def test_secret_that_the_host_has_not(copying: Copying, to: Destination) -> None:
    uuid = "2a5b08e4-3dca-4ff9-9a1d-40389758d081"
    for auth, which in (
        (Secret(uuid=uuid), f"uuid '{uuid}'"),
        (Secret(usage="nobody's"), "usage 'nobody's'"),
    ):
        error = refusal(copying, replace(to, user="olga", auth=auth))
        assert error.code == 66
        assert f"no secret with matching {which}" in error.text


@pytest.mark.parametrize("to", [RBD, GLUSTER, ISCSI], ids=["rbd", "gluster", "iscsi"])
def test_libvirt_reads_the_place_as_we_do(
    alder: PrivateHost, hypervisor: Hypervisor, make_guest: MakeGuest, to: Destination
) -> None:
    """A definition with the destination as its disk, as it stands after a pivot."""
    guest = make_guest(alder, start=False)
    text = alder.virsh("dumpxml", "--inactive", guest.name)
    domain = ElementTree.fromstring(text)
    (disk,) = domain.iterfind("./devices/disk")
    ours = ElementTree.fromstring(to_xml(to))
    for child in list(disk.iter("source")) + list(disk.iter("driver")):
        disk.remove(child)
    disk.set("type", "network")
    disk.extend(ours)
    alder.virsh("define", "/dev/stdin", text=ElementTree.tostring(domain, "unicode"))
    (seen,) = hypervisor.observe(guest.uuid).disks.values()
    assert seen.persistent_source == to.location
