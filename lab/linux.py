"""The Linux guest: Debian's kernel and busybox, and an initramfs of our own.

It boots in some seconds where the boot-sector guest needs a fifth of one, but it can
switch itself off and reboot, and writes past a page cache through a real driver.
"""

from __future__ import annotations

import getpass
import gzip
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from lab.cell import LabError
from lab.guest import (
    Guest,
    GuestDisk,
    GuestLog,
    base_domain,
    devices,
    launch,
    serial_port,
)
from lab.host import PrivateHost

# Debian's kernel for virtual machines, and Ubuntu's.
_KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual")
# In the order of their needs. A kernel without one of them has it built in.
_MODULES = (
    *("virtio/virtio_ring.ko", "virtio/virtio.ko"),
    *("virtio/virtio_pci_modern_dev.ko", "virtio/virtio_pci_legacy_dev.ko"),
    *("virtio/virtio_pci.ko", "block/virtio_blk.ko"),
)


def start_linux(
    host: PrivateHost,
    name: str,
    cache: Path,
    *,
    disk: GuestDisk | None = None,
    **options: float,
) -> Guest:
    """Define a Linux guest on a host and start it.

    The kernel is fetched into `cache` with apt the first time and found there later;
    LabError if it is not to be had. `options` are those that linux_init.sh names.
    """
    kernel, initramfs = _files(cache)
    disk = disk or GuestDisk(host.images / f"{name}.qcow2")
    disk.make()
    log = GuestLog(host.directory / "serial" / f"{name}.log")
    guest = Guest(host, name, (disk,), log)
    launch(guest, _domain(guest, kernel, initramfs, options))
    return guest


def _domain(
    guest: Guest, kernel: Path, initramfs: Path, options: dict[str, float]
) -> ElementTree.Element:
    domain = base_domain(guest, memory=96, cache=32)
    system = ElementTree.SubElement(domain, "os")
    ElementTree.SubElement(system, "type", arch="x86_64", machine="pc").text = "hvm"
    ElementTree.SubElement(system, "kernel").text = str(kernel)
    ElementTree.SubElement(system, "initrd").text = str(initramfs)
    words = ["console=ttyS0", "quiet", "panic=-1", "tsc=unstable"]
    words += [f"lab.{name}={value:g}" for name, value in options.items()]
    ElementTree.SubElement(system, "cmdline").text = " ".join(words)
    console = serial_port(guest.log.path.with_suffix(".console"))
    domain.append(devices(guest, console, serial_port(guest.log.path)))
    return domain


def _files(cache: Path) -> tuple[Path, Path]:
    """The kernel and the initramfs; what `cache` does not hold is fetched."""
    cache.mkdir(parents=True, exist_ok=True)
    unpacked, initramfs = cache / "packages", cache / "initramfs.gz"
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        folder = Path(temporary)
        if not unpacked.is_dir():
            _fetch(folder).rename(unpacked)
        init = Path(__file__).with_name("linux_init.sh")
        made = folder / "initramfs.gz"
        made.write_bytes(gzip.compress(b"".join(_archive(unpacked, init)), 1))
        made.rename(initramfs)
    return next((unpacked / "boot").glob("vmlinuz-*")), initramfs


def _fetch(folder: Path) -> Path:
    """Download and unpack the packages below `folder`; nothing is installed."""
    lists = folder / "lists"
    lists.mkdir()
    own = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={folder}"]
    own += ["-o", f"APT::Sandbox::User={getpass.getuser()}"]
    if not _download([], folder):
        # The machine has no lists of packages, or old ones: fetch some for us alone.
        _apt("apt-get", *own, "update", folder=folder)
        if not _download(own, folder):
            raise LabError("apt could not download a kernel and busybox-static.")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "all"], check=True)
    return folder / "all"


def _download(options: list[str], folder: Path) -> bool:
    for kernel in _KERNELS:
        # The named package holds no kernel, it only depends on the newest one's.
        told = _apt("apt-cache", *options, "depends", kernel, folder=folder).split()
        packages = [word for word in told[1:] if word.startswith("linux-image-")]
        words = ("download", *packages[:1], "busybox-static")
        if packages:
            _apt("apt-get", *options, *words, folder=folder)
            return len(list(folder.glob("*.deb"))) == 2
    return False


def _apt(*command: str, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout


def _archive(unpacked: Path, init: Path) -> Iterator[bytes]:
    """An initramfs: a cpio archive in the format "newc", see cpio(5)."""
    drivers = next((unpacked / "lib/modules").glob("*/kernel/drivers"))
    modules = [drivers / module for module in _MODULES if (drivers / module).exists()]
    for folder in ("bin", "dev", "proc", "sys", "modules"):
        yield _entry(folder, stat.S_IFDIR | 0o755)
    yield _entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield _entry("init", stat.S_IFREG | 0o755, init.read_bytes())
    busybox = (unpacked / "bin/busybox").read_bytes()
    yield _entry("bin/busybox", stat.S_IFREG | 0o755, busybox)
    for order, module in enumerate(modules):
        name = f"modules/{order}-{module.name}"  # the init loads them in this order
        yield _entry(name, stat.S_IFREG | 0o644, module.read_bytes())
    yield _entry("TRAILER!!!", 0)


def _entry(
    name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
) -> bytes:
    path = name.encode() + b"\0"
    inode = zlib.crc32(path)  # only has to differ from the others'
    numbers = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    return _padded(head) + _padded(content)


def _padded(piece: bytes) -> bytes:
    return piece + b"\0" * (-len(piece) % 4)
