"""Every order of acts, tasks, faults and strangers, with the real database and Redis.

A rule-based machine drives the console against a host in memory which knows what was
true at each moment and who asked for what. In the unit stage a few examples, always
the same ones; a long run with others: `STATEFUL_EXAMPLES=2000 STATEFUL_STEPS=60
pytest tests/unit/engine/test_stateful.py --hypothesis-seed=1 --timeout=0`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs import actions, live, tasks
from jobs.actor import Actor
from jobs.audit import log
from jobs.hypervisor import CopyOptions, Destination
from jobs.lifecycle import State, WhenReady
from jobs.models import (
    AuditEntry,
    ChainLink,
    CopyJob,
    Disk,
    Domain,
    Host,
    JobEvent,
    Leftover,
    StoragePool,
)
from jobs.models.job import AtLimit
from jobs.preflight import CopyRequest, judge
from tests.conftest import actor_of
from tests.unit.engine.surroundings import GUESTS, HOSTS, STRANGERS, Surroundings
from tests.unit.engine.troubles import Fate, Trouble
from tests.unit.engine.truth import AT_REST, Truth
from tests.unit.engine.witness import Place, WitnessedHost
from tests.workers import Workers

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
STEPS = int(os.environ.get("STATEFUL_STEPS", "25"))
EVERY_RULE = frozenset(rule.__name__ for rule in (*judge.KNOWN, *judge.SEEN))
ROWS = (Leftover, JobEvent, CopyJob, ChainLink, Disk, Domain, StoragePool)
MEDDLERS = (
    *("restarts", "stops", "becomes ready", "copy fails", "pivots", "ends", "edits"),
    *("redis emptied", "another worker", "a sweep", "an event"),
    *("olga cancels", "olga pivots", "olga finishes", "olga starts"),
)

# Hypothesis draws the first and the last more often than the rest.
VERBS = (actions.PIVOT, actions.CANCEL, actions.START, actions.FINISH, actions.PIVOT)
POLICIES = (WhenReady.PIVOT, WhenReady.FINISH, WhenReady.WAIT, WhenReady.WAIT)
PHASES = ("mirroring", "copying", "requested", "scheduled", "foreign", "", "mirroring")
# Seconds from the request to the start; 0 is at once.
LATER = (0, 0, 30, 400)

numbers = st.integers(0, 7)
troubles = st.one_of(
    st.just(Trouble()),
    st.just(Trouble()),
    st.builds(
        Trouble,
        st.sampled_from(["die", "refuse", "busy", "silent", *MEDDLERS, "lost answer"]),
        st.integers(0, 7),
        st.booleans(),
    ),
    st.builds(
        Trouble, st.just("die in the database"), st.integers(0, 30), st.booleans()
    ),
)


@dataclass
class World:
    """What all examples share; `alder` is made anew for each."""

    workers: Workers
    row: Host
    olga: Actor
    alder: WitnessedHost

    def empty(self) -> None:
        for model in ROWS:
            model._base_manager.all().delete()
        self.workers.inbox.clear()
        live.client().flushdb()
        self.alder = WitnessedHost()


class Console(RuleBasedStateMachine):
    """The console, its operator, a host with three disks, and everything in between."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.empty()
        self.host, self.workers = self.world.alder, self.world.workers
        web = self.host.add_domain("web", ("vda", "vdb"))
        ci = self.host.add_domain("ci", persistent=False)
        self.host.domains[web].file_systems = 2
        self.cast = {uuid: self.host.domains[uuid] for uuid in (web, ci)}
        self.places: list[Place] = [(web, "vda"), (web, "vdb"), (ci, "vda")]
        self.around = Surroundings(self.host, self.cast, self.places)
        self.truth = Truth(self.host, self.world.olga.name)
        self.fate = Fate(self.meddle)
        self.host.point, self.host.asked = self.fate.at_call, self.asked_for
        self.stale: dict[int, CopyJob] = {}
        self.host.forget()
        tasks.sync_host(self.world.row.pk)

    @initialize(
        phases=st.tuples(*[st.sampled_from(PHASES)] * 3),
        policies=st.tuples(*[st.sampled_from(POLICIES)] * 3),
        odd=st.booleans(),
        follows=st.booleans(),
    )
    def begin(
        self,
        phases: tuple[str, ...],
        policies: tuple[WhenReady, ...],
        odd: bool,
        follows: bool,
    ) -> None:
        """Each disk is somewhere on its way when the example begins."""
        self.cast[self.places[0][0]].follows = follows
        for number, phase in enumerate(phases):
            if phase == "foreign":
                self.around.strangers_copy(self.places[number], 0)
            elif phase:
                policy = policies[number]
                limited = odd and number == 1
                later = LATER[-1] if phase == "scheduled" else 0
                self.ask_for_copy(number, policy, False, limited, odd, later, Trouble())
            if phase in ("copying", "mirroring"):
                self.all_tasks(Trouble())
            if phase == "mirroring":
                self.around.guest(number, "becomes ready")
        if "foreign" in phases:
            tasks.observe_strangers(self.world.row.pk)
        if WhenReady.PIVOT not in policies:
            self.sweep(Trouble())

    def asked_for(self, verb: str, identity: Any) -> int:
        with self.fate.none():
            return self.truth.asked_for(verb, identity)

    # --- What people ask for ---------------------------------------------------------

    @rule(
        number=numbers,
        policy=st.sampled_from(POLICIES),
        earlier=st.booleans(),
        limited=st.booleans(),
        consistent=st.booleans(),
        later=st.sampled_from(LATER),
        trouble=troubles,
    )
    def request(
        self,
        number: int,
        policy: WhenReady,
        earlier: bool,
        limited: bool,
        consistent: bool,
        later: int,
        trouble: Trouble,
    ) -> None:
        self.ask_for_copy(number, policy, earlier, limited, consistent, later, trouble)

    def ask_for_copy(
        self,
        number: int,
        policy: WhenReady,
        earlier: bool,
        limited: bool,
        consistent: bool,
        later: int,
        trouble: Trouble,
    ) -> None:
        uuid, target = self.places[number % 3]
        disk = Disk.objects.filter(domain__uuid=uuid, target=target).first()
        if disk is None:
            return
        files = sorted(self.host.files)
        path = f"/images/copy-{len(files)}.qcow2"
        wanted = CopyRequest(
            disk,
            Destination(
                "file", files[-1 - number % len(files)] if earlier else path, "qcow2"
            ),
            CopyOptions(reuse_external=earlier),
            policy,
            consistent=consistent,
            total_limit=30 if limited else 0,
            at_limit=AtLimit.CANCEL if limited else AtLimit.FLAG,
            accepted=EVERY_RULE,
            reason="wanted",
        )
        start_at = timezone.now() + timedelta(seconds=later) if later else None
        self.act(
            lambda: actions.request_copy(wanted, self.world.olga, start_at=start_at),
            trouble,
        )
        self.truth.requested |= self.new_jobs()

    @precondition(lambda self: self.truth.states)
    @rule(
        verb=st.sampled_from(VERBS),
        number=numbers,
        consistent=st.sampled_from([None, True, False]),
        stale=st.booleans(),
        trouble=troubles,
        then=st.none() | troubles,
    )
    def ask(
        self,
        verb: actions.Verb,
        number: int,
        consistent: bool | None,
        stale: bool,
        trouble: Trouble,
        then: Trouble | None,
    ) -> None:
        """`then`: what comes over the workers who are at it at once."""
        job = self.pick(number, stale=stale)
        if job is not None:
            self.perform(verb, job, trouble, consistent)
        if then:
            self.all_tasks(then)

    def perform(
        self,
        verb: actions.Verb,
        job: CopyJob,
        trouble: Trouble = Trouble(),  # noqa: B008 (frozen)
        consistent: bool | None = None,
    ) -> None:
        self.act(
            lambda: actions.perform(verb, job, self.world.olga, consistent=consistent),
            trouble,
        )
        asked = job.events.filter(actor=self.world.olga.name).exclude(
            new_state__in=["", State.REQUESTED, State.QUEUED, State.COPYING]
        )
        now = {State.PIVOTING: "pivot", State.FINISHING: "finish"}
        for name in actions.VERBS:
            self.truth.asked[job.pk, name] = sum(
                now.get(State(state), "cancel") == name
                for state in asked.values_list("new_state", flat=True)
            )

    @rule(what=st.sampled_from(["speed", "adopt"]), number=numbers, trouble=troubles)
    def ask_for_more(self, what: str, number: int, trouble: Trouble) -> None:
        if what == "adopt":
            self.adopt(number, trouble)
        else:
            self.ask_for_speed(number, number * 2**20, trouble)

    def ask_for_speed(self, number: int, speed: int, trouble: Trouble) -> None:
        job = self.pick(number)
        if job is not None:
            self.truth.speeds.setdefault(job.pk, set()).add(speed)
            self.act(lambda: actions.set_speed(job, speed, self.world.olga), trouble)

    def adopt(self, number: int, trouble: Trouble) -> None:
        uuid, target = self.places[number % 3]
        disk = Disk.objects.filter(domain__uuid=uuid, target=target).first()
        if disk is not None:
            self.act(lambda: actions.adopt(disk, self.world.olga), trouble)
            self.truth.adopted |= self.new_jobs() - self.truth.requested

    def act(self, act: Callable[[], object], trouble: Trouble) -> None:
        """Let a page do something; a refusal is in the audit log."""
        before = AuditEntry.objects.filter(outcome="refused").count()
        refused = False
        with self.fate.over(trouble):
            try:
                act()
            except actions.ActionError:
                refused = True
        after = AuditEntry.objects.filter(outcome="refused").count()
        assert not refused or after == before + 1

    def new_jobs(self) -> set[int]:
        pks = set(CopyJob.objects.values_list("pk", flat=True))
        return pks - self.truth.adopted

    def pick(self, number: int, *, stale: bool = False) -> CopyJob | None:
        """One of the last jobs, mostly one that has not ended; or as it once was."""
        jobs = sorted(CopyJob.objects.all(), key=_interest)
        if not jobs:
            return None
        job = jobs[-1 - number % min(3, len(jobs))]
        job = self.stale.get(job.pk, job) if stale else job
        self.stale[job.pk] = CopyJob.objects.get(pk=job.pk)
        return job

    # --- What workers do -------------------------------------------------------------

    @rule(
        how=st.sampled_from(["one", "all", "all", "sweep", "sweep", "event", "lost"]),
        number=numbers,
        twice=st.booleans(),
        trouble=troubles,
    )
    def work(self, how: str, number: int, twice: bool, trouble: Trouble) -> None:
        match how:
            case "one":
                self.one_task(number, twice, trouble)
            case "all":
                self.all_tasks(trouble)
            case "sweep":
                self.sweep(trouble)
            case "event":
                self.hear_an_event(number, twice, trouble)
            case "lost":
                self.lose_a_task(number)
                self.host.events[number:] = []

    def one_task(self, number: int, twice: bool, trouble: Trouble) -> None:
        if self.workers.inbox:
            task = self.workers.inbox.pop(number % len(self.workers.inbox))
            if twice:
                self.workers.inbox.append(task)
            self.run(task, trouble)

    def all_tasks(self, trouble: Trouble) -> None:
        for turn in range(30):
            if not self.workers.inbox:
                return
            self.run(self.workers.inbox.pop(0), Trouble() if turn else trouble)

    def sweep(self, trouble: Trouble) -> None:
        live.taken_up(f"observe:{self.world.row.pk}")
        with self.fate.over(trouble):
            tasks.tick()
        self.all_tasks(trouble)

    def lose_a_task(self, number: int) -> None:
        if self.workers.inbox:
            self.workers.inbox.pop(number % len(self.workers.inbox))

    def hear_an_event(self, number: int, twice: bool, trouble: Trouble) -> None:
        if not self.host.events:
            return
        event = self.host.events.pop(number % len(self.host.events))
        if twice:
            self.host.events.append(event)
        told = (event.uuid, event.disk, event.status, event.at)
        self.run(("observe_domain", (self.world.row.pk, *told)), trouble)

    def run(self, task: tuple[str, tuple[object, ...]], trouble: Trouble) -> None:
        name, arguments = task
        with self.fate.over(trouble):
            getattr(tasks, name)(*arguments)

    # --- What happens by itself, or is done by others --------------------------------

    @rule(number=numbers, what=st.sampled_from([*GUESTS, *STRANGERS, *HOSTS]))
    def happens(self, number: int, what: str) -> None:
        self.around.happen(number, what)

    def meddle(self, what: str) -> None:
        """Something of all this happens while a worker is in a call."""
        places = self.host.now().items()
        busy = [place for place, seen in places if seen.destination] or self.places
        number = self.places.index(busy[0])
        if what in (*GUESTS, *STRANGERS, *HOSTS):
            self.around.happen(number, what)
        elif what == "another worker" and self.workers.inbox:
            self.run_quietly(*self.workers.inbox.pop(0))
        elif what == "a sweep":
            self.run_quietly("observe_host", (self.world.row.pk,))
        elif what == "an event" and self.host.events:
            event = self.host.events.pop(0)
            told = (event.uuid, event.disk, event.status, event.at)
            self.run_quietly("observe_domain", (self.world.row.pk, *told))
        elif what.startswith("olga"):
            self.meddling_olga(what)

    def run_quietly(self, name: str, arguments: tuple[object, ...]) -> None:
        getattr(tasks, name)(*arguments)

    def meddling_olga(self, what: str) -> None:
        verb = next(v for v in actions.VERBS.values() if v.name in what)
        for job in CopyJob.objects.active():
            if not verb.why_not(job):
                actions.perform(verb, job, self.world.olga)
                self.truth.asked[job.pk, verb.name] += 1

    # --- Time ------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([3, 9, 35, 100, 700]))
    def wait(self, seconds: int) -> None:
        self.around.grow_older(seconds)

    @precondition(lambda self: self.truth.states)
    @rule()
    def everything_is_back(self) -> None:
        """The host answers, nobody does anything more, and the clock ticks on."""
        self.host.unreachable = False
        self.host.stuck.clear()
        for domain in self.host.domains.values():
            if domain.persistent:
                domain.follows = True
        for seconds in (9, 0, 35, 100, 700, 700, 700):
            self.around.grow_older(seconds)
            self.sweep(Trouble())
            self.truth.judge_step()
            if self.is_quiet():
                break
        tasks.sync_host(self.world.row.pk)
        tasks.observe_strangers(self.world.row.pk)
        self.truth.judge_rest()

    def is_quiet(self) -> bool:
        jobs = [*CopyJob.objects.to_look_at(), *CopyJob.objects.scheduled()]
        policy = any(
            job.state == State.MIRRORING and job.when_ready != WhenReady.WAIT
            for job in jobs
        )
        return not policy and all(
            job.state in AT_REST and job.frozen_at is None for job in jobs
        )

    @invariant()
    def all_that_was_said_was_true(self) -> None:
        self.truth.judge_step()
        assert not connection.in_atomic_block

    def teardown(self) -> None:
        self.everything_is_back()


def _interest(job: CopyJob) -> tuple[bool, bool, int]:
    return job.active, job.state == State.MIRRORING, job.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(0 if EXAMPLES else 120)
def test_any_order_of_everything(
    workers: Workers,
    host: Host,
    olga: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.BLOCKCOPY_SWEEP_SECONDS = 1
    world = World(workers, host, actor_of(olga), WitnessedHost())
    monkeypatch.setattr(
        "jobs.reconcile.connection", lambda *asked: world.alder.connection(*asked)
    )
    monkeypatch.setattr("jobs.tasks.keeping.tend", lambda: None)  # has its own tests
    monkeypatch.setattr(Console, "world", world, raising=False)
    run_state_machine_as_test(Console, settings=profile())
    assert log.verify().intact


def profile() -> settings:
    """Few examples and always the same, or as many as the environment says."""
    return settings(
        max_examples=EXAMPLES or 20,
        stateful_step_count=STEPS,
        derandomize=not EXAMPLES,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
