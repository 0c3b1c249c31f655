"""What it costs to track very many copies on one host: the console and a bare loop.

    python -m bench.track [--crowds 200x1,400x1,50x20] [--delay 20] [--postgresql]

A crowd is so many paused guests with so many disks, each disk with a real mirror. The
bare loop asks libvirt's blockJobInfo of one after the other, on one connection. The
sweep is the console's own: it reads every state, source and mirror, settles the jobs in
the database and keeps the progress of all in Redis. Then the whole console runs for a
while, and it is sampled how old the numbers are that a page would show. With a delay
(milliseconds, there and back) the first crowd is measured again over a relay.

At the end each aim is told as kept or missed; the exit status is 1 if one was missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.hypervisor.opening import open_connection
from lab.crowd import TARGETS, start_crowd
from lab.host import PrivateHost
from lab.postgres import PrivatePostgres
from lab.relay import Relay
from lab.stack import Stack

if TYPE_CHECKING:
    from jobs.models import Host

ROUNDS = 7
SAMPLING_SECONDS = 20.0
SAMPLE_EACH = 0.2
# The aims of docs/architecture.md, "The sweep": it takes at most as long as the bare
# loop, and asks the database as often for many copies as for few. Up to so many copies,
# and without a delay, numbers are so old at most (seconds).
MOST_RATIO = 1.0
MOST_MIRRORS = 400
MEDIAN_SECONDS, P99_SECONDS = 1.0, 2.0


@dataclass(frozen=True)
class Crowd:
    guests: int
    disks: int

    @property
    def mirrors(self) -> int:
        return self.guests * self.disks


@dataclass(frozen=True)
class Row:
    """A line of the table. Seconds, but for the delay, which is in milliseconds."""

    crowd: Crowd
    delay: float
    bare: float
    sweep: float
    queries: int
    median: float
    p99: float

    @property
    def ratio(self) -> float:
        return self.sweep / self.bare

    @property
    def name(self) -> str:
        far = f", {self.delay:.0f} ms away" if self.delay >= 1 else ""
        return f"{self.crowd.guests} x {self.crowd.disks}{far}"

    def __str__(self) -> str:
        return (
            f"{self.crowd.guests:4} x {self.crowd.disks:2} {self.delay:5.0f} "
            f"{self.bare:9.3f} {self.sweep:9.3f} {self.ratio:6.2f} {self.queries:8} "
            f"{self.median:9.2f} {self.p99:6.2f}"
        )


def verdicts(rows: Sequence[Row]) -> Iterator[tuple[bool, str]]:
    """Whether each aim was reached, and in words which one it is."""
    for row in rows:
        yield (
            row.ratio <= MOST_RATIO,
            f"{row.name}: a sweep takes {row.ratio:.2f} times as long as a bare loop, "
            f"{MOST_RATIO:g} at most",
        )
        if row.delay >= 1 or row.crowd.mirrors > MOST_MIRRORS:
            continue
        yield (
            row.median <= MEDIAN_SECONDS and row.p99 <= P99_SECONDS,
            f"{row.name}: numbers are {row.median:.2f} s old at the median and "
            f"{row.p99:.2f} s at the 99th percentile, {MEDIAN_SECONDS:g} and "
            f"{P99_SECONDS:g} at most",
        )
    counts = sorted({row.queries for row in rows})
    yield (
        len(counts) <= 1,
        f"queries per sweep, the same for all: {', '.join(map(str, counts))}",
    )


@contextmanager
def console(directory: Path, *, postgresql: bool) -> Iterator[Stack]:
    """A console whose processes do not run yet, and Django on its database here."""
    with ExitStack() as up:
        environment = {"BLOCKCOPY_SOCKET_PREFIXES": str(directory)}
        if postgresql:
            server = up.enter_context(PrivatePostgres(directory / "postgresql"))
            environment["DATABASE_URL"] = server.url()
        stack = Stack(directory / "console", environment)
        up.callback(stack.stop)
        stack.prepare()
        os.environ.update(stack.environment)
        os.environ["DJANGO_SETTINGS_MODULE"] = "blockcopy_web.settings"
        import django

        django.setup()
        yield stack


def register(name: str, socket: Path) -> Host:
    """The host with its inventory, and a mirroring job for each of its mirrors."""
    from jobs import inventory
    from jobs.lifecycle import State
    from jobs.models import CopyJob, Disk, Host, Site
    from jobs.reconcile import connect

    site = Site.objects.get(name="default")
    host = Host.objects.create(
        name=name, site=site, transport="socket", mode="session", socket=str(socket)
    )
    with connect(host) as hypervisor:
        inventory.store(host, hypervisor.inventory())
    CopyJob.objects.bulk_create(
        CopyJob(
            host=host,
            domain=disk.domain,
            host_name=host.name,
            domain_name=disk.domain.name,
            domain_uuid=disk.domain.uuid,
            disk=disk.target,
            source=disk.source,
            destination=disk.mirror,
            destination_format="raw",
            requested_by_name="bench",
            state=State.MIRRORING,
            libvirt_id=disk.domain.libvirt_id,
            transient_job=False,
        )
        for disk in Disk.objects.filter(domain__host=host).select_related("domain")
    )
    return Host.objects.select_related("site").get(pk=host.pk)


def medians_of(*calls: Callable[[], object]) -> list[float]:
    """Seconds of each call, the medians of some rounds after a first one.

    They take turns, so that what else the machine does slows all of them.
    """
    rounds: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS + 1):
        for call, times in zip(calls, rounds, strict=True):
            began = time.perf_counter()
            call()
            if number:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in rounds]


def bare_loop(socket: Path, crowd: Crowd) -> Callable[[], None]:
    """What a script would do: one connection, one question after the other."""
    connection = open_connection(f"qemu+unix:///session?socket={socket}")
    domains = connection.listAllDomains()

    def ask() -> None:
        for domain in domains:
            for target in TARGETS[: crowd.disks]:
                if not domain.blockJobInfo(target, 0):
                    raise RuntimeError(f"{domain.name()} has no job on {target}")

    return ask


def queries_of(call: Callable[[], object]) -> int:
    """How often the database was asked."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        call()
    return len(queries)


def ages(stack: Stack, host: Host) -> list[float]:
    """How old each job's numbers were, sampled while the whole console runs."""
    from jobs import live
    from jobs.models import CopyJob

    numbers = list(CopyJob.objects.filter(host=host).values_list("pk", flat=True))
    stack.worker.start()
    stack.beat.start()
    stack.listener.start()
    stack.worker.wait_until(lambda: stack.worker.said(" ready."))
    time.sleep(5)
    found = []
    end = time.monotonic() + SAMPLING_SECONDS
    while time.monotonic() < end:
        progress = live.progress_of(numbers)
        found += [each.age for each in progress.values()]
        if len(progress) != len(numbers):
            raise RuntimeError(f"{len(numbers) - len(progress)} jobs have no numbers")
        time.sleep(SAMPLE_EACH)
    for service in (stack.listener, stack.beat, stack.worker):
        service.stop()
    return found


def measure(directory: Path, stack: Stack, crowd: Crowd, delay: float) -> Iterator[Row]:
    """One line of the table, and with a delay another one."""
    from jobs import live, sweep
    from jobs.models import CopyJob, Host

    name = f"h{crowd.guests}x{crowd.disks}"
    with ExitStack() as up:
        private = up.enter_context(PrivateHost(directory / name, name))
        start_crowd(private, crowd.guests, crowd.disks)
        for milliseconds in filter(None, [0.001, delay]):
            socket = private.socket
            if milliseconds >= 1:
                socket = up.enter_context(
                    Relay(directory, private.socket, milliseconds)
                ).socket
            host = register(f"{name}-{milliseconds:.0f}", socket)

            def look(host: Host = host) -> None:
                sweep.look_at_host(host)

            bare, ours = medians_of(bare_loop(socket, crowd), look)
            live.taken_up(f"samples:{host.pk}")  # the one that writes samples asks most
            queries = queries_of(look)
            found = sorted(ages(stack, host))
            yield Row(
                crowd,
                milliseconds,
                bare,
                ours,
                queries,
                statistics.median(found),
                found[len(found) * 99 // 100],
            )
            CopyJob.objects.all().delete()
            Host.objects.all().delete()


def main() -> None:
    """Measure each crowd, print the table, and say which aims were reached."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--crowds", default="200x1,400x1,50x20", help="GUESTSxDISKS,…")
    parser.add_argument("--delay", type=float, default=20, help="milliseconds; 0: none")
    parser.add_argument("--postgresql", action="store_true", help="not SQLite")
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    crowds = [Crowd(*map(int, text.split("x"))) for text in arguments.crowds.split(",")]
    print("guests x  delay   bare loop    sweep  ratio  queries  age: median   p99")
    print("disks        ms           s        s                            s     s")
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=base) as directory,
        console(Path(directory), postgresql=arguments.postgresql) as stack,
    ):
        rows = []
        for number, crowd in enumerate(crowds):
            delay = 0 if number else arguments.delay
            for row in measure(Path(directory), stack, crowd, delay):
                print(row, flush=True)
                rows.append(row)
    judged = list(verdicts(rows))
    for kept, promise in judged:
        print("PASS  " if kept else "missed", promise)
    sys.exit(0 if all(kept for kept, _ in judged) else 1)


if __name__ == "__main__":
    main()
