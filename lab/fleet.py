"""Two private hosts with a handful of guests, as a small site might have them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from lab.bootsector import lost_blocks
from lab.cell import LabError
from lab.guest import MIB, Format, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost

SPAN = 32 * MIB
# Blocks of 32 KiB: some 0.6 MiB/s for each disk, and little of the processor's time.
PAUSE = 0.05


class Fleet:
    """The hosts "alder" and "birch" below `directory`, with two storage pools each."""

    description = (
        "Two hosts, alder and birch, run guests that write all the time. Each host has"
        "\n  two storage pools, images and fast: copy a disk from one to the other."
    )

    def __init__(self, directory: Path) -> None:
        self.alder = PrivateHost(directory / "alder", "alder")
        self.birch = PrivateHost(directory / "birch", "birch")
        self.guests: dict[str, Guest] = {}

    @property
    def hosts(self) -> tuple[PrivateHost, PrivateHost]:
        return (self.alder, self.birch)

    @property
    def orders(self) -> Guest:
        """A guest with two disks that it writes to."""
        return self.guests["orders-db"]

    def start(self) -> Self:
        """Start the hosts and their guests; returns when the guests have booted."""
        for host in self.hosts:
            self._start(host)
        self._populate()
        return self

    def stop(self) -> None:
        for host in self.hosts:
            host.stop()

    def _start(self, host: PrivateHost) -> None:
        fast = fast_pool(host)
        fast.mkdir(parents=True, exist_ok=True)
        host.start()
        host.define_pool("images")
        host.define_pool("fast", fast)

    def _populate(self) -> None:
        """Guests of several kinds, all of them small in memory and sparse on disk."""
        self._guest(self.alder, "orders-db", ("qcow2", 512, 192), ("raw", 1024, 128))
        self._guest(self.alder, "web-1", ("qcow2", 512, 96), backing=("raw",))
        self._guest(self.birch, "mail", ("raw", 512, 160))
        chain: tuple[Format, ...] = ("qcow2", "qcow2")
        self._guest(self.birch, "build", ("qcow2", 768, 128), backing=chain)
        self._guest(self.birch, "archive", ("qcow2", 1024, 64), off=True)
        for guest in self.guests.values():
            if guest.state == "running":
                guest.log.wait_for_boot()

    def _guest(
        self,
        host: PrivateHost,
        name: str,
        *disks: tuple[Format, int, int],
        backing: tuple[Format, ...] = (),
        off: bool = False,
    ) -> None:
        """A guest with disks of (format, size in MiB, thereof filled)."""
        made = [
            GuestDisk(
                host.images / f"{name}-{number}.{format_}",
                size * MIB,
                format_,
                data=filled * MIB,
                backing=backing,
            )
            for number, (format_, size, filled) in enumerate(disks)
        ]
        self.guests[name] = define_and_start(
            host, name, made, pause=PAUSE, span=SPAN, start=not off
        )

    def destination(self, guest: Guest, target: str, format_: Format) -> Path:
        """A path in the pool "fast" for the copy of a disk."""
        return fast_pool(guest.host) / f"{guest.name}-{target}.{format_}"

    def check(self, guest: Guest, target: str, destination: Path) -> list[str]:
        """What speaks against it that the guest runs from `destination` unharmed.

        Ends the guest to look into its image.
        """
        problems = []
        if guest.source(target) != str(destination):
            problems.append(f"{guest.name} runs from {guest.source(target)}")
        try:
            guest.log.wait_for_writes(3)
        except LabError as error:
            problems.append(str(error))
        if guest.log.errors or guest.log.mismatches:
            problems.append(
                f"{guest.name} saw {guest.log.errors} errors "
                f"and {guest.log.mismatches} mismatches"
            )
        guest.destroy()
        return problems + _lost(destination)


def fast_pool(host: PrivateHost) -> Path:
    return host.directory / "fast"


def _lost(image: Path) -> list[str]:
    """A sentence if blocks of a guest are missing in its image."""
    raw = image.with_suffix(".check")
    command = ["qemu-img", "convert", "-O", "raw", str(image), str(raw)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [f"{image} cannot be read: {done.stderr.strip()}"]
    try:
        lost = lost_blocks(raw, SPAN)
    except ValueError as error:
        return [str(error)]
    return [f"{len(lost)} blocks are lost in {image}"] if lost else []
