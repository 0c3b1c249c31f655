"""A daemon killed in a pivot: it loses the guest, or is wrong about where it is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.guest import MIB, Guest
from lab.host import PrivateHost
from tests.faults.kit import make_guest, wait_until
from tests.faults.operator import REFUSED, Answered
from tests.faults.yard import Yard

GUESTS = ("ash", "elder", "larch", "yew")


def daemon_of(host: PrivateHost) -> int:
    """The daemon's process id as this process sees it: no shell is in the way."""
    conf = str(host.directory / "libvirtd.conf").encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _runs(folder, conf):
            return int(folder.name)
    raise AssertionError("The daemon does not run.")


def _runs(folder: Path, conf: bytes) -> bool:
    try:
        words = (folder / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"libvirtd") and conf in words


def kill_in_a_pivot(host: PrivateHost, names: Collection[str]) -> bool:
    """Kill the daemon as soon as it notes a mirror that is neither there nor gone.

    What it then has on its storage it can't read again. False if the moment was missed.
    """
    daemon, run = daemon_of(host), host.socket.parent / "qemu/run"
    notes = [run / f"{name}.xml" for name in names]
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for path in notes:
            if b"job=''" in path.read_bytes():
                os.kill(daemon, signal.SIGKILL)
                return True
    return False


def test_killed_in_a_pivot(yard: Yard) -> None:
    console, host, olga = yard.console, yard.hosts["cedar"], yard.console.olga
    guests = {name: make_guest(host, name, data=MIB) for name in GUESTS}
    console.knows(*guests.values())
    jobs = {
        name: olga.copy(guest, host.images / f"{name}.copy")
        for name, guest in guests.items()
    }
    console.wait_for(dict.fromkeys(jobs.values(), "mirroring"))
    with ThreadPoolExecutor(len(jobs)) as people:
        for job in jobs.values():
            people.submit(olga.act, job, "pivot")
        in_time = kill_in_a_pivot(host, GUESTS)
    if in_time:
        wait_until(lambda: yard.error_of(host))
        host.start()
    wait_until(
        lambda: set(console.states(*jobs.values())) <= {"pivoted", "lost"},
        lambda: console.story(*jobs.values()),
    )
    # What libvirt is wrong about is told so, and all the others pivoted.
    states = dict(zip(jobs, console.states(*jobs.values()), strict=True))
    sides = {name: side(guest) for name, guest in guests.items()}
    right = [name for name in GUESTS if sides[name] == "destination"]
    wrong = [name for name in GUESTS if name not in right]
    told = {**dict.fromkeys(right, "pivoted"), **dict.fromkeys(wrong, "lost")}
    assert states == told, sides
    print(f"killed in a pivot: {in_time}, of {len(jobs)} guests {sides}")
    assert {name: writes_to(guests[name]) for name in right} == {
        name: [f"{name}.copy"] for name in right
    }
    for guest in guests.values():
        guest.log.wait_for_writes()  # the lost ones, too: they run
    for name in wrong:
        _is_left_alone(yard, jobs[name], WORDS[sides[name]])
        with pytest.raises(Answered):
            olga.copy(guests[name], host.images / f"{name}.again")
        assert side(guests[name]) == sides[name], "nothing of ours has touched it"
    promises = yard.promises(host, *jobs.values())
    promises.undisturbed, promises.retries = not wrong, len(jobs)
    yard.must_keep(promises)


# What a job says, by what libvirt shows of its guest.
WORDS = {
    "off": ("may have lost a guest", "Do not start the guest"),
    "pivot": ("shows a pivot under way", "Do not shut the guest down"),
    "source": ("nothing was heard of how", "Do not shut the guest down"),
}


def side(guest: Guest) -> str:
    """What libvirt shows: "destination", or "off", "pivot" and "source", where it may
    be wrong after a pivot."""
    if guest.state == "shut off":
        return "off"
    if "<mirror " in guest.host.virsh("dumpxml", guest.name):
        return "pivot"
    return "destination" if guest.source().endswith(".copy") else "source"


def writes_to(guest: Guest) -> list[str]:
    """The names of the files that QEMU writes to, whatever libvirt says."""
    files = list(guest.host.images.glob(f"{guest.name}.*"))
    before = {path: path.stat().st_mtime_ns for path in files}
    guest.log.wait_for_writes(3)
    return [path.name for path in files if path.stat().st_mtime_ns != before[path]]


def _is_left_alone(yard: Yard, job: int, words: tuple[str, str]) -> None:
    failure, remedy = words
    assert failure in yard.told(job, "failure")
    assert remedy in yard.told(job, "remedy")
    for verb in ("pivot", "finish", "cancel"):
        assert yard.console.olga.try_act(job, verb)[0] == REFUSED
    kinds = yard.ask(f"select kind from jobs_leftover where job_id = {job}")
    assert {kind for (kind,) in kinds} == {"unknown"}
