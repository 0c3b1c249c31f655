"""Destinations that fill up, vanish, change or hang, and an unreadable source."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest

from lab.bootsector import Writing
from lab.guest import (
    MIB,
    Guest,
    GuestDisk,
    GuestLog,
    boot_domain,
    define_and_start,
    launch,
)
from lab.nbd import NbdServer
from lab.service import Service
from lab.sockets import SocketFolder
from tests.faults.kit import NEVER_READY, make_guest, wait_until
from tests.faults.yard import Yard

SIZE = 64 * MIB


def empty_image(path: Path, format_: str = "raw") -> Path:
    command = ["qemu-img", "create", "-q", "-f", format_, str(path), str(SIZE)]
    subprocess.run(command, check=True)
    return path


def to_server(server: NbdServer) -> dict[str, str]:
    """The form's fields for a destination on an NBD server."""
    return {
        "destination_kind": "network",
        "protocol": "nbd",
        "servers": f"{server.name}:{server.port}",
        "format": "raw",
    }


def copy_to_server(yard: Yard, guest: Guest, server: NbdServer, **fields: str) -> int:
    """Ask for a copy, again if a busy machine let nobody look at the server in time."""
    console = yard.console
    job = console.olga.copy(guest, "", **to_server(server), **fields)
    wait_until(
        lambda: console.states(job)[0] not in ("requested", "queued", "starting"),
        lambda: console.story(job),
    )
    if "could not be looked up" in console.job(job).failure:
        return copy_to_server(yard, guest, server, **fields)
    return job


# --- Gone, cut off, another one: looked at again before a pivot -----------------------


def move_away(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def cut_off(path: Path) -> None:
    os.truncate(path, 0)


def replace(path: Path) -> None:
    path.unlink()
    empty_image(path, "qcow2")


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "deleted": (move_away, "not there any more"),
    "truncated": (cut_off, "destination was cut off"),
    "replaced": (replace, "not the one that was copied to"),
}


def test_a_destination_that_is_not_the_copy_any_more(yard: Yard) -> None:
    console, host, olga = yard.console, yard.hosts["birch"], yard.console.olga
    host.define_pool()
    guests = {row: make_guest(host, row) for row in HARM}
    console.knows(*guests.values())
    places = {row: host.images / f"{row}.copy" for row in HARM}
    jobs = {row: olga.copy(guests[row], places[row]) for row in HARM}
    console.wait_for(dict.fromkeys(jobs.values(), "mirroring"))
    for row, (harm, _) in HARM.items():
        harm(places[row])
        olga.act(jobs[row], "pivot")
    for row, (_, words) in HARM.items():
        yard.until_said(jobs[row], words)
    console.wait_for(dict.fromkeys(jobs.values(), "mirroring"))
    for row, guest in guests.items():
        assert guest.source() == str(guest.disks[0].path), row
        guest.log.wait_for_writes()
    yard.end(*jobs.values())
    promises = yard.promises(host, *jobs.values())
    promises.unseen = [str(path) for path in places.values()]
    yard.must_keep(promises)
    for guest in guests.values():
        guest.destroy()


# --- Full -----------------------------------------------------------------------------


def test_a_full_destination(yard: Yard) -> None:
    """Before the copy is ready, and long after."""
    console, host, olga = yard.console, yard.hosts["birch"], yard.console.olga
    for folder in ("early", "late"):
        host.mount_small(host.directory / folder, 48 * MIB)
    early = make_guest(host, "full-early", data=24 * MIB, writing=False)
    disk = GuestDisk(host.images / "full-late.qcow2", data=4 * MIB)
    late = define_and_start(host, "full-late", [disk], pause=0.05)
    late.log.wait_for_boot()
    console.knows(early, late)
    jobs = [
        olga.copy(early, host.directory / "early" / "copy", **NEVER_READY),
        olga.copy(late, host.directory / "late" / "copy"),
    ]
    console.wait_for(dict(zip(jobs, ("copying", "mirroring"), strict=True)))
    for folder in ("early", "late"):
        host.fill(host.directory / folder)
    olga.speed(jobs[0], "0")
    console.wait_for(dict.fromkeys(jobs, "failed"))
    for job, guest in zip(jobs, (early, late), strict=True):
        yard.until_said(job, "No space left on device")
        assert yard.told(job, "remedy")
        assert guest.state == "running"
        assert guest.source() == str(guest.disks[0].path)
    late.log.wait_for_writes()
    promises = yard.promises(host, *jobs)
    promises.undisturbed = False
    yard.must_keep(promises)
    early.destroy()
    late.destroy()


# --- Servers --------------------------------------------------------------------------

# By row: the state in which the server is harmed, and whether the guest writes.
KILLED = {"dies-copying": ("copying", False), "dies-mirroring": ("mirroring", True)}
UNNOTICED = {"dies-idle": ("mirroring", False)}
HUNG = {"hangs-copying": ("copying", True), "hangs-mirroring": ("mirroring", True)}
SERVED = KILLED | UNNOTICED | HUNG


@pytest.fixture
def servers(yard: Yard, tmp_path: Path) -> Iterator[dict[str, NbdServer]]:
    with ExitStack() as up:
        yield {
            row: up.enter_context(
                NbdServer(tmp_path / row, empty_image(tmp_path / f"{row}.raw"))
            )
            for row in SERVED
        }


def test_servers(yard: Yard, servers: dict[str, NbdServer]) -> None:
    console, host, olga = yard.console, yard.hosts["birch"], yard.console.olga
    guests = {
        row: make_guest(
            host,
            row,
            writing=writing,
            data=24 * MIB if state == "copying" else 4 * MIB,
        )
        for row, (state, writing) in SERVED.items()
    }
    console.knows(*guests.values())
    jobs = {
        row: copy_to_server(
            yard,
            guests[row],
            servers[row],
            **(NEVER_READY if state == "copying" else {}),
        )
        for row, (state, _) in SERVED.items()
    }
    console.wait_for({jobs[row]: state for row, (state, _) in SERVED.items()})
    for row in KILLED | UNNOTICED:
        servers[row].kill()
    for row in HUNG:
        servers[row].freeze()

    console.wait_for({jobs[row]: "failed" for row in KILLED})
    # Nobody notices that a server which is not written to has died, until it is needed.
    assert console.states(jobs["dies-idle"]) == ["mirroring"]
    olga.act(jobs["dies-idle"], "pivot")
    console.wait_for({jobs["dies-idle"]: "failed"})
    # A pivot would hang with the server, and the guest with it.
    olga.act(jobs["hangs-mirroring"], "pivot")
    olga.act(jobs["hangs-copying"], "cancel")
    yard.until_said(jobs["hangs-mirroring"], "takes no writes")
    assert console.states(jobs["hangs-mirroring"]) == ["mirroring"]
    assert console.states(jobs["hangs-copying"]) == ["cancelling"]

    for row in HUNG:
        servers[row].thaw()
    console.wait_for({jobs["hangs-copying"]: "cancelled"})
    guests["hangs-mirroring"].log.wait_for_writes()
    olga.act(jobs["hangs-mirroring"], "pivot")
    console.wait_for({jobs["hangs-mirroring"]: "pivoted"})
    # The server is back, and so is the copy.
    servers["dies-idle"].start()
    again = copy_to_server(yard, guests["dies-idle"], servers["dies-idle"])
    console.wait_for({again: "mirroring"})
    olga.act(again, "pivot")
    console.wait_for({again: "pivoted"})

    promises = yard.promises(host, *jobs.values(), again)
    promises.undisturbed = False
    yard.must_keep(promises)
    for guest in guests.values():
        guest.destroy()


# --- The source -----------------------------------------------------------------------


@pytest.fixture
def failing(yard: Yard, tmp_path: Path) -> Iterator[tuple[Guest, Path]]:
    """A guest whose disk can't be read any more once a file exists: that file."""
    host = yard.hosts["birch"]
    disk = GuestDisk(tmp_path / "source.raw", format="raw", data=24 * MIB)
    disk.make(Writing(4 * MIB, 0.0, idle=True).boot_sector())
    folder, trigger = SocketFolder(tmp_path / "run", "nbd.sock"), tmp_path / "broken"
    folder.make()
    socket = folder.path / "nbd.sock"
    server = Service(
        "nbdkit",
        [
            *("nbdkit", "-f", "-U", socket, "--filter=error", "file", disk.path),
            *("error-pread=EIO", "error-pread-rate=100%"),
            f"error-pread-file={trigger}",
        ],
        log=tmp_path / "nbdkit.log",
        farewell=folder.farewell,
    )
    log = GuestLog(host.directory / "serial" / "unreadable.log")
    guest = Guest(host, "unreadable", (disk,), log)
    with server:
        server.wait_until(socket.exists)
        launch(guest, _served_from(socket, boot_domain(guest)), persistent=False)
        guest.log.wait_for_boot()
        yield guest, trigger
        guest.destroy()


def _served_from(socket: Path, domain: Element) -> Element:
    disk, source = domain.find("./devices/disk"), domain.find("./devices/disk/source")
    assert disk is not None
    assert source is not None
    disk.set("type", "network")
    source.attrib = {"protocol": "nbd", "name": ""}
    SubElement(source, "host", transport="unix", socket=str(socket))
    return domain


def test_a_source_that_cant_be_read(yard: Yard, failing: tuple[Guest, Path]) -> None:
    console, host, olga = yard.console, yard.hosts["birch"], yard.console.olga
    guest, trigger = failing
    console.knows(guest)
    job = olga.copy(guest, host.images / "unreadable.copy", **NEVER_READY)
    console.wait_for({job: "copying"})
    trigger.touch()
    olga.speed(job, "0")
    console.wait_for({job: "failed"})
    yard.until_said(job, "Input/output error")
    assert guest.state == "running"
    promises = yard.promises(host, job)
    promises.undisturbed = False
    yard.must_keep(promises)
