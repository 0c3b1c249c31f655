"""QEMU's guest agent for the Linux guest: the distribution's own, with its libraries.

Nothing is installed: the packages are downloaded and unpacked, and of their files the
guest gets those that the agent is linked with.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from lab.cell import LabError
from lab.packages import apt, cached

CHANNEL = "org.qemu.guest_agent.0"
_AGENT = "qemu-guest-agent"


def agent_files(cache: Path) -> Iterator[tuple[str, Path]]:
    """Where each file belongs in the guest, and the file; fetched into `cache` once."""
    unpacked = cached(cache / "agent", _download, f"{_AGENT} and its libraries")
    program = unpacked / "usr/sbin/qemu-ga"
    yield "bin/qemu-ga", program
    for library in sorted(_libraries(unpacked, program)):
        yield f"lib/{library}", _find(unpacked, library)
    interpreter = _read(program, "-l", r"interpreter: /([^]]+)\]")[0]
    yield interpreter, _find(unpacked, Path(interpreter).name)


def channel() -> ElementTree.Element:
    """The device through which libvirt talks to the agent."""
    element = ElementTree.Element("channel", type="unix")
    ElementTree.SubElement(element, "target", type="virtio", name=CHANNEL)
    return element


def _download(options: list[str], folder: Path) -> bool:
    """The libraries that the agent depends on, and those that they depend on."""
    packages = {_AGENT}
    for _ in range(2):
        told = apt("apt-cache", *options, "depends", *sorted(packages), folder=folder)
        needed = re.findall(r"^ *\|?Depends: ((?:lib|zlib)\S+)$", told, re.MULTILINE)
        packages |= set(needed)
    apt("apt-get", *options, "download", *sorted(packages), folder=folder)
    return any(folder.glob(f"{_AGENT}_*.deb")) and any(folder.glob("libc6_*.deb"))


def _libraries(unpacked: Path, program: Path) -> set[str]:
    found: set[str] = set()
    waiting = [program]
    while waiting:
        needed = _read(waiting.pop(), "-d", r"\(NEEDED\).*\[([^]]+)\]")
        fresh = set(needed) - found
        found |= fresh
        waiting += [_find(unpacked, name) for name in fresh]
    return found


def _read(program: Path, option: str, pattern: str) -> list[str]:
    done = subprocess.run(
        ["readelf", option, "--wide", program],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(pattern, done.stdout)


def _find(unpacked: Path, library: str) -> Path:
    found = next(unpacked.rglob(library), None)
    if found is None:
        raise LabError(f"No package of {_AGENT} brings {library}.")
    return found.resolve()
