"""The places that a copy can go to here, and how to read what it holds then."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from jobs.hypervisor import Destination, Secret, Server
from lab.cell import LabError
from lab.guest import MIB
from lab.host import PrivateHost
from lab.loop import LoopDevice
from lab.nbd import NbdServer

SIZE = 8 * MIB
POOL = "images"
PASSPHRASE = "correct horse battery staple"


@dataclass
class Ground:
    """Where a row builds its place: a host with a pool over its images, a folder for
    what is not libvirt's, a secret, and certificates for a server."""

    host: PrivateHost
    folder: Path
    name: str
    secret: str
    certificates: Path
    ends: ExitStack

    def image(self, format_: str, size: int = SIZE, *options: str) -> Path:
        """An image of exactly that size, with nothing in it."""
        path = self.host.images / f"{self.name}-to.{format_}"
        create = ["qemu-img", "create", "-q", "-f", format_, *options]
        subprocess.run([*create, path, str(size)], check=True)
        return path

    def device(self, size: int = SIZE) -> str:
        """A loop device; the row is skipped where this machine gives none."""
        image = self.folder / f"{self.name}.device"
        subprocess.run(["truncate", "-s", str(size), image], check=True)
        try:
            return self.ends.enter_context(LoopDevice(image)).path
        except LabError as error:
            pytest.skip(str(error))


@dataclass(frozen=True)
class Place:
    """A place that is ready to be copied to. `reads` are qemu-img's words for it."""

    destination: Destination
    reads: list[str] = field(default_factory=list)


# Makes the place; whether with something there that is to be reused.
Make = Callable[[Ground, bool], Place]


@dataclass(frozen=True)
class Kind:
    """A kind of place. `reuse` says whether the reuse flag can be given ("may"), must
    be, or makes no sense; `slow` is what takes seconds to make; `accepted` are the
    warnings that it has by its nature."""

    make: Make
    shallow: bool = False
    reuse: str = "no"
    slow: bool = False
    accepted: frozenset[str] = frozenset()


def _file(format_: Any) -> Make:
    def make(ground: Ground, reused: bool) -> Place:
        path = ground.host.images / f"{ground.name}-to.{format_}"
        if reused:
            ground.image(format_)
        return Place(Destination("file", str(path), format_), _plain(path, format_))

    return make


def _plain(path: Path | str, format_: str) -> list[str]:
    return ["-F", format_, str(path)]


def _volume(
    format_: Any, *, encrypted: bool = False
) -> Callable[[Ground, bool], Place]:
    def make(ground: Ground, reused: bool) -> Place:
        name = f"{ground.name}-volume.{format_}"
        secret = Secret(uuid=ground.secret) if encrypted else None
        to = Destination(
            "volume", format=format_, pool=POOL, volume=name, encryption=secret
        )
        path = ground.host.images / name
        if encrypted:
            return Place(to, _opened(ground, path, format_))
        return Place(to, _plain(path, format_))

    return make


def _luks(format_: Any) -> Make:
    def make(ground: Ground, reused: bool) -> Place:
        path = ground.host.images / f"{ground.name}-luks.{format_}"
        secret = Secret(uuid=ground.secret)
        to = Destination("file", str(path), format_, encryption=secret)
        return Place(to, _opened(ground, path, format_))

    return make


def _opened(ground: Ground, path: Path, format_: str) -> list[str]:
    (ground.folder / "passphrase").write_text(PASSPHRASE)
    key = f"secret,id=key,file={ground.folder / 'passphrase'}"
    below = {"driver": "file", "filename": str(path)}
    if format_ == "raw":
        opened = {"driver": "luks", "key-secret": "key", "file": below}
    else:
        encrypt = {"format": "luks", "key-secret": "key"}
        opened = {"driver": "qcow2", "encrypt": encrypt, "file": below}
    return ["--object", key, _json(opened)]


def _json(options: dict[str, Any]) -> str:
    return f"json:{json.dumps(options)}"


def _part(path: Path | str, driver: str) -> list[str]:
    below = {"driver": driver, "filename": str(path)}
    part = {"driver": "raw", "offset": MIB, "size": SIZE, "file": below}
    return ["-F", "raw", _json(part)]


def _slice(ground: Ground, reused: bool) -> Place:
    path = ground.image("raw", 2 * SIZE)
    whole = Destination("file", str(path), "raw")
    return Place(_sliced(whole), _part(path, "file"))


def _sliced(whole: Destination) -> Destination:
    return replace(whole, slice_offset=MIB, slice_size=SIZE)


def _nbd(*, unix: bool, tls: bool = False) -> Make:
    def make(ground: Ground, reused: bool) -> Place:
        image = ground.folder / f"{ground.name}.export"
        subprocess.run(["truncate", "-s", str(SIZE), image], check=True)
        server = NbdServer(
            ground.folder / "nbd",
            image,
            export=ground.name,
            unix=unix,
            certificates=ground.certificates if tls else None,
        )
        ground.ends.enter_context(server)
        to = Destination(
            "network",
            format="raw",
            protocol="nbd",
            name=server.export,
            servers=(Server(server.name, server.port, server.socket),),
            tls=tls,
        )
        return Place(to, _plain(image, "raw"))

    return make


def _device(ground: Ground, reused: bool) -> Place:
    path = ground.device()
    return Place(Destination("block", path, "raw"), _plain(path, "raw"))


def _part_of_device(ground: Ground, reused: bool) -> Place:
    path = ground.device(2 * SIZE)
    whole = Destination("block", path, "raw")
    return Place(_sliced(whole), _part(path, "host_device"))


def _large_device(ground: Ground, reused: bool) -> Place:
    path = ground.device(2 * SIZE)
    return Place(Destination("block", path, "qcow2"), _plain(path, "qcow2"))


# What lies on a server or a device of no pool nobody can look up.
UNSEEN = frozenset({"reused_is_there", "reused_format_is_declared"})

KINDS: dict[str, Kind] = {
    "file-raw": Kind(_file("raw"), reuse="may"),
    "file-qcow2": Kind(_file("qcow2"), shallow=True, reuse="may"),
    "volume-raw": Kind(_volume("raw")),
    "volume-qcow2": Kind(_volume("qcow2"), shallow=True),
    "volume-luks": Kind(_volume("raw", encrypted=True), slow=True),
    "luks-raw": Kind(_luks("raw"), slow=True),
    "luks-qcow2": Kind(_luks("qcow2"), slow=True),
    "file-slice": Kind(_slice, reuse="must"),
    "nbd-tcp": Kind(_nbd(unix=False), reuse="may", accepted=UNSEEN),
    "nbd-unix": Kind(_nbd(unix=True), reuse="may", accepted=UNSEEN),
    "nbd-tls": Kind(_nbd(unix=False, tls=True), reuse="may", accepted=UNSEEN),
    "device-raw": Kind(_device, reuse="may", accepted=UNSEEN),
    "device-slice": Kind(_part_of_device, reuse="may", accepted=UNSEEN),
    "device-qcow2": Kind(_large_device, accepted=UNSEEN),
}
