"""The console, two private hosts with small guests, and servers that may die."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Literal, Self

from bench.chaos.plan import DISK_SIZE, HOSTS, NBD_SERVERS, GuestPlan
from lab.calls import recording
from lab.cell import LabError
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.nbd import NbdServer
from lab.postgres import PrivatePostgres
from lab.redis import PrivateRedis
from lab.service import Service
from lab.stack import Stack

Database = Literal["sqlite", "postgresql"]
SPAN = 8 * MIB
FILLED = 8 * MIB
# Blocks of 32 KiB: little of the processor's time, and always something in flight.
PAUSE = 0.05
OPERATOR, PASSWORD = "olga", "chaos-and-order"


class Scene:
    """All that the bench runs, below `directory`; gone with it."""

    def __init__(
        self, directory: Path, guests: tuple[GuestPlan, ...], database: Database
    ) -> None:
        self.directory = directory
        self.cast = guests
        self.database = database
        self.hosts = {
            name: PrivateHost(
                directory / name,
                name,
                configuration=recording(directory / name),
            )
            for name in HOSTS
        }
        self.guests: dict[str, Guest] = {}
        self.redis = PrivateRedis(directory / "redis", durable=True)
        self.nbd: list[NbdServer] = []
        self.postgres: PrivatePostgres | None = None
        self.stack: Stack
        self._up = ExitStack()
        self._taking_turns = threading.Lock()

    # -- up and down -------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._up.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._up.close()

    def _start(self) -> None:
        self._up.enter_context(self.redis)
        for host in self.hosts.values():
            self._up.enter_context(host)
            copies_of(host).mkdir()
            host.define_pool("images")
            host.define_pool("copies", copies_of(host))
        self.stack = Stack(self.directory / "console", self._environment())
        self._up.callback(self.stack.stop)
        for number in range(NBD_SERVERS):
            self.nbd.append(self._up.enter_context(self._server(number)))
        for plan in self.cast:
            self.guests[plan.name] = self._guest(plan)
        for guest in self.guests.values():
            guest.log.wait_for_boot()
        self.stack.start()
        self.stack.add_user(OPERATOR, "operator", PASSWORD)
        for host in self.hosts.values():
            self.stack.add_host(host)

    def _environment(self) -> dict[str, str]:
        sockets = [str(host.socket.parent) for host in self.hosts.values()]
        environment = {
            "BLOCKCOPY_SOCKET_PREFIXES": ":".join(sockets),
            "REDIS_URL": self.redis.url,
            "BLOCKCOPY_AUDIT_CHECKPOINTS": str(self.directory / "checkpoints.jsonl"),
        }
        if self.database == "postgresql":
            server = PrivatePostgres(self.directory / "postgresql")
            self.postgres = self._up.enter_context(server)
            environment["DATABASE_URL"] = server.url()
        return environment

    def _server(self, number: int) -> NbdServer:
        folder = self.directory / f"nbd-{number}"
        folder.mkdir()
        image = folder / "export.raw"
        make_image(image, "raw")
        return NbdServer(folder, image, export="disk")

    def _guest(self, plan: GuestPlan) -> Guest:
        host = self.hosts[plan.host]
        disks = [
            GuestDisk(
                host.images / f"{plan.name}-{number}.{format_}",
                DISK_SIZE,
                format_,
                data=FILLED,
                backing=plan.backing if format_ == "qcow2" else (),
            )
            for number, format_ in enumerate(plan.disks)
        ]
        return define_and_start(
            host, plan.name, disks, writing=plan.writing, pause=PAUSE, span=SPAN
        )

    # -- what is where -----------------------------------------------------------------

    def plan_of(self, guest: str) -> GuestPlan:
        return next(plan for plan in self.cast if plan.name == guest)

    def host_of(self, guest: str) -> PrivateHost:
        return self.hosts[self.plan_of(guest).host]

    # -- what dies and comes back ------------------------------------------------------

    @property
    def processes(self) -> dict[str, Service]:
        return {service.name: service for service in self.stack.services}

    def bring_back(self, name: str) -> None:
        """Start one of the console's processes; returns when it does its work."""
        self.stack.bring_back(self.processes[name])

    def empty_redis(self) -> None:
        """While it is down: what it kept is gone."""
        for path in self.redis.directory.glob("appendonly*"):
            shutil.rmtree(path)

    @contextmanager
    def locked_sqlite(self) -> Iterator[None]:
        """Somebody else holds the database's write lock meanwhile."""
        path = self.directory / "console" / "blockcopy.sqlite3"
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def revive(self, guest: str) -> bool:
        """Start a guest that is off; True if libvirt had lost it while it still ran.

        A daemon killed in a pivot does that (see docs/architecture.md, "Strangers"): a
        person ends the orphan first.
        """
        host = self.host_of(guest)
        with self._taking_turns:
            if self.guests[guest].state != "shut off":
                return False
            orphan = _end_orphan(host, guest)
            _patiently(lambda: host.virsh("start", guest))
            return orphan


def copies_of(host: PrivateHost) -> Path:
    """The folder of the host for destinations."""
    return host.directory / "copies"


def make_image(path: Path, format_: str) -> None:
    command = ["qemu-img", "create", "-q", "-f", format_, str(path), str(DISK_SIZE)]
    subprocess.run(command, check=True)


def _end_orphan(host: PrivateHost, guest: str) -> bool:
    """End a QEMU that libvirt knows nothing of any more; True if there was one."""
    pid_file = host.socket.parent / "qemu" / "run" / f"{guest}.pid"
    if not pid_file.exists():
        return False
    with contextlib.suppress(FileNotFoundError, ValueError):
        host.kill_guest(guest)
    pid_file.unlink(missing_ok=True)
    return True


def _patiently(act: Callable[[], object], attempts: int = 50) -> None:
    """A QEMU that was just killed still holds the locks on its images."""
    for left in reversed(range(attempts)):
        try:
            act()
        except LabError:
            if not left:
                raise
            time.sleep(0.2)
        else:
            return
