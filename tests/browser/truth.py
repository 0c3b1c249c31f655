"""What the host says, whatever the console shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab.guest import Guest


def persistent_source(guest: Guest, target: str = "vda") -> str:
    """Where the next boot would find a disk."""
    lines = guest.host.virsh("domblklist", "--inactive", guest.name).splitlines()
    places = {words[0]: words[1] for line in lines if (words := line.split(maxsplit=1))}
    return places[target].strip()


def is_copied(guest: Guest) -> bool:
    """Whether a copy of any of the guest's disks runs."""
    return "<mirror " in guest.host.virsh("dumpxml", guest.name)


def bandwidth(guest: Guest, target: str = "vda") -> int:
    """The limit of a running copy in bytes/s, 0 for none."""
    info = guest.host.virsh("blockjob", guest.name, target, "--info", "--bytes")
    limit = re.search(r"(\d+) bytes/s", info)
    return int(limit.group(1)) if limit else 0


def is_unharmed(guest: Guest) -> bool:
    """Whether the guest goes on writing, and neither failed nor misread a block."""
    guest.log.wait_for_writes(3)
    return (guest.log.errors, guest.log.mismatches) == (0, 0)


def are_identical(image: str | Path, other: str | Path) -> bool:
    """Whether two images hold the same; whoever writes to them must rest."""
    command = ["qemu-img", "compare", "--force-share", str(image), str(other)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0


def capacity(guest: Guest, target: str = "vda") -> int:
    """The disk's size in bytes as the guest sees it."""
    info = guest.host.virsh("domblkinfo", guest.name, target)
    found = re.search(r"Capacity:\s+(\d+)", info)
    assert found
    return int(found.group(1))
