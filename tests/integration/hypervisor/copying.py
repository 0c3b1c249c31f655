"""A guest at rest whose disk is copied, and what the copy holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.hypervisor import CopyOptions, Destination, Hypervisor, Identity, Server
from lab.guest import MIB, Guest
from lab.nbd import NbdServer

if TYPE_CHECKING:
    from tests.integration.hypervisor.conftest import Heard

SIZE = 64 * MIB
PLAIN = CopyOptions()
REUSE = CopyOptions(reuse_external=True)
PASSPHRASE = "correct horse battery staple"
MakeImage = Callable[..., Path]


class Copying:
    """A guest at rest, with something on its disk, and what becomes of a copy of it."""

    def __init__(self, guest: Guest, hypervisor: Hypervisor, heard: Heard) -> None:
        self.guest = guest
        self.source = guest.disks[0].path
        self._hypervisor = hypervisor
        self._heard = heard
        self._uuid = guest.uuid

    def start(self, to: Destination, options: CopyOptions = PLAIN) -> Identity:
        started = self._hypervisor.start(self._uuid, "vda", to, options)
        return Identity(self._uuid, started.domain_id, "vda", to.location)

    def ready(self, to: Destination, options: CopyOptions = PLAIN) -> Identity:
        identity = self.start(to, options)
        self._heard.block_job(self._uuid, "ready")
        mirror = self._hypervisor.observe(self._uuid).disks["vda"].mirror
        assert mirror is not None
        assert mirror.is_ready
        assert (mirror.destination, mirror.format) == (to.location, to.format)
        return identity

    def pivot(self, to: Destination, options: CopyOptions = PLAIN) -> None:
        """Both definitions name the destination, and it is the source of the next."""
        self._hypervisor.pivot(self.ready(to, options))
        disk = self._hypervisor.observe(self._uuid).disks["vda"]
        assert disk.source == disk.persistent_source == to.location
        assert disk.mirror is None

    def finish(self, to: Destination, options: CopyOptions = PLAIN) -> None:
        self._hypervisor.end(self.ready(to, options))
        self._heard.block_job(self._uuid, "canceled")
        assert self._hypervisor.observe(self._uuid).disks["vda"].source == str(
            self.source
        )


def identical(source: Path, image: str, *options: str) -> bool:
    """Whether both hold the same, to the guest."""
    command = ["qemu-img", "compare", "-U", "-f", "qcow2"]
    done = subprocess.run(
        [*command, *options, source, image], check=False, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def network(server: NbdServer, **fields: object) -> Destination:
    port, socket = server.port, server.socket
    return Destination(
        "network",
        format="raw",
        protocol="nbd",
        name=server.export,
        servers=(Server(server.name, port, socket),),
        **fields,  # type: ignore[arg-type]
    )


def json_name(**options: object) -> str:
    """QEMU's options of an image as one of its file names."""
    return f"json:{json.dumps(options)}"
