"""Guests whose QEMU hangs, one and twenty, and hosts that never answer: the others are
tracked as if nothing were."""

from __future__ import annotations

import json
import signal
import socket
import statistics
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
import redis

from lab.calls import questions_to
from lab.crowd import start_crowd
from lab.host import PrivateHost
from lab.machine import Machine
from tests.faults.yard import Yard

HEALTHY, STUCK, DEAD = 3, 20, 20
# The name of a healthy one.
LOOKED_AT = "guest-000"
SAMPLING_SECONDS = 8.0
SAMPLE_EACH = 0.2
# How old a guest's numbers are on a host where all is well, and what a page takes; and
# by how much the stuck may delay both. On a busy machine seconds are so much longer.
USUAL_SECONDS, PROMISED_SECONDS = 1.5, 2.0


@pytest.fixture(scope="module")
def crowd(yard: Yard) -> dict[str, int]:
    """The jobs of a host's guests, by name: virsh began them and olga adopted them.

    Those that stay healthy run, for nothing but the processor time that they take tells
    of whom it is that answers are to be had when so many others hang.
    """
    host = yard.hosts["rowan"]
    start_crowd(host, HEALTHY + STUCK)
    for number in range(HEALTHY):
        host.virsh("resume", f"guest-{number:03}")
    yard.console.stack.sync(host)
    jobs = {
        name: yard.console.olga.adopt(name)
        for name in sorted(host.virsh("list", "--name").split())
    }
    yard.console.wait_for(dict.fromkeys(jobs.values(), "mirroring"))
    return jobs


@contextmanager
def stuck(host: PrivateHost, names: Collection[str]) -> Iterator[None]:
    for name in names:
        host.kill_guest(name, signal.SIGSTOP)
    try:
        yield
    finally:
        for name in names:
            host.kill_guest(name, signal.SIGCONT)


@dataclass(frozen=True)
class Sampled:
    """How old numbers are at the median and at most, what a page takes at most, in
    seconds; and how many times as long as usual all takes on this machine."""

    median: float
    oldest: float
    page: float
    slowness: float

    def __str__(self) -> str:
        return (
            f"numbers {self.median:.1f} s old at the median, {self.oldest:.1f} s at "
            f"most; a page took {self.page:.2f} s at most (work takes "
            f"{self.slowness:.1f} times as long)"
        )

    @property
    def allowed(self) -> float:
        return (USUAL_SECONDS + PROMISED_SECONDS) * self.slowness


def sample(yard: Yard, jobs: Collection[int]) -> Sampled:
    """Look at the jobs' numbers and at pages for a while."""
    with Machine() as machine:
        median, oldest, page = _sampled(yard, jobs)
    return Sampled(median, oldest, page, machine.slowness)


def _sampled(yard: Yard, jobs: Collection[int]) -> tuple[float, float, float]:
    store = redis.Redis.from_url(yard.console.stack.environment["REDIS_URL"])
    keys = [f"blockcopy:progress:{job}" for job in jobs]
    pages = ("/", "/jobs/", f"/jobs/{min(jobs)}/")
    ages: list[float] = []
    slowest = 0.0
    end = time.monotonic() + SAMPLING_SECONDS
    while time.monotonic() < end:
        read = [json.loads(kept)["at"] for kept in store.mget(keys) if kept]
        assert len(read) == len(keys)
        ages += [time.time() - at for at in read]
        began = time.monotonic()
        assert yard.console.olga.get(pages[len(ages) % len(pages)])[0] == 200
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(SAMPLE_EACH)
    return statistics.median(ages), max(ages), slowest


@pytest.mark.parametrize("number", [1, STUCK])
def test_stuck_guests(yard: Yard, crowd: dict[str, int], number: int) -> None:
    host = yard.hosts["rowan"]
    names = sorted(crowd)[-number:]
    healthy = [job for name, job in crowd.items() if name not in (*names, LOOKED_AT)]
    with stuck(host, names):
        before = questions_to(host)
        _others_go_on(yard, healthy[: HEALTHY - 1], f"{number} stuck")
        if number == STUCK:
            yard.console.stack.worker.kill()
            yard.console.stack.bring_back(yard.console.stack.worker)
            # What it could not do while it was away is no delay of theirs.
            time.sleep(USUAL_SECONDS + PROMISED_SECONDS)
            _others_go_on(yard, healthy[: HEALTHY - 1], "and a new worker")
        asked = questions_to(host) - before
        # libvirt lets a question wait for 30 s; none of ours is asked beside another.
        assert all(asked[name] <= 1 for name in names), asked
        assert yard.console.states(*crowd.values()) == ["mirroring"] * len(crowd)
        if number == STUCK:
            _is_tracked(yard, LOOKED_AT, crowd.pop(LOOKED_AT))
    yard.look(yard.promises(host, *crowd.values()))


def _others_go_on(yard: Yard, jobs: Collection[int], what: str) -> None:
    """They are tracked, pages come, and the daemon answers everybody."""
    found = sample(yard, jobs)
    began = time.monotonic()
    yard.hosts["rowan"].virsh("list")
    took = time.monotonic() - began
    print(f"{what}: {found}; virsh list took {took:.2f} s")
    assert found.oldest < found.allowed, found
    assert found.page < found.allowed, found
    assert took < PROMISED_SECONDS * found.slowness


def _is_tracked(yard: Yard, name: str, job: int) -> None:
    """What a stranger does to a guest that answers is seen all the same."""
    with Machine() as machine:
        yard.hosts["rowan"].virsh("blockjob", name, "vda", "--abort")
        began = time.monotonic()
        yard.console.wait_for({job: "failed"})
        took = time.monotonic() - began
    print(f"the end of another guest's copy was seen after {took:.1f} s")
    assert took < (USUAL_SECONDS + PROMISED_SECONDS) * machine.slowness


# --- Hosts that never answer ----------------------------------------------------------

REGISTER = """
from jobs.models import CopyJob, Host, Site
real = CopyJob.objects.filter(host__name="rowan").first()
for number, path in enumerate({paths!r}):
    real.host.pk, real.host.name, real.host.socket = None, f"dead-{{number}}", path
    real.host.save()
    real.domain.pk, real.domain.host = None, real.host
    real.domain.save()
    real.pk, real.host, real.claim = None, real.host, ""
    real.save()
"""
FORGET = """
from jobs.models import CopyJob, Domain, Host
CopyJob.objects.filter(host__name__startswith="dead-").delete()
Domain.objects.filter(host__name__startswith="dead-").delete()
Host.objects.filter(name__startswith="dead-").delete()
"""


def test_dead_hosts(yard: Yard, crowd: dict[str, int]) -> None:
    """Each takes connections and says nothing, with a job on it that is looked at."""
    manage, folder = yard.console.stack.manage, yard.hosts["rowan"].socket.parent
    with ExitStack() as up:
        paths = [str(folder / f"dead-{number}") for number in range(DEAD)]
        for path in paths:
            silent = up.enter_context(socket.socket(socket.AF_UNIX))
            silent.bind(path)
            silent.listen(100)
        manage("shell", "-c", REGISTER.format(paths=paths))
        try:
            found = sample(yard, list(crowd.values())[1:HEALTHY])
            print(f"{DEAD} dead hosts: {found}")
            assert found.oldest < found.allowed, found
            assert found.page < found.allowed, found
        finally:
            manage("shell", "-c", FORGET)
