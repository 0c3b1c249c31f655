"""What must hold of jobs, audit log and ledger, given what was true on the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils import timezone

from jobs import strangers
from jobs.hypervisor import Identity
from jobs.lifecycle import ENDED, State, WhenReady, is_legal
from jobs.models import AuditEntry, CopyJob, JobEvent, Leftover
from jobs.models.job import AtLimit
from tests.unit.engine.witness import Moment, Place, Seen, WitnessedHost

OF_VERB = {
    State.PIVOTING: "pivot",
    State.FINISHING: "finish",
    State.CANCELLING: "cancel",
    State.CANCELLED: "cancel",
}
SUCCESS = {State.PIVOTED: "pivot", State.COPIED: "finish", State.CANCELLED: "cancel"}
AT_REST = frozenset({State.COPYING, State.MIRRORING}) | ENDED


def place_of(job: CopyJob) -> Place:
    return job.domain_uuid, job.disk


@dataclass
class Truth:
    """The model: what was asked for and accepted, and where each job has been.

    `asked` are the operator's verbs by job, `speeds` the bandwidths; `adopted` are
    the jobs that somebody else began; `starts` and `pivots` what the host did.
    """

    host: WitnessedHost
    operator: str
    asked: Counter[tuple[int, str]] = field(default_factory=Counter)
    speeds: dict[int, set[int]] = field(default_factory=dict)
    requested: set[int] = field(default_factory=set)
    adopted: set[int] = field(default_factory=set)
    starts: Counter[int] = field(default_factory=Counter)
    states: dict[int, State] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _events_seen: int = 0
    _leftovers_seen: int = 0

    # --- Nobody calls the host without having been asked -----------------------------

    def asked_for(self, verb: str, identity: Identity) -> int:
        """The job for which a worker calls `verb` now; fails if nobody wanted it."""
        jobs = list(CopyJob.objects.active().filter(domain_uuid=identity.domain_uuid))
        if identity.disk:
            jobs = [
                job
                for job in jobs
                if (job.disk, job.destination) == (identity.disk, identity.destination)
            ]
        if verb == "thaw":
            jobs = list(CopyJob.objects.exclude(frozen_at=None))
        wanted = [job for job in jobs if self._wants(verb, job, identity)]
        assert wanted, f"{verb} of {identity}, which nobody asked for: {jobs}"
        if verb == "start":
            self.starts[wanted[0].pk] += 1
            assert self.starts[wanted[0].pk] == 1, f"{wanted[0]} was started twice"
        return wanted[0].pk

    def _wants(self, verb: str, job: CopyJob, identity: Identity) -> bool:
        live = self.host.now().get(place_of(job))
        match verb:
            case "start":
                asked = job.pk in self.requested
                return asked and job.state in (State.STARTING, State.CANCELLING)
            case "pivot":
                return job.state == State.PIVOTING and self._may_pivot(job)
            case "end":
                return self._may_end(job)
            case "set_speed":
                return bool(self.speeds.get(job.pk))
            case "repair_persistent":
                return live is not None and live.live == job.destination
            case "freeze":
                return job.state == State.FINISHING and job.consistent
        return job.frozen_at is not None

    def _may_pivot(self, job: CopyJob) -> bool:
        by_policy = job.when_ready == WhenReady.PIVOT
        return by_policy or self.asked[job.pk, "pivot"] > 0

    def _may_end(self, job: CopyJob) -> bool:
        if job.state == State.FINISHING:
            by_policy = job.when_ready == WhenReady.FINISH
            return by_policy or self.asked[job.pk, "finish"] > 0
        by_limit = job.at_limit == AtLimit.CANCEL and bool(job.flagged)
        by_person = self.asked[job.pk, "cancel"] > 0
        return job.state == State.CANCELLING and (by_limit or by_person)

    # --- After each step -------------------------------------------------------------

    def judge_step(self) -> None:
        """Fail if something was said that was not true at any moment of the step."""
        fresh = JobEvent.objects.filter(pk__gt=self._events_seen).order_by("pk")
        for event in fresh.select_related("job"):
            self._events_seen = event.pk
            if event.new_state:
                self._judge_transition(event)
        for leftover in Leftover.objects.filter(pk__gt=self._leftovers_seen):
            self._leftovers_seen = max(leftover.pk, self._leftovers_seen)
            if leftover.kind != Leftover.Kind.UNCERTAIN:
                self._judge_leftover(leftover)
        now = dict(CopyJob.objects.values_list("pk", "state"))
        assert now == self.states, "a transition without its line of history"
        self.host.forget()

    def _judge_transition(self, event: JobEvent) -> None:
        job, new = event.job, State(event.new_state)
        old = self.states.get(job.pk)
        assert event.old_state == (old or ""), f"{job}: {event.old_state} of {old}"
        assert old is None or is_legal(old, new)
        self.states[job.pk] = new
        if new in (State.COPYING, State.MIRRORING):
            self._begun.add(job.pk)
        if new == State.QUEUED and job.start_at is not None:
            by_a_person = event.actor == self.operator
            assert by_a_person or job.start_at <= timezone.now(), f"{job}: too early"
        withdrawn = old in (State.REQUESTED, State.QUEUED)
        if new in OF_VERB and (new != State.CANCELLED or withdrawn):
            self._judge_intent(event, job, new)
        if old is not None:
            seen = [moment.get(place_of(job)) for moment in self.host.moments]
            says_true = self._meaning(job, old, new)
            assert any(map(says_true, seen)), f"{job}: {event.message} Seen: {seen}"

    def _judge_intent(self, event: JobEvent, job: CopyJob, new: State) -> None:
        verb = OF_VERB[new]
        if event.actor == self.operator:
            written = job.events.filter(
                actor=self.operator, new_state=new, pk__lte=event.pk
            )
            assert written.count() <= self.asked[job.pk, verb], f"{job}: {verb}"
        elif new == State.CANCELLING:
            assert job.at_limit == AtLimit.CANCEL
        else:
            assert job.when_ready == verb, f"{job}: {verb}, a policy of nobody"

    def _meaning(
        self, job: CopyJob, old: State, new: State
    ) -> Callable[[Seen | None], bool]:
        """What of a disk makes it true that the job is `new` now."""

        def copied_to(seen: Seen | None) -> bool:
            return seen is not None and seen.destination == job.destination

        def still_ours(seen: Seen | None) -> bool:
            same_run = seen is not None and seen.domain_id == job.libvirt_id
            return same_run and copied_to(seen)

        match new:
            case State.MIRRORING if old in (State.STARTING, State.COPYING):
                return lambda seen: seen is not None and copied_to(seen) and seen.ready
            case State.COPYING | State.MIRRORING:
                return copied_to
            case State.PIVOTED:
                return lambda seen: seen is not None and seen.both == job.destination
            case State.COPIED:
                ended = self.host.ended.get((*place_of(job), job.destination))
                whole = ended is not None and ended.ready and ended.how == "end"
                return lambda seen: whole and not still_ours(seen)
            case State.LOST:
                return lambda seen: seen is None or seen.domain_id != job.libvirt_id
            case State.FAILED | State.CANCELLED:
                return lambda seen: job.libvirt_id is None or not still_ours(seen)
        return lambda seen: True

    def _judge_leftover(self, leftover: Leftover) -> None:
        def free(moment: Moment) -> bool:
            return not any(leftover.location in seen.names for seen in moment.values())

        assert any(map(free, self.host.moments)), f"{leftover}: a guest runs from it"

    # --- When everything is back and quiet -------------------------------------------

    def judge_rest(self) -> None:
        """Fail if a job, the log or the overview is not what the host shows now."""
        now = self.host.now()
        for job in CopyJob.objects.all():
            self._judge_job(job, now.get(place_of(job)))
            self._judge_entries(job)
        self._judge_mirrors(now)
        assert not any(domain.frozen for domain in self.host.domains.values())

    def _judge_job(self, job: CopyJob, seen: Seen | None) -> None:
        story = list(job.events.values_list("message", flat=True))
        assert job.state in AT_REST, f"{job} waits for nothing: {story}"
        assert job.frozen_at is None, f"{job} left its guest frozen"
        if job.state in ENDED:
            return
        assert seen is not None, story
        assert (seen.destination, seen.domain_id) == (job.destination, job.libvirt_id)
        assert seen.ready == (job.state == State.MIRRORING), story
        if job.state == State.MIRRORING:
            assert job.when_ready == WhenReady.WAIT, f"{job} has a policy: {story}"

    def _judge_mirrors(self, now: Moment) -> None:
        """Each copy on the host is a job's or is shown as a stranger's."""
        jobs = {place_of(job): job.pk for job in CopyJob.objects.active()}
        mirrors = {place for place, seen in now.items() if seen.destination}
        ours = {place for place in mirrors if self.host.owner[place]}
        assert ours <= set(jobs), f"a copy of ours was forgotten: {ours}"
        foreign = {
            (disk.domain.uuid, disk.target) for disk in strangers.foreign_copies()
        }
        assert foreign == mirrors - set(jobs)

    def _judge_entries(self, job: CopyJob) -> None:
        entries = AuditEntry.objects.filter(
            object_type="copy job", object_id=str(job.pk)
        )
        told = Counter(entries.values_list("action", "outcome"))
        by_people = entries.filter(actor=self.operator).exclude(outcome="refused")
        asked = Counter(by_people.values_list("action", flat=True))
        for verb in ("pivot", "finish", "cancel"):
            assert asked[verb] == self.asked[job.pk, verb], f"{job}: {verb} of {told}"
            done = int(SUCCESS.get(State(job.state)) == verb)
            assert told[verb, "done"] == done, f"{job} {job.state}: {told}"
        if job.state in (State.FAILED, State.LOST):
            assert any(outcome == "failed" for _, outcome in told), f"{job}: {told}"
        taken_up = job.start_at and job.events.filter(new_state=State.QUEUED).count()
        assert told["start", "asked"] == (taken_up or 0), f"{job}: {told}"
        begun = job.pk in self._begun - self.adopted
        assert told["start", "done"] in ((1,) if begun else (0, 1)), f"{job}: {told}"
