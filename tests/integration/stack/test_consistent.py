"""A finish with a real guest's file systems frozen, and a worker killed over it.

The guest is a Linux with the real guest agent, and its copy goes to an NBD server. So
that "while it is frozen" lasts long enough to look, and to kill, the server is stopped:
the mirror can't end before it goes on.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.cell import PATH
from lab.guest import Guest, GuestDisk
from lab.host import PrivateHost
from lab.linux import start_linux
from lab.nbd import NbdServer
from lab.stack import PROJECT, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Desk:
    stack: Stack
    guest: Guest

    @property
    def host(self) -> PrivateHost:
        return self.guest.host

    def run(self, *words: str | Path) -> Any:
        return json.loads(self.stack.manage("blockcopy", *words, "--json"))

    @contextmanager
    def mirroring(self, name: str) -> Iterator[tuple[Any, NbdServer]]:
        """A copy of the guest's disk that waits for a person, and its server."""
        image = self.host.images / f"{name}.raw"
        subprocess.run(
            ["truncate", "-s", str(self.guest.disks[0].size), image], check=True
        )
        folder = self.host.directory / name
        with NbdServer(folder, image, export=name, unix=True) as server:
            to = ("--kind", "nbd", "--socket", server.socket, "--name", name)
            disk = ("alder", self.guest.name, "vda")
            accept = ("--accept", "reused_is_there", "--reason", "made for it")
            words = (*disk, *to, "--format", "raw", *accept, "--wait")
            job = self.run("job", "start", *words)
            assert job["state"] == "mirroring", job
            yield job, server

    def show(self, job: Any) -> Any:
        return self.run("job", "show", str(job["job"]))

    def wait_for(self, job: Any, state: str) -> Any:
        until(lambda: self.show(job)["state"] == state, lambda: str(self.show(job)))
        return self.show(job)

    def fsfreeze_status(self) -> str:
        asked = json.dumps({"execute": "guest-fsfreeze-status"})
        answer = self.host.virsh("qemu-agent-command", self.guest.name, asked)
        status: str = json.loads(answer)["return"]
        return status

    def finish_frozen(self, job: Any) -> None:
        """Finish while the server is stopped: the guest is frozen, and stays so."""
        time.sleep(0.5)  # so that the guest has written something meanwhile
        self.run("job", "finish", str(job["job"]), "--consistent")
        until(lambda: self.fsfreeze_status() == "frozen", lambda: str(self.show(job)))


def until(
    question: Callable[[], bool],
    story: Callable[[], str] = lambda: "",
    seconds: float = 30,
) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, story()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with PrivateHost(tmp_path_factory.mktemp("rack"), "alder") as host:
        host.define_pool("images")
        disk = GuestDisk(host.images / "linux.raw", format="raw")
        cache = PROJECT / "var" / "linux"
        guest = start_linux(host, "linux", cache, disk=disk, agent=True, span=4)
        environment = {"BLOCKCOPY_SOCKET_PREFIXES": str(host.socket.parent)}
        with Stack(tmp_path_factory.mktemp("console"), environment) as stack:
            guest.log.wait_for_boot(timeout=90)
            connected = "state='connected'"
            until(lambda: connected in host.virsh("dumpxml", guest.name), seconds=60)
            stack.add_host(host)
            yield Desk(stack, guest)
            assert (guest.log.errors, guest.log.mismatches) == (0, 0)


def to_be_recovered(image: Path) -> bool:
    """Whether ext4's own tool finds a journal that was not closed."""
    told = subprocess.run(
        ["dumpe2fs", "-h", image],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": PATH},
    )
    return "needs_recovery" in told.stdout


def image_of(desk: Desk, name: str) -> Path:
    return desk.host.images / f"{name}.raw"


def test_frozen_until_the_mirror_has_ended(desk: Desk) -> None:
    with desk.mirroring("consistent") as (job, server):
        server.freeze()
        desk.finish_frozen(job)
        assert "<mirror" in desk.host.virsh("dumpxml", desk.guest.name)
        server.thaw()
        done = desk.wait_for(job, "copied")
    assert done["consistency"] == "guest", done
    assert desk.fsfreeze_status() == "thawed"
    assert not to_be_recovered(image_of(desk, "consistent"))
    desk.guest.log.wait_for_writes(2)


def test_without_it_the_journal_has_to_be_replayed(desk: Desk) -> None:
    """That the proof above can fail: a copy as after a power cut."""
    with desk.mirroring("crash") as (job, _):
        desk.run("job", "finish", str(job["job"]), "--no-consistent")
        done = desk.wait_for(job, "copied")
    assert done["consistency"] == "crash"
    assert to_be_recovered(image_of(desk, "crash"))


def test_a_hung_destination_does_not_hang_the_guest(desk: Desk) -> None:
    with desk.mirroring("hung") as (job, server):
        server.freeze()
        desk.finish_frozen(job)
        until(lambda: desk.fsfreeze_status() == "thawed", lambda: str(desk.show(job)))
        assert desk.show(job)["state"] == "finishing"
        desk.guest.log.wait_for_writes(2)
        server.thaw()
        done = desk.wait_for(job, "copied")
    assert done["consistency"] == "crash", done


def test_a_worker_killed_while_the_guest_is_frozen(desk: Desk) -> None:
    with desk.mirroring("killed") as (job, server):
        server.freeze()
        desk.finish_frozen(job)
        desk.stack.worker.kill()
        server.thaw()
        time.sleep(2)
        assert desk.fsfreeze_status() == "frozen", "nobody is there to thaw it"
        desk.stack.worker.start()
        until(lambda: desk.fsfreeze_status() == "thawed", lambda: str(desk.show(job)))
        done = desk.wait_for(job, "copied")
    assert done["consistency"] == "guest", done
    assert not to_be_recovered(image_of(desk, "killed"))
    desk.guest.log.wait_for_writes(2)
