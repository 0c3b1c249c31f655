"""How long from READY to COMPLETED, and from request to pivot: virsh and the console.

    python -m bench.ready_to_pivot [--pairs N] [--sizes 64,512] [--postgresql]

The same disk of the same guest on the same private host is copied and pivoted in turn
by `virsh blockcopy --wait --pivot` and by the console (an HTTP request with the policy
"pivot when ready", through web, Redis, Celery, the database and the listener). READY
and COMPLETED are heard by a connection of the bench's own. Ratios are what to read:
absolute times move with the machine.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import queue
import re
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from jobs.hypervisor import Address, AddressPolicy
from jobs.hypervisor.events import BlockJobEvent, Event, Subscription
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.postgres import PrivatePostgres
from lab.stack import Stack

PASSWORD = "only for the bench"
TIMEOUT = 120.0


@dataclass(frozen=True)
class Run:
    """One copy and pivot, in seconds."""

    wall: float
    ready_to_completed: float


class Ears:
    """A connection of our own that notes when READY and COMPLETED were heard."""

    def __init__(self, host: PrivateHost) -> None:
        self.heard: queue.Queue[Event] = queue.Queue()
        address = Address(transport="socket", mode="session", socket=str(host.socket))
        policy = AddressPolicy(socket_prefixes=(str(host.socket.parent),))
        self.subscription = Subscription(address, policy, self.heard.put)

    def ready_to_completed(self) -> float:
        """Wait for the end of a copy; seconds from its READY to its COMPLETED."""
        ready = None
        while True:
            event = self.heard.get(timeout=TIMEOUT)
            if not isinstance(event, BlockJobEvent):
                continue
            if event.status == "ready":
                ready = event.received
            elif event.status == "completed" and ready is not None:
                return event.received - ready
            else:
                raise RuntimeError(f"the copy ended with {event.status}")


class Console:
    """The console as a browser sees it, and its wake-ups to know when it is done."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        jar = http.cookiejar.CookieJar()
        self.jar = jar
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(jar)
        )
        self.post("/login/", username="olga", password=PASSWORD)
        # Kept: a client that is collected closes its subscriptions' connections too.
        self.redis = redis.Redis.from_url(stack.redis.url)
        self.wakes = self.redis.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        )
        self.wakes.subscribe("blockcopy:wake")

    def get(self, path: str) -> str:
        with self.opener.open(self.stack.url + path, timeout=TIMEOUT) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: str) -> str:
        """Post a form with its token; returns the address of the page after it."""
        token = next((c.value for c in self.jar if c.name == "csrftoken"), None)
        if token is None:
            self.get(path)
            return self.post(path, **fields)
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token or ""})
        request = urllib.request.Request(
            self.stack.url + path, data.encode(), {"Referer": self.stack.url}
        )
        with self.opener.open(request, timeout=TIMEOUT) as answer:
            return str(answer.url)

    def disk_page(self, domain: str) -> str:
        """The address of the page that copies the disk of `domain`."""
        found = re.search(r"/disks/\d+/copy/", self.get(f"/copy/?q={domain}"))
        if found is None:
            raise RuntimeError(f"the console does not offer {domain}'s disk")
        return found[0]

    def wait_for_pivoted(self) -> None:
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            message = self.wakes.get_message(timeout=1)
            state = json.loads(message["data"]).get("state") if message else None
            if state == "pivoted":
                return
            if state in ("failed", "lost", "cancelled"):
                raise RuntimeError(f"the job is {state}")
        raise TimeoutError("the job was not pivoted")


def by_virsh(guest: Guest, ears: Ears, destination: Path) -> Run:
    """Copy and pivot as people do it in a terminal."""
    begin = time.monotonic()
    subprocess.run(
        [
            *("virsh", "-q", "-c", guest.host.uri, "blockcopy", guest.name, "vda"),
            *("--dest", str(destination), "--format", "qcow2"),
            *("--wait", "--pivot", "--transient-job"),
        ],
        check=True,
        capture_output=True,
        timeout=TIMEOUT,
    )
    wall = time.monotonic() - begin
    return Run(wall, ears.ready_to_completed())


def by_console(console: Console, page: str, ears: Ears, destination: Path) -> Run:
    """Copy and pivot as an operator does it in the console."""
    begin = time.monotonic()
    after = console.post(
        page,
        destination=str(destination),
        destination_kind="file",
        format="qcow2",
        when_ready="pivot",
    )
    if not re.search(r"/jobs/\d+/$", after):
        raise RuntimeError(f"the console did not take the request: {after}")
    console.wait_for_pivoted()
    wall = time.monotonic() - begin
    return Run(wall, ears.ready_to_completed())


def pairs(
    guest: Guest, console: Console, ears: Ears, count: int
) -> Iterator[tuple[Run, Run]]:
    """Yield (virsh, console) runs, after one warm-up pair, in alternating order."""
    page = console.disk_page(guest.name)
    current = Path(guest.source())
    for number in range(count + 1):
        runs: dict[str, Run] = {}
        for who in ("virsh", "console") if number % 2 else ("console", "virsh"):
            destination = current.with_name(f"{guest.name}-{number}-{who}.qcow2")
            if who == "virsh":
                runs[who] = by_virsh(guest, ears, destination)
            else:
                runs[who] = by_console(console, page, ears, destination)
            current.unlink()
            current = destination
            time.sleep(0.5)  # let what follows a job (a new inventory) pass
        if number:
            yield runs["virsh"], runs["console"]


def row(name: str, virsh: list[float], console: list[float], unit: float) -> str:
    """One row of the table: medians, spreads, and the median of the pairs' ratios."""

    def spread(values: list[float]) -> str:
        scaled = [value * unit for value in values]
        return (
            f"{statistics.median(scaled):8.3g} [{min(scaled):.3g}..{max(scaled):.3g}]"
        )

    ratio = statistics.median(c / v for v, c in zip(virsh, console, strict=True))
    return f"{name:34} {spread(virsh):28} {spread(console):28} {ratio:6.3f}"


@contextmanager
def rig(directory: Path, *, postgresql: bool) -> Iterator[tuple[PrivateHost, Console]]:
    """A private host, and the whole console with a signed-in operator."""
    with ExitStack() as up:
        host = up.enter_context(PrivateHost(directory / "host", "alder"))
        environment = {"BLOCKCOPY_SOCKET_PREFIXES": str(host.socket.parent)}
        if postgresql:
            server = up.enter_context(PrivatePostgres(directory / "postgresql"))
            environment["DATABASE_URL"] = server.url()
        stack = up.enter_context(Stack(directory / "console", environment))
        stack.add_user("olga", "operator", PASSWORD)
        stack.add_host(host)
        yield host, Console(stack)


def measure(
    host: PrivateHost, console: Console, megabytes: int, *, busy: bool, count: int
) -> None:
    """Measure one kind of guest and print its two rows."""
    name = f"{'busy' if busy else 'idle'}{megabytes}"
    image = GuestDisk(
        host.images / f"{name}.qcow2", size=megabytes * MIB, data=(megabytes - 34) * MIB
    )
    guest = define_and_start(host, name, [image], writing=busy)
    guest.log.wait_for_boot()
    console.stack.manage("blockcopy", "host", "sync", "alder", "--wait")
    ears = Ears(host)
    runs = list(pairs(guest, console, ears, count))
    ears.subscription.close()
    virsh, ours = [run[0] for run in runs], [run[1] for run in runs]
    kind = f"{megabytes} MiB, guest {'busy' if busy else 'idle'}"
    print(
        row(
            f"{kind}: wall, s",
            [run.wall for run in virsh],
            [run.wall for run in ours],
            1,
        )
    )
    print(
        row(
            f"{kind}: READY→COMPLETED, ms",
            [run.ready_to_completed for run in virsh],
            [run.ready_to_completed for run in ours],
            1000,
        ),
        flush=True,
    )
    if guest.log.errors or guest.log.mismatches:
        raise RuntimeError(f"{name} saw errors on its disk")
    guest.destroy()
    guest.host.virsh("undefine", name)


def main() -> None:
    """Measure all kinds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--sizes", default="64,512", help="MiB, separated by commas")
    parser.add_argument("--postgresql", action="store_true", help="not SQLite")
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    database = "PostgreSQL" if arguments.postgresql else "SQLite"
    print(f"{arguments.pairs} pairs, {database}, images on {base or 'disk'}")
    print(f"{'':34} {'virsh: median [min..max]':28} {'console':28}  ratio", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=base) as directory,
        rig(Path(directory), postgresql=arguments.postgresql) as (host, console),
    ):
        for megabytes in map(int, arguments.sizes.split(",")):
            for busy in (False, True):
                measure(host, console, megabytes, busy=busy, count=arguments.pairs)


if __name__ == "__main__":
    main()
