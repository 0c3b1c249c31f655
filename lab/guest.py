"""Tiny guests for a private host, and what they say of their disks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from lab.bootsector import READ_BACK_EACH, SECTOR, Writing
from lab.cell import LabError
from lab.host import PrivateHost
from lab.images import create_image, run

MIB = 1024 * 1024
Format = Literal["qcow2", "raw"]


@dataclass(frozen=True)
class GuestDisk:
    """A disk of a guest: `path` is its image, of `size` bytes.

    An image that exists is used as it is, and one that does not is made, with `data`
    bytes of filling at its end, so that a copy has something to carry, and over one
    backing file for each format in `backing` (the undermost first).
    """

    path: Path
    size: int = 64 * MIB
    format: Format = "qcow2"
    data: int = 0
    backing: tuple[Format, ...] = ()
    bus: str = "virtio"
    read_only: bool = False
    shareable: bool = False

    def make(self, boot_sector: bytes = b"") -> None:
        """Make the image and its backing files, unless it exists."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        chain = [*self._backing_files(), (self.path, self.format)]
        below: tuple[Path, Format] | None = None
        for image in chain:
            backing = ["-b", str(below[0]), "-F", below[1]] if below else []
            create_image(*image, self.size, *backing)
            below = image
        self._fill(*chain[0], boot_sector)

    def _backing_files(self) -> list[tuple[Path, Format]]:
        stem, folder = self.path.stem, self.path.parent
        return [
            (folder / f"{stem}.base{depth}.{format_}", format_)
            for depth, format_ in enumerate(self.backing, start=1)
        ]

    def _fill(self, image: Path, format_: Format, boot_sector: bytes) -> None:
        commands = []
        if boot_sector:
            source = image.with_suffix(".boot")
            source.write_bytes(boot_sector)
            commands.append(f"write -q -s {source} 0 {SECTOR}")
        for start in range(self.size - self.data, self.size, 64 * MIB):
            length = min(64 * MIB, self.size - start)
            commands.append(f"write -q -P 0xa5 {start} {length}")
        if commands:
            words = [word for command in commands for word in ("-c", command)]
            run("qemu-io", "-f", format_, *words, str(image))
        if boot_sector:
            source.unlink()


class GuestLog:
    """What a guest says on its serial port, letter by letter; see bootwriter.S."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _count(self, letter: bytes) -> int:
        return self.path.read_bytes().count(letter) if self.path.exists() else 0

    @property
    def boots(self) -> int:
        return self._count(b"B")

    @property
    def verified(self) -> int:
        """How many blocks were read back as they were written."""
        return self._count(b"v")

    @property
    def writes(self) -> int:
        """How many writes lie behind that, in blocks, at least."""
        return max(0, self.verified - 1) * READ_BACK_EACH

    @property
    def errors(self) -> int:
        """How many reads and writes failed."""
        return self._count(b"E")

    @property
    def mismatches(self) -> int:
        """How many blocks were read back other than they were written."""
        return self._count(b"M")

    def wait_for_boot(self, boots: int = 1, timeout: float = 60) -> None:
        """Wait until the guest has booted so many times; LabError if it does not."""
        self._wait("boots", boots, timeout)

    def wait_for_writes(self, more: int = 1, timeout: float = 60) -> None:
        """Wait for so many verified writes more; LabError if they do not come."""
        self._wait("verified", self.verified + more, timeout)

    def wait_for_errors(self, errors: int = 1, timeout: float = 60) -> None:
        """Wait until so many reads and writes have failed; LabError if they do not."""
        self._wait("errors", errors, timeout)

    def _wait(self, what: str, wanted: int, timeout: float) -> None:
        end = time.monotonic() + timeout
        while getattr(self, what) < wanted:
            if time.monotonic() > end:
                raise LabError(
                    f"{self.path.stem}: {getattr(self, what)} {what} after {timeout} s,"
                    f" {wanted} were expected."
                )
            time.sleep(0.01)


@dataclass(frozen=True)
class Guest:
    """A guest that was defined on a host."""

    host: PrivateHost
    name: str
    disks: tuple[GuestDisk, ...]
    log: GuestLog

    @property
    def uuid(self) -> str:
        return self.host.virsh("domuuid", self.name).strip()

    @property
    def domain_id(self) -> int | None:
        """libvirt's number of the running instance, None if there is none."""
        answer = self.host.virsh("domid", self.name).strip()
        return int(answer) if answer.isdigit() else None

    @property
    def state(self) -> str:
        """libvirt's word for the state: "running", "shut off", "paused" …"""
        return self.host.virsh("domstate", self.name).strip()

    def start(self, *, paused: bool = False) -> None:
        self.host.virsh("start", self.name, *(["--paused"] if paused else []))

    def destroy(self) -> None:
        """Pull the plug."""
        self.host.virsh("destroy", self.name)

    def wait_until_off(self, timeout: float = 60) -> None:
        """Wait until the guest has ended; LabError if it does not."""
        end = time.monotonic() + timeout
        while self.state != "shut off":
            if time.monotonic() > end:
                raise LabError(f"{self.name} is {self.state} after {timeout:g} s.")
            time.sleep(0.1)

    def source(self, target: str = "vda") -> str:
        """Where the live definition says that a disk is."""
        for line in self.host.virsh("domblklist", self.name).splitlines():
            words = line.split(maxsplit=1)
            if words[:1] == [target]:
                return words[1].strip()
        raise LabError(f"{self.name} has no disk {target}.")


def define_and_start(
    host: PrivateHost,
    name: str,
    disks: Sequence[GuestDisk] = (),
    *,
    writing: bool = True,
    pause: float = 0.0,
    span: int = 32 * MIB,
    persistent: bool = True,
    paused: bool = False,
    start: bool = True,
) -> Guest:
    """Define a boot-sector guest and start it.

    Without `disks` it has one of 64 MiB, named after it, in the host's images. It
    writes to all of its disks that are not read-only, one block after another with
    `pause` seconds between them, or rests if not `writing`. `paused` starts it with
    its processor stopped, so that it costs nothing. `start=False` leaves it off.
    """
    disks = tuple(disks) or (GuestDisk(host.images / f"{name}.qcow2"),)
    written = sum(not disk.read_only for disk in disks)
    sector = Writing(span, pause, idle=not writing, disks=written).boot_sector()
    for disk in disks:
        disk.make(sector if disk is disks[0] else b"")
    guest = Guest(
        host, name, disks, GuestLog(host.directory / "serial" / f"{name}.log")
    )
    launch(guest, boot_domain(guest), persistent=persistent, paused=paused, start=start)
    return guest


def launch(
    guest: Guest,
    domain: ElementTree.Element,
    *,
    persistent: bool = True,
    paused: bool = False,
    start: bool = True,
) -> None:
    """Give a definition to the guest's host, and start it unless told not to."""
    text = ElementTree.tostring(domain, encoding="unicode")
    if not persistent:
        words = ["--paused"] if paused else []
        guest.host.virsh("create", "/dev/stdin", *words, text=text)
        return
    guest.host.virsh("define", "/dev/stdin", text=text)
    if start:
        guest.start(paused=paused)


def boot_domain(guest: Guest) -> ElementTree.Element:
    """The definition of a guest that boots from its first disk, of 16 MiB of memory."""
    domain = base_domain(guest, memory=16, cache=8)
    machine = ElementTree.SubElement(domain, "os")
    ElementTree.SubElement(machine, "type", arch="x86_64", machine="pc").text = "hvm"
    domain.append(devices(guest, serial_port(guest.log.path)))
    return domain


def base_domain(guest: Guest, *, memory: int, cache: int) -> ElementTree.Element:
    """The start of a definition; `memory` and the translator's `cache` in MiB."""
    domain = ElementTree.Element("domain", type="qemu")
    ElementTree.SubElement(domain, "name").text = guest.name
    ElementTree.SubElement(domain, "memory", unit="MiB").text = str(memory)
    features = ElementTree.SubElement(domain, "features")
    ElementTree.SubElement(features, "acpi")
    tcg = ElementTree.SubElement(features, "tcg")
    ElementTree.SubElement(tcg, "tb-cache", unit="MiB").text = str(cache)
    return domain


def devices(guest: Guest, *ports: ElementTree.Element) -> ElementTree.Element:
    """The devices of a definition: the guest's disks and these serial ports."""
    element = ElementTree.Element("devices")
    targets: dict[str, int] = {}
    for order, disk in enumerate(guest.disks, start=1):
        element.append(_disk(disk, order, targets))
    element.extend(ports)
    ElementTree.SubElement(element, "memballoon", model="none")
    return element


def serial_port(path: Path) -> ElementTree.Element:
    """A serial port that adds what it is told to a file."""
    port = ElementTree.Element("serial", type="file")
    ElementTree.SubElement(port, "source", path=str(path), append="on")
    return port


def _disk(disk: GuestDisk, order: int, targets: dict[str, int]) -> ElementTree.Element:
    prefix = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}[disk.bus]
    number = targets[prefix] = targets.get(prefix, -1) + 1
    element = ElementTree.Element("disk", type="file", device="disk")
    # The BIOS waits for a write by going round: four fifths of a guest's time, while
    # each write waited for the real disk. What QEMU was told is in the host's memory
    # all the same, and outlives QEMU.
    driver = {"name": "qemu", "type": disk.format, "cache": "unsafe"}
    ElementTree.SubElement(element, "driver", driver)
    ElementTree.SubElement(element, "source", file=str(disk.path))
    target = f"{prefix}{chr(ord('a') + number)}"
    ElementTree.SubElement(element, "target", dev=target, bus=disk.bus)
    # The BIOS drives only those disks that it may boot from.
    ElementTree.SubElement(element, "boot", order=str(order))
    if disk.read_only:
        ElementTree.SubElement(element, "readonly")
    if disk.shareable:
        ElementTree.SubElement(element, "shareable")
    return element
