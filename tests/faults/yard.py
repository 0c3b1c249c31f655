"""One console over several private hosts, on which tests of faults take turns.

Each test leaves its host answering and its jobs ended, and is judged by its own jobs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.calls import calls_of
from lab.guest import Guest
from lab.host import PrivateHost
from tests.faults.kit import (
    Console,
    asked_by,
    private_host,
    running_console,
    wait_until,
)
from tests.promises import Broken, Database, Promises, acts, asking

# Daemons die on alder, guests and storage on birch; cedar loses a guest in a pivot, and
# on rowan a crowd is stuck.
HOSTS = ("alder", "birch", "cedar", "rowan")


@dataclass
class SomePromises(Promises):
    """The promises of the jobs `numbers` alone, over the hosts that they are on.

    Each call that a host noted is judged all the same.
    """

    numbers: Collection[int] = field(default=())

    def rows(self) -> Database:
        database = super().rows()
        return replace(
            database,
            jobs={pk: database.jobs[pk] for pk in self.numbers},
            lines=[each for each in database.lines if each.job in self.numbers],
            entries=[each for each in database.entries if each.job in self.numbers],
            leftovers=[each for each in database.leftovers if each.job in self.numbers],
        )

    def _acts(self, database: Database) -> Iterator[Broken]:
        yield from acts.judge(database, self.asked, undisturbed=self.undisturbed)
        everything = super().rows()
        for host in self.hosts:
            calls = calls_of(host) or ()
            yield from acts.judge_calls(everything, host.name, calls, self.retries)


@dataclass
class Yard:
    """The console, and its hosts by name."""

    console: Console
    hosts: dict[str, PrivateHost]

    def promises(self, host: PrivateHost, *jobs: int) -> SomePromises:
        """The promises of some jobs on one host."""
        people = asked_by(self.console.people.values())
        return SomePromises(self.console.stack, [host], asked=people, numbers=jobs)

    def must_keep(self, promises: SomePromises) -> None:
        """Fail unless they are kept."""
        promises.asked = asked_by(self.console.people.values())
        broken = promises.until_kept()
        story = self.console.story(*promises.numbers)
        assert not broken, (list(map(str, broken)), story)

    def look(self, promises: SomePromises) -> None:
        """Fail unless each job says what its host shows, after a while."""
        broken = promises.until_true()
        story = self.console.story(*promises.numbers)
        assert not broken, (list(map(str, broken)), story)

    def error_of(self, host: PrivateHost) -> str:
        """Why the console says that a host does not answer, "" if it does."""
        sql = f"select error from jobs_host where name = '{host.name}'"
        return str(self.ask(sql)[0][0])

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """What the console's database holds."""
        with asking(self.console.stack.environment["DATABASE_URL"]) as ask:
            return ask(sql)

    def told(self, job: int, column: str) -> str:
        """A text of a job's row: failure, remedy, flagged, qemu_text …"""
        return str(
            self.ask(f"select {column} from jobs_copyjob where id = {job}")[0][0]
        )

    def last_line(self, job: int) -> str:
        """The newest line of a job's history."""
        sql = f"select message from jobs_jobevent where job_id = {job} order by id desc"
        return str(self.ask(sql)[0][0])

    def until_said(self, job: int, words: str) -> None:
        """Wait until a job's history says so."""
        sql = f"select message from jobs_jobevent where job_id = {job} order by id"
        wait_until(
            lambda: any(words in str(line) for (line,) in self.ask(sql)),
            lambda: self.ask(sql),
        )

    def end(self, *jobs: int) -> None:
        """Cancel what still runs, and wait for it."""
        states = dict(zip(jobs, self.console.states(*jobs), strict=True))
        running = [n for n, state in states.items() if state in RUNNING]
        for number in running:
            self.console.olga.act(number, "cancel")
        self.console.wait_for(dict.fromkeys(running, "cancelled"))


RUNNING = ("requested", "queued", "copying", "mirroring")


@contextmanager
def running_yard(directory: Path) -> Iterator[Yard]:
    """Start the hosts and the console over them."""
    with ExitStack() as up:
        hosts = {
            name: up.enter_context(private_host(directory / name, name))
            for name in HOSTS
        }
        console = up.enter_context(running_console(directory, *hosts.values()))
        yield Yard(console, hosts)


def running(guest: Guest) -> Guest:
    """The guest, started again if a test has ended it."""
    if guest.state == "shut off":
        boots = guest.log.boots
        guest.start()
        guest.log.wait_for_boot(boots + 1)
    return guest
