"""A running console over private hosts, as the tests of faults want it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import psycopg
import pytest
from redis import Redis

from lab.calls import calls_of, recording
from lab.guest import MIB, Format, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.machine import Machine
from lab.postgres import PrivatePostgres
from lab.redis import PrivateRedis
from lab.service import Service
from lab.stack import PROJECT, Stack, procfile_commands
from tests.conftest import PASSWORD
from tests.faults.operator import Operator
from tests.promises import Broken, Job, Promises

DatabaseKind = Literal["sqlite", "postgresql"]
ROLES = {"olga": "operator", "ada": "administrator"}
# For what must come about, however slow the machine is.
PATIENCE = 60.0
PROMISED_SECONDS = 10.0
# A copy with these fields of the form stays copying until its bandwidth is raised.
NEVER_READY = {"bandwidth": "1 MiB", "buf_size": "1 MiB"}
# Blocks of 32 KiB: a guest writes all the time and leaves the processor to others.
PAUSE = 0.1

T = TypeVar("T")


def wait_until(
    question: Callable[[], T],
    story: Callable[[], object] = lambda: "",
    timeout: float = PATIENCE,
) -> T:
    """Return the first true answer; fail with `story` if there is none in time."""
    end = time.monotonic() + timeout
    while not (answer := question()):
        if time.monotonic() > end:
            pytest.fail(f"did not come about in {timeout:g} s: {story()}")
        time.sleep(0.05)
    return answer


@contextmanager
def soon(after: str) -> Iterator[None]:
    """Fail if what is waited for takes longer than is promised after a fault.

    On a machine that has something else to do seconds are so much longer.
    """
    began = time.monotonic()
    with Machine() as machine:
        yield
    seconds = time.monotonic() - began
    told = f"{after}: true after {seconds:.1f} s ({machine.now()})"
    print(told)
    assert seconds <= PROMISED_SECONDS * machine.slowness, told


@dataclass
class Console:
    """A running console, the people who use it, and what it promises."""

    stack: Stack
    hosts: tuple[PrivateHost, ...]
    database: DatabaseKind
    postgres: PrivatePostgres | None
    promises: Promises
    people: dict[str, Operator] = field(default_factory=dict)

    @property
    def olga(self) -> Operator:
        """The operator."""
        return self.people["olga"]

    @property
    def ada(self) -> Operator:
        """The administrator."""
        return self.people["ada"]

    def job(self, number: int) -> Job:
        """The row of a job."""
        return self.promises.rows().jobs[number]

    def states(self, *numbers: int) -> list[str]:
        """The states of jobs, in their order."""
        jobs = self.promises.rows().jobs
        return [jobs[number].state for number in numbers]

    def story(self, *numbers: int) -> dict[int, list[str]]:
        """The transitions of jobs, for people who read why a test failed."""
        database = self.promises.rows()
        return {
            n: [f"{e.new}: {e.message}" for e in database.lines_of(n)] for n in numbers
        }

    def wait_for(self, wanted: dict[int, str], timeout: float = PATIENCE) -> None:
        """Wait until each job is in the state that `wanted` has for it."""
        wait_until(
            lambda: self.states(*wanted) == list(wanted.values()),
            lambda: self.story(*wanted),
            timeout,
        )

    def calls(self, job: int) -> list[str]:
        """The verbs by which a job's block job was called on its host, in their order.

        As the host's daemon noted them; speed apart. The job must be the last one on
        its disk.
        """
        database = self.promises.rows()
        row, since = database.jobs[job], database.lines_of(job)[0].at
        host = next(host for host in self.hosts if host.name == row.host)
        return [
            call.verb
            for call in calls_of(host) or ()
            if (call.domain_uuid, call.disk) == (row.domain_uuid, row.disk)
            and call.at >= since
            and call.verb != "speed"
        ]

    def calls_under_way(self, *jobs: int) -> bool:
        """Whether the worker is in the calls of all these jobs' verbs."""
        with Redis.from_url(self.stack.environment["REDIS_URL"]) as store:
            return all(store.exists(f"blockcopy:lock:call:{job}") for job in jobs)

    def knows(self, *guests: Guest) -> None:
        """Have the hosts' inventories read, and wait until these guests are in it."""
        for host in {guest.host.name: guest.host for guest in guests}.values():
            self.stack.sync(host)

    def must_be_kept_soon(self, after: str) -> None:
        """The same, and each job is true ten seconds `after` what died is back.

        On a machine that has something else to do seconds are so much longer.
        """
        with soon(after):
            self.must_be_true()
        self.must_be_kept()

    def must_be_kept(self, timeout: float = PATIENCE, *, chain: bool = False) -> None:
        """Fail unless all promises are kept within `timeout` seconds.

        The audit log's chain is judged only with `chain`, since that takes seconds.
        """
        self.must_be_true(timeout)
        self.promises.asked = asked_by(self.people.values())
        self._none(self.promises.broken(chain=chain))

    def must_be_true(self, timeout: float = PATIENCE) -> None:
        """Fail unless each job says what its host shows within `timeout` seconds."""
        self._none(self.promises.until_true(timeout))

    def _none(self, broken: list[Broken]) -> None:
        jobs = [each.job for each in broken if each.job is not None]
        assert not broken, (list(map(str, broken)), self.story(*jobs))


def asked_by(people: Iterable[Operator]) -> dict[int, list[str]]:
    """What all of them asked for, by job."""
    found: dict[int, list[str]] = {}
    for person in people:
        for job, verbs in list(person.asked.items()):
            found.setdefault(job, []).extend(verbs)
    return found


def private_host(directory: Path, name: str) -> PrivateHost:
    """A host whose daemon notes each call; to be entered."""
    return PrivateHost(directory, name, configuration=recording(directory))


@contextmanager
def running_console(
    directory: Path,
    *hosts: PrivateHost,
    database: DatabaseKind = "sqlite",
    durable: bool = False,
    environment: dict[str, str] | None = None,
) -> Iterator[Console]:
    """Start a console over running hosts, with everybody of ROLES signed in.

    With `durable` its Redis keeps its data when it is killed.
    """
    variables = {
        "BLOCKCOPY_SOCKET_PREFIXES": ":".join(str(h.socket.parent) for h in hosts),
        **(environment or {}),
    }
    with ExitStack() as ends:
        postgres = None
        if database == "postgresql":
            postgres = ends.enter_context(PrivatePostgres(directory / "postgresql"))
            variables["DATABASE_URL"] = postgres.url()
        stack = Stack(directory / "console", variables)
        stack.redis = PrivateRedis(stack.directory / "redis", durable=durable)
        ends.enter_context(stack)
        people = _arrive(stack, hosts)
        promises = Promises(stack, hosts)
        yield Console(stack, hosts, database, postgres, promises, people)


def _arrive(stack: Stack, hosts: tuple[PrivateHost, ...]) -> dict[str, Operator]:
    with ThreadPoolExecutor(2) as side_by_side:
        done = [
            *(side_by_side.submit(stack.add_host, host) for host in hosts),
            *(
                side_by_side.submit(stack.add_user, name, role, PASSWORD)
                for name, role in ROLES.items()
            ),
        ]
        for each in done:
            each.result()
    people = {name: Operator(stack, name) for name in ROLES}
    for person in people.values():
        person.sign_in()
    return people


def make_guest(
    host: PrivateHost,
    name: str,
    *,
    writing: bool = True,
    data: int = 8 * MIB,
    backing: tuple[Format, ...] = (),
) -> Guest:
    """A small guest that runs, and writes unless told to rest."""
    disk = GuestDisk(host.images / f"{name}.qcow2", data=data, backing=backing)
    guest = define_and_start(
        host, name, [disk], writing=writing, pause=PAUSE, span=4 * MIB
    )
    guest.log.wait_for_boot()
    return guest


@contextmanager
def doubled(stack: Stack) -> Iterator[None]:
    """Have a second worker, beat and listener beside the first, as on another machine.

    Ready when they are.
    """
    commands = procfile_commands()
    with ExitStack() as ends:
        second = {
            name: Service(
                f"{name}-2",
                ["bash", "-c", commands[name]],
                log=stack.log_directory / f"{name}-2.log",
                environment={
                    **stack.environment,
                    "BLOCKCOPY_BEAT_FILE": str(stack.directory / "second-schedule"),
                },
                folder=PROJECT,
            )
            for name in ("worker", "beat", "listener")
        }
        for service in second.values():
            ends.enter_context(service)
        second["worker"].wait_until(lambda: second["worker"].said(" ready."))
        yield


@contextmanager
def held(console: Console) -> Iterator[None]:
    """Let somebody else hold the database, so that nobody can write to it."""
    url = console.stack.environment["DATABASE_URL"]
    if console.database == "sqlite":
        with contextlib.closing(
            sqlite3.connect(
                url.removeprefix("sqlite:///"), timeout=20, isolation_level=None
            )
        ) as file:
            file.execute("begin immediate")
            yield
            file.execute("rollback")
        return
    with psycopg.connect(url) as server:
        server.execute("lock table jobs_copyjob, jobs_auditentry in exclusive mode")
        yield
        server.rollback()
