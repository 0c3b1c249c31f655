"""A daemon killed in the few milliseconds of a pivot in which it loses the guest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.guest import MIB
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
    # What libvirt lost is told so, and all the others pivoted.
    states = dict(zip(jobs, console.states(*jobs.values()), strict=True))
    off = {name: "lost" for name in GUESTS if guests[name].state == "shut off"}
    assert states == {**dict.fromkeys(GUESTS, "pivoted"), **off}
    print(f"killed in a pivot: {in_time}, of {len(jobs)} guests {len(off)} lost")
    for guest in guests.values():
        guest.log.wait_for_writes()  # the lost ones, too: they run
    for name in off:
        _is_left_alone(yard, jobs[name])
        with pytest.raises(Answered):
            olga.copy(guests[name], host.images / f"{name}.again")
        assert guests[name].state == "shut off", "nothing of ours has started it"
    promises = yard.promises(host, *jobs.values())
    promises.undisturbed, promises.retries = not off, len(jobs)
    yard.must_keep(promises)


def _is_left_alone(yard: Yard, job: int) -> None:
    assert "Do not start the guest" in yard.told(job, "remedy")
    assert "may have lost a guest" in yard.told(job, "failure")
    for verb in ("pivot", "finish", "cancel"):
        assert yard.console.olga.try_act(job, verb)[0] == REFUSED
    kinds = yard.ask(f"select kind from jobs_leftover where job_id = {job}")
    assert {kind for (kind,) in kinds} == {"unknown"}
