"""All the promises of one running console."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lab.calls import calls_of
from lab.guest import GuestLog
from lab.host import PrivateHost
from lab.stack import Stack
from tests.promises import acts, copies, states
from tests.promises.hosts import look
from tests.promises.kinds import Broken, Kind
from tests.promises.rows import Database, read

EVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Promises:
    """The promises of `stack` over its `hosts`, which must all answer when judged.

    The fields may be changed between two judgements:
    `undisturbed`: nobody but the console touches block jobs, domains and destinations,
    and nothing of them fails. Then no job may say "not by this console", and each call
    that a host noted (lab.calls.recording) must meet a written intent.
    `foreign`: destinations of copies that were begun elsewhere and not adopted.
    `asked`: by job, the verbs ("pivot", "finish", "cancel") that people asked for and
    were not refused; jobs that are not in it are not judged by that.
    `idle`: names of domains that never write, whose copies must equal their sources.
    `unseen`: destinations of which nothing is expected, such as damaged ones.
    `retries`: how many pivots may have been called once more because whoever called
    was killed or cut off before the answer; the host carries out one of them.
    `since`: when the console began, on a host that an earlier one worked on.
    `harmed`: names of domains that may have seen errors (a full disk of their own).
    """

    stack: Stack
    hosts: Sequence[PrivateHost]
    undisturbed: bool = True
    foreign: Collection[str] = ()
    asked: Mapping[int, Iterable[str]] = field(default_factory=dict)
    idle: Collection[str] = ()
    unseen: Collection[str] = ()
    harmed: Collection[str] = ()
    retries: int = 0
    since: datetime = EVER

    def rows(self) -> Database:
        """What the database says now."""
        return read(self.stack.environment["DATABASE_URL"])

    def broken(self, *, chain: bool = True) -> list[Broken]:
        """All that does not hold now. Empty if all does.

        Costs a second, and two more with `chain`, the audit log's verification.

        LabError when a host does not answer, the driver's error when the database
        does not.
        """
        database = self.rows()
        return [
            *self._states(database),
            *self._acts(database),
            *copies.judge(database, self.idle, self.unseen),
            *self._guests(),
            *(self._chain() if chain else ()),
        ]

    def until_true(self, timeout: float = 60) -> list[Broken]:
        """Wait until each job is at rest and says what its host shows.

        Returns what is still not so after `timeout` seconds. Judges nothing else, so
        that it is quick: a promise about how long it takes is measured with this.
        """
        end = time.monotonic() + timeout
        while True:
            left = list(self._states(self.rows()))
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.1)

    def until_kept(self, timeout: float = 60) -> list[Broken]:
        """Wait as `until_true`, then judge everything."""
        return self.until_true(timeout) or self.broken()

    def _states(self, database: Database) -> Iterator[Broken]:
        seen = {
            place: disk for host in self.hosts for place, disk in look(host).items()
        }
        return states.judge(database, seen, self.foreign)

    def _acts(self, database: Database) -> Iterator[Broken]:
        yield from acts.judge(database, self.asked, undisturbed=self.undisturbed)
        for host in self.hosts if self.undisturbed else ():
            calls = [call for call in calls_of(host) or () if call.at >= self.since]
            yield from acts.judge_calls(database, host.name, calls, self.retries)

    def _guests(self) -> Iterator[Broken]:
        for host in self.hosts:
            for path in sorted((host.directory / "serial").glob("*.log")):
                log = GuestLog(path)
                if path.stem not in self.harmed and (log.errors or log.mismatches):
                    told = f"{log.errors} errors, {log.mismatches} blocks misread"
                    sentence = f"{path.stem} on {host.name}: {told}"
                    yield Broken(Kind.GUEST, None, sentence)

    def _chain(self) -> Iterator[Broken]:
        done = self.stack.try_manage("blockcopy", "audit", "verify")
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines()
            yield Broken(Kind.CHAIN, None, words[-1] if words else "no answer")
