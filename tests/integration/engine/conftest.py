"""A real host in the database, and guests whose disks can be copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import tasks
from jobs.hypervisor import close_all
from jobs.models import Disk, Host, Site
from lab.guest import MIB, Format, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from tests.workers import Workers, workers

__all__ = ["workers"]


@pytest.fixture(scope="module")
def lab_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    directory: Path = tmp_path_factory.mktemp("engine")
    with PrivateHost(directory, "alder") as host:
        yield host
    close_all()


@pytest.fixture
def real_host(
    transactional_db: None, lab_host: PrivateHost, settings: Any, workers: Workers
) -> Host:
    """The console's row of the private host."""
    settings.BLOCKCOPY_SOCKET_PREFIXES = [str(lab_host.socket.parent)]
    return Host.objects.create(
        name="alder",
        site=Site.objects.get_or_create(name="default")[0],
        transport="socket",
        mode="session",
        socket=str(lab_host.socket),
    )


FORMAT: Format = "qcow2"
MakeDisk = Callable[..., tuple[Guest, Disk]]


@pytest.fixture
def make_disk(lab_host: PrivateHost, real_host: Host) -> Iterator[MakeDisk]:
    """Start a guest, sync, and return it with the row of its first disk."""
    started: list[Guest] = []

    def make(
        name: str = "web", *, data_mib: int = 0, layers: int = 0, **options: Any
    ) -> tuple[Guest, Disk]:
        image = GuestDisk(
            lab_host.images / f"{name}.qcow2",
            data=data_mib * MIB,
            backing=(FORMAT,) * layers,
        )
        guest = define_and_start(lab_host, name, [image], **options)
        started.append(guest)
        tasks.sync_host(real_host.pk)
        return guest, Disk.objects.get(domain__name=name, target="vda")

    yield make
    for guest in started:
        _remove(guest)


def _remove(guest: Guest) -> None:
    names = guest.host.virsh("list", "--all", "--name").split()
    if guest.name in names:
        if guest.state != "shut off":
            guest.destroy()
        if guest.name in guest.host.virsh("list", "--all", "--name").split():
            guest.host.virsh("undefine", guest.name)
    for image in guest.host.images.glob(f"{guest.name}*"):
        image.unlink()
    guest.log.path.unlink(missing_ok=True)
