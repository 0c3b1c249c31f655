"""python -m bench.push: see the package."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

import bench.push
from bench.push.streams import Streams
from bench.push.watcher import Seen, Watcher, chromium
from bench.ready_to_pivot import PASSWORD, Console
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.postgres import PrivatePostgres
from lab.stack import Stack

AIM_MEDIAN, AIM_P95 = 0.100, 0.300  # seconds
PATIENCE = 60.0
# The states of a copy that is pivoted, in their order.
ORDER = ("queued", "starting", "copying", "mirroring", "pivoting", "pivoted")
BY_THE_WORKER = ("starting", "copying", "mirroring", "pivoted")


@dataclass
class Samples:
    """Seconds of each way."""

    bare: list[float] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    own_page: list[float] = field(default_factory=list)


def main() -> int:
    """Bring all up, measure, print; the exit status."""
    parser = argparse.ArgumentParser(
        prog="bench.push",
        description=bench.push.__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--streams", type=int, default=50)
    given = parser.parse_args()
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=base) as directory,
        rig(Path(directory)) as (host, stack, database),
    ):
        sessions = open_sessions(stack, given.streams + 1)
        streams = Streams(stack.port, sessions[1:])
        streams.wait_until_open()
        guest, samples = start_guest(host, stack), Samples()
        console = Console(stack)
        with chromium(stack.url, sessions[0]) as browser:
            for number in range(given.copies):
                # One page is looked at; another tab would be hidden and ask nothing.
                watched = Watcher(browser.new_page(), "/jobs/")
                job = copy(console, guest, database, number)
                if number % 2:
                    watched.open(f"/jobs/{job}/")
                time.sleep(1)
                pivot(console, database, job)
                time.sleep(1)
                changes = committed(database, job)
                if number % 2:
                    # Its page was opened when the copy had become a mirror.
                    samples.own_page += delays(changes[-1:], watched.seen(), job)
                else:
                    samples.listed += delays(changes, watched.seen(), job)
                watched.page.close()
                samples.bare += [publish(console, streams) for _ in range(4)]
        return told(samples, streams)


@contextmanager
def rig(directory: Path) -> Iterator[tuple[PrivateHost, Stack, str]]:
    """A host, PostgreSQL that notes each commit's time, and the whole console."""
    with ExitStack() as up:
        host = up.enter_context(PrivateHost(directory / "host", "alder"))
        server = PrivatePostgres(directory / "postgresql")
        up.callback(server.stop)
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        server.stop()
        server.start()
        environment = {
            "BLOCKCOPY_SOCKET_PREFIXES": str(host.socket.parent),
            "BLOCKCOPY_WEB_WORKERS": "2",
            "DATABASE_URL": server.url(),
        }
        stack = up.enter_context(Stack(directory / "console", environment))
        stack.add_user("olga", "operator", PASSWORD)
        stack.add_host(host)
        yield host, stack, server.url()


def open_sessions(stack: Stack, count: int) -> list[str]:
    """Sign somebody in so many times; the sessions' keys."""
    program = (
        "from django.contrib.auth.models import User; from django.test import Client\n"
        "olga = User.objects.get(username='olga')\n"
        f"for _ in range({count}):\n"
        "    client = Client(); client.force_login(olga)\n"
        "    print('key', client.cookies['sessionid'].value)\n"
    )
    lines = stack.manage("shell", "-v", "0", "-c", program).splitlines()
    return [line.split()[1] for line in lines if line.startswith("key ")]


def start_guest(host: PrivateHost, stack: Stack) -> Guest:
    """A guest that does nothing, with a small disk."""
    image = GuestDisk(host.images / "web.qcow2", size=64 * MIB, data=16 * MIB)
    guest = define_and_start(host, "web", [image], writing=False)
    guest.log.wait_for_boot()
    stack.manage("blockcopy", "host", "sync", host.name, "--wait")
    return guest


# --- What is done --------------------------------------------------------------------


def copy(console: Console, guest: Guest, database: str, number: int) -> int:
    """Have the guest's disk copied; the job's number when it is a mirror."""
    destination = Path(guest.source()).with_name(f"web-{number}.qcow2")
    address = console.post(
        console.disk_page(guest.name),
        destination=str(destination),
        destination_kind="file",
        format="qcow2",
        when_ready="wait",
    )
    found = re.search(r"/jobs/(\d+)/$", address)
    if found is None:
        raise RuntimeError(f"the console did not take the request: {address}")
    wait_for(database, int(found[1]), "mirroring")
    return int(found[1])


def pivot(console: Console, database: str, job: int) -> None:
    """Have it pivoted, and wait until it is."""
    console.post(f"/jobs/{job}/pivot/")
    wait_for(database, job, "pivoted")


def wait_for(database: str, job: int, state: str) -> None:
    """Wait for a state; RuntimeError if another end comes first, or nothing."""
    end = time.monotonic() + PATIENCE
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() < end:
            query = "SELECT state FROM jobs_copyjob WHERE id = %s"
            row = connection.execute(query, [job]).fetchone()
            if row is not None and row[0] == state:
                return
            time.sleep(0.05)
    raise RuntimeError(f"job {job} did not become {state}")


def publish(console: Console, streams: Streams) -> float:
    """Publish an event that no page waits for; seconds until a plain client has it."""
    key = f"bench-{time.time_ns()}"
    begin = time.time()
    console.redis.publish("blockcopy:wake", json.dumps({"kind": "check", "key": key}))
    wanted = json.dumps({"key": key})
    while wanted not in streams.heard:
        if time.time() > begin + PATIENCE:
            raise RuntimeError("an event did not reach the plain client")
        time.sleep(0.001)
    time.sleep(0.05)
    return streams.heard[wanted] - begin


# --- What came of it -----------------------------------------------------------------


def committed(database: str, job: int) -> list[tuple[str, float]]:
    """Return the states that the worker brought the job to, and when."""
    query = """
        SELECT new_state, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
        FROM jobs_jobevent WHERE job_id = %s AND new_state = ANY(%s) ORDER BY id
    """
    with psycopg.connect(database) as connection:
        rows = connection.execute(query, [job, list(BY_THE_WORKER)]).fetchall()
    return [(state, at) for state, at in rows]


def delays(
    changes: Sequence[tuple[str, float]], seen: Sequence[Seen], job: int
) -> list[float]:
    """Return after how many seconds the page showed each state, or a later one."""
    found = []
    for state, at in changes:
        since = ORDER.index(state)
        shown = [
            each.at
            for each in seen
            if each.job == job and ORDER.index(each.state) >= since
        ]
        if not shown:
            raise RuntimeError(f"the page never showed job {job} as {state}")
        found.append(min(shown) - at)
    return found


def told(samples: Samples, streams: Streams) -> int:
    """Print the table; 1 if an aim is missed or a stream broke, else 0."""
    print(f"{streams.open} other streams, {streams.broken} of them broke")
    print(f"{'':38} samples   median      p95      max   bare=1")
    bare = statistics.median(samples.bare)
    print(row("publish, to a plain client", samples.bare, bare))
    print(row("commit, to the list in a browser", samples.listed, bare))
    print(row("commit, to the job's page in a browser", samples.own_page, bare))
    pages = samples.listed + samples.own_page
    print(row("commit, to a browser", pages, bare))
    missed = statistics.median(pages) > AIM_MEDIAN or p95(pages) > AIM_P95
    aims = f"{AIM_MEDIAN * 1000:.0f} ms and {AIM_P95 * 1000:.0f} ms"
    print(f"The aims ({aims}) are {'missed' if missed else 'met'}.")
    return 1 if missed or streams.broken else 0


def p95(seconds: Sequence[float]) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def row(name: str, seconds: Sequence[float], bare: float) -> str:
    """Return a row of the table."""
    middle = statistics.median(seconds)
    figures = (middle, p95(seconds), max(seconds))
    told = " ".join(f"{1000 * each:5.1f} ms" for each in figures)
    return f"{name:38} {len(seconds):7} {told} {middle / bare:8.1f}"


if __name__ == "__main__":
    sys.exit(main())
