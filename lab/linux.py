"""The Linux guest: Debian's kernel and busybox, and an initramfs of our own.

It boots in some seconds where the boot-sector guest needs a fifth of one, but it can
switch itself off and reboot, and writes past a page cache through a real driver.
"""

from __future__ import annotations

import gzip
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from lab.agent import agent_files, channel
from lab.cell import PATH, LabError
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
from lab.packages import apt, cached

# Debian's kernel for virtual machines, and Ubuntu's.
_KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual")
# In the order of their needs. A kernel without one of them has it built in.
_MODULES = (
    *("virtio/virtio_ring.ko", "virtio/virtio.ko"),
    *("virtio/virtio_pci_modern_dev.ko", "virtio/virtio_pci_legacy_dev.ko"),
    *("virtio/virtio_pci.ko", "block/virtio_blk.ko", "char/virtio_console.ko"),
)


def start_linux(
    host: PrivateHost,
    name: str,
    cache: Path,
    *,
    disk: GuestDisk | None = None,
    agent: bool = False,
    **options: float,
) -> Guest:
    """Define a Linux guest on a host and start it.

    The kernel is fetched into `cache` with apt the first time and found there later;
    LabError if it is not to be had. `options` are those that linux_init.sh names.
    With an `agent` it has QEMU's guest agent, and writes to a file in a file system
    (ext4) on its disk, which has to be raw, instead of to the disk itself.
    """
    kernel, initramfs = _files(cache, agent=agent)
    disk = disk or GuestDisk(host.images / f"{name}.qcow2")
    fresh = not disk.path.exists()
    disk.make()
    if agent and fresh:
        _format(disk.path)
    log = GuestLog(host.directory / "serial" / f"{name}.log")
    guest = Guest(host, name, (disk,), log)
    definition = _domain(guest, kernel, initramfs, {**options, "agent": agent})
    if agent:
        definition.find("devices").append(channel())  # type: ignore[union-attr]
    launch(guest, definition)
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


def _files(cache: Path, *, agent: bool) -> tuple[Path, Path]:
    """The kernel and the initramfs; what `cache` does not hold is fetched."""
    unpacked = cached(cache / "packages", _download, "a kernel and busybox-static")
    more = list(agent_files(cache)) if agent else []
    initramfs = cache / f"initramfs{'-agent' if agent else ''}.gz"
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        init = Path(__file__).with_name("linux_init.sh")
        made = Path(temporary) / "initramfs.gz"
        made.write_bytes(gzip.compress(b"".join(_archive(unpacked, init, more)), 1))
        made.rename(initramfs)
    return next((unpacked / "boot").glob("vmlinuz-*")), initramfs


def _download(options: list[str], folder: Path) -> bool:
    for kernel in _KERNELS:
        # The named package holds no kernel, it only depends on the newest one's.
        told = apt("apt-cache", *options, "depends", kernel, folder=folder).split()
        packages = [word for word in told[1:] if word.startswith("linux-image-")]
        words = ("download", *packages[:1], "busybox-static")
        if packages:
            apt("apt-get", *options, *words, folder=folder)
            return len(list(folder.glob("*.deb"))) == 2
    return False


def _format(image: Path) -> None:
    """Make a file system with a journal, which tells whether it was frozen in time."""
    done = subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", image],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": PATH},
    )
    if done.returncode != 0:
        raise LabError(f"mke2fs failed: {done.stderr.strip()}")


def _archive(
    unpacked: Path, init: Path, more: list[tuple[str, Path]]
) -> Iterator[bytes]:
    """An initramfs: a cpio archive in the format "newc", see cpio(5)."""
    drivers = next((unpacked / "lib/modules").glob("*/kernel/drivers"))
    modules = [drivers / module for module in _MODULES if (drivers / module).exists()]
    for folder in ("bin", "dev", "lib", "lib64", "proc", "run", "sys", "modules"):
        yield _entry(folder, stat.S_IFDIR | 0o755)
    yield _entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield _entry("init", stat.S_IFREG | 0o755, init.read_bytes())
    busybox = (unpacked / "bin/busybox").read_bytes()
    yield _entry("bin/busybox", stat.S_IFREG | 0o755, busybox)
    for order, module in enumerate(modules):
        name = f"modules/{order}-{module.name}"  # the init loads them in this order
        yield _entry(name, stat.S_IFREG | 0o644, module.read_bytes())
    for path, file in more:
        yield _entry(path, stat.S_IFREG | 0o755, file.read_bytes())
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
