"""A real host with three guests, on which copies are asked for that must not begin.

"web" runs from qcow2 over a base, "files" runs from one raw disk, "archive" is shut
off. All of them rest, so that whatever changes was changed by the console.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.actor import Actor
from jobs.hypervisor import CopyOptions, Destination
from jobs.models import CopyJob, Disk, Host
from jobs.preflight import CopyRequest, Finding, Level, findings_from_json
from lab.cell import LabError
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.images import create_image
from tests.conftest import actor_of
from tests.integration.engine.conftest import lab_host, real_host
from tests.workers import Workers, workers

__all__ = ["guests", "lab_host", "operator", "real_host", "scene", "workers"]

SIZE = 8 * MIB


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


@pytest.fixture(scope="module")
def guests(lab_host: PrivateHost) -> dict[str, Guest]:
    """The three guests, which stay for all tests of a module."""
    images = lab_host.images
    made = {
        "web": GuestDisk(images / "web.qcow2", SIZE, backing=("qcow2",)),
        "files": GuestDisk(images / "files.raw", SIZE, "raw"),
        "archive": GuestDisk(images / "archive.qcow2", SIZE, backing=("qcow2",)),
    }
    started = {
        name: define_and_start(
            lab_host, name, [disk], writing=False, start=name != "archive"
        )
        for name, disk in made.items()
    }
    for name in ("web", "files"):
        started[name].log.wait_for_boot()
    return started


@dataclass
class Scene:
    """What a row arranges its refusal with."""

    host: PrivateHost
    row: Host
    guests: dict[str, Guest]
    operator: Actor
    workers: Workers
    settings: Any
    own: list[str] = field(default_factory=list)
    ends: ExitStack = field(default_factory=ExitStack)

    # --- Guests --------------------------------------------------------------------

    def sync(self) -> None:
        tasks.sync_host(self.row.pk)

    def guest(
        self, *disks: GuestDisk, start: bool = True, writing: bool = False
    ) -> tuple[Guest, Disk]:
        """A guest of this row's own, "mail", for rows that do something to it."""
        made = disks or (GuestDisk(self.path("mail.qcow2"), SIZE),)
        self.own.append("mail")
        guest = define_and_start(
            self.host, "mail", made, writing=writing, span=SIZE // 2, start=start
        )
        if start:
            guest.log.wait_for_boot()
        self.sync()
        return guest, self.disk("mail")

    def disk(self, domain: str = "web", target: str = "vda") -> Disk:
        """The console's row of a disk."""
        return Disk.objects.select_related("domain__host__site").get(
            domain__name=domain, target=target
        )

    def attach(self, guest: str, disk: str) -> None:
        """Add a disk, as XML, to a guest's persistent definition."""
        self.host.virsh("attach-device", guest, "/dev/stdin", "--config", text=disk)

    # --- Images --------------------------------------------------------------------

    def path(self, name: str) -> Path:
        return self.host.images / name

    def image(
        self, name: str, format_: str = "qcow2", size: int = SIZE, *options: str
    ) -> Path:
        """An image with nothing in it; `options` are qemu-img's."""
        return create_image(self.path(name), format_, size, *options)

    def small_folder(self, size: int) -> Path:
        """A directory of the host with room for `size` bytes."""
        folder = self.path(f"small-{size}")
        self.host.make_small_folder(folder, size)
        return folder

    def define_pool(self, name: str, folder: Path | None = None) -> Path:
        """A storage pool of this row's own, over a directory of its own."""
        if folder is None:
            folder = self.path(f"{name}-pool")
            folder.mkdir()
        self.host.define_pool(name, folder)
        self.ends.callback(self._remove_pool, name)
        return folder

    def _remove_pool(self, name: str) -> None:
        with contextlib.suppress(LabError):
            self.host.virsh("pool-destroy", name)
        self.host.virsh("pool-undefine", name)

    def secret(self) -> str:
        """A secret of this row's own; its UUID."""
        uuid = self.host.define_secret("correct-horse", "preflight")
        self.ends.callback(self.host.virsh, "secret-undefine", uuid)
        return uuid

    def keep_touching(self, path: Path) -> None:
        """Write to a file all the time, as a running guest does."""
        done = threading.Event()

        def touch() -> None:
            while not done.wait(0.002):
                os.utime(path)

        thread = threading.Thread(target=touch)
        thread.start()
        self.ends.callback(thread.join)
        self.ends.callback(done.set)

    def over(self, name: str, backing: Path, format_: str = "qcow2") -> Path:
        """A qcow2 image over `backing`."""
        return self.image(name, "qcow2", SIZE, "-b", str(backing), "-F", format_)

    # --- Asking ----------------------------------------------------------------------

    def wants(
        self,
        path: Path | str,
        format_: str = "qcow2",
        *,
        disk: Disk | None = None,
        kind: str = "file",
        slice_size: int = 0,
        slice_offset: int = 0,
        **options: Any,
    ) -> CopyRequest:
        """A copy of web's disk (or `disk`) to a file or device."""
        destination = Destination(
            kind=kind,  # type: ignore[arg-type]
            path=str(path),
            format=format_,  # type: ignore[arg-type]
            slice_size=slice_size,
            slice_offset=slice_offset,
        )
        return self.wants_to(destination, disk, **options)

    def wants_to(
        self, destination: Destination, disk: Disk | None = None, **options: Any
    ) -> CopyRequest:
        """A copy to any destination."""
        return CopyRequest(disk or self.disk(), destination, CopyOptions(**options))

    def ask(self, request: CopyRequest) -> tuple[list[Finding], CopyJob | None]:
        """Ask for it, and what was found: at once, or by the start's own look."""
        try:
            job = actions.request_copy(request, self.operator)
        except actions.Invalid as error:
            return error.problems, None
        self.workers.work()
        job.refresh_from_db()
        return findings_from_json(job.findings), job

    # --- What there is ---------------------------------------------------------------

    def everything(self) -> dict[str, object]:
        """All that a start could change: files, domains, mirrors, pools."""
        names = self.host.virsh("list", "--all", "--name").split()
        domains = {name: self._domain(name) for name in names}
        return {
            "files": sorted(_files(self.host.images, busy=str(domains))),
            "domains": domains,
            "pools": sorted(self.host.virsh("pool-list", "--all", "--name").split()),
        }

    def _domain(self, name: str) -> object:
        live = ElementTree.fromstring(self.host.virsh("dumpxml", name))
        disks = [
            (_source(disk), *(f"mirror {_source(m)}" for m in disk.iterfind("mirror")))
            for disk in live.iterfind("./devices/disk")
        ]
        return live.get("id"), disks, self.host.virsh("dumpxml", "--inactive", name)


def _source(element: ElementTree.Element) -> dict[str, str]:
    found = element.find("source")
    return dict(found.attrib) if found is not None else {}


def _files(images: Path, busy: str) -> Iterator[tuple[str, str]]:
    """Every file with its content, but for those that some copy is writing to."""
    for path in images.rglob("*"):
        content = "" if path.is_file() and not path.is_symlink() else "no file"
        written_to = f"mirror {{'file': '{path}'" in busy
        if not content and not written_to and path.stat().st_size < 64 * MIB:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        yield str(path), content


@pytest.fixture
def scene(
    lab_host: PrivateHost,
    guests: dict[str, Guest],
    real_host: Host,
    operator: Actor,
    workers: Workers,
    settings: Any,
) -> Iterator[Scene]:
    kept = set(lab_host.images.iterdir())
    made = Scene(lab_host, real_host, guests, operator, workers, settings)
    made.sync()
    yield made
    made.ends.close()
    for name in made.own:
        remove(lab_host, name)
    for path in sorted(set(lab_host.images.rglob("*")) - kept, reverse=True):
        if path.parent in kept or path.parent != lab_host.images:
            continue
        remove_path(path)


def remove(host: PrivateHost, name: str) -> None:
    """Whatever is left of a domain."""
    with contextlib.suppress(LabError):
        host.virsh("destroy", name)
    with contextlib.suppress(LabError):
        all_of_it = ("--snapshots-metadata", "--checkpoints-metadata")
        host.virsh("undefine", name, *all_of_it)
    (host.directory / "serial" / f"{name}.log").unlink(missing_ok=True)


def remove_path(path: Path) -> None:
    """A file, a link, or a directory with files in it."""
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o755)
        for inner in path.iterdir():
            inner.unlink()
        with contextlib.suppress(OSError):  # a mount of the host's own
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


# --- Rows -----------------------------------------------------------------------------

Arrange = Callable[[Scene], CopyRequest]


@dataclass(frozen=True)
class Row:
    """One refusal: what is arranged, which rule refuses it, when, and in which words.

    `at_once`: by what the inventory tells, so that no worker is asked at all.
    """

    name: str
    arrange: Arrange
    rule: str
    words: str
    level: Level = Level.STOP
    at_once: bool = False


def refused(
    rows: list[Row], rule: str, words: str, level: Level = Level.STOP
) -> Callable[[Arrange], Arrange]:
    """Add what the decorated function arranges as a row: refused by the host's look."""

    def add(arrange: Arrange) -> Arrange:
        rows.append(Row(arrange.__name__, arrange, rule, words, level))
        return arrange

    return add


def refused_at_once(
    rows: list[Row], rule: str, words: str
) -> Callable[[Arrange], Arrange]:
    """Add what the decorated function arranges as a row: refused at once."""

    def add(arrange: Arrange) -> Arrange:
        row = Row(arrange.__name__, arrange, rule, words, at_once=True)
        rows.append(row)
        return arrange

    return add
