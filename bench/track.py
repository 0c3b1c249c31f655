"""What it costs to track very many copies on one host: the console and a bare loop.

    python -m bench.track [--crowds 200x1,400x1,50x20] [--delay 20] [--postgresql]

A crowd is so many paused guests with so many disks, each disk with a real mirror. The
bare loop asks libvirt's blockJobInfo of one after the other, on one connection. The
sweep is the console's own: it reads every state, source and mirror, settles the jobs in
the database and keeps the progress of all in Redis. Then the whole console runs for a
while, and it is sampled how old the numbers are that a page would show. With a delay
(milliseconds, there and back) the first crowd is measured again over a relay.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
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


@dataclass(frozen=True)
class Crowd:
    guests: int
    disks: int

    @property
    def mirrors(self) -> int:
        return self.guests * self.disks


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


def measure(directory: Path, stack: Stack, crowd: Crowd, delay: float) -> None:
    """One line of the table."""
    from jobs import sweep
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
            queries = queries_of(look)
            found = sorted(ages(stack, host))
            print(
                f"{crowd.guests:4} x {crowd.disks:2} {milliseconds:5.0f} "
                f"{bare:9.3f} {ours:9.3f} {ours / bare:6.2f} {queries:8} "
                f"{statistics.median(found):9.2f} {found[len(found) * 99 // 100]:6.2f}",
                flush=True,
            )
            CopyJob.objects.all().delete()
            Host.objects.all().delete()


def main() -> None:
    """Measure each crowd and print the table."""
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
        for number, crowd in enumerate(crowds):
            measure(Path(directory), stack, crowd, 0 if number else arguments.delay)


if __name__ == "__main__":
    main()
