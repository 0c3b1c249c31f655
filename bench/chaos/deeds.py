"""What reached the daemons against what was asked: nothing twice, nothing unasked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.chaos.calls import Call
from bench.chaos.ledger import Answer, Ledger
from bench.chaos.promises import Break, Promise
from bench.chaos.scene import OPERATOR
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, JobEvent
from jobs.models.job import AtLimit

INTENDED = {
    "pivot": (State.PIVOTING,),
    "end": (State.FINISHING, State.CANCELLING),
}
VERB_OF = {
    State.PIVOTING: "pivot",
    State.FINISHING: "finish",
    State.CANCELLING: "cancel",
}
POLICY_OF = {State.PIVOTING: WhenReady.PIVOT, State.FINISHING: WhenReady.FINISH}
# A call may wait so long (seconds) in front of a frozen daemon.
IN_FLIGHT = 60.0
CLOCKS = 0.1


@dataclass(frozen=True)
class Step:
    """A job came into a state."""

    at: float
    state: State
    actor: str


@dataclass(frozen=True)
class Story:
    """A job, and when it came into which state."""

    job: CopyJob
    steps: tuple[Step, ...]

    def stood(self, states: Iterable[State], at: float) -> Step | None:
        """The step into one of `states` in which it was at that time, or just before.

        A call that waits in front of a frozen daemon is heard later than it was made.
        """
        found = None
        for number, step in enumerate(self.steps):
            after = self.steps[number + 1 : number + 2]
            until = after[0].at if after else float("inf")
            if step.state in states and step.at - CLOCKS <= at <= until + IN_FLIGHT:
                found = step
        return found


def stories() -> list[Story]:
    """Those of all jobs."""
    steps: dict[int, list[Step]] = {}
    events = JobEvent.objects.exclude(new_state="").order_by("pk")
    for job, time, state, actor in events.values_list(
        "job_id", "time", "new_state", "actor"
    ):
        steps.setdefault(job, []).append(Step(time.timestamp(), State(state), actor))
    jobs = CopyJob.objects.order_by("pk")
    return [Story(job, tuple(steps.get(job.pk, ()))) for job in jobs]


def judge_calls(
    calls: Iterable[Call], ledger: Ledger, told: Iterable[Story], since: float
) -> Iterator[Break]:
    """Judge the calls that reached a daemon after the epoch second `since`."""
    by_disk: dict[tuple[str, str], list[Story]] = {}
    for story in told:
        key = story.job.domain_uuid, story.job.disk
        by_disk.setdefault(key, []).append(story)
    started: Counter[int] = Counter()
    for call in calls:
        if call.at < since or _by_stranger(call, ledger):
            continue
        on_disk = by_disk.get((call.uuid, call.disk), [])
        if call.verb == "copy":
            job = _job_of_copy(call, on_disk)
            started[job] += 1
            if not job:
                yield _unasked(call, 0)
        elif not any(_wanted(call, story, ledger) for story in on_disk):
            yield _unasked(call, on_disk[-1].job.pk if on_disk else 0)
    yield from _starts(started, by_disk)


def _by_stranger(call: Call, ledger: Ledger) -> bool:
    return any(
        (each.verb, each.domain) == (call.verb, call.domain)
        and each.disk in ("", call.disk)
        and each.began - CLOCKS <= call.at <= each.ended + CLOCKS
        and (call.verb != "copy" or each.destination == call.destination)
        for each in ledger.strange
    )


def _unasked(call: Call, job: int) -> Break:
    where = f" to {call.destination}" if call.destination else ""
    sentence = f"{call.verb} of {call.disk} of {call.domain}{where} at {call.at:.2f}"
    return Break(Promise.ASKED, job, sentence)


def _job_of_copy(call: Call, on_disk: Iterable[Story]) -> int:
    """The number of the job whose start this is, 0 if it is nobody's."""
    for story in on_disk:
        starting = story.stood((State.STARTING, State.CANCELLING), call.at)
        same = story.job.destination == call.destination
        ended = story.job.ended_at
        late = ended is not None and call.at > ended.timestamp() + CLOCKS
        if same and starting is not None and not late:
            return story.job.pk
    return 0


def _starts(
    started: Mapping[int, int], by_disk: Mapping[tuple[str, str], list[Story]]
) -> Iterator[Break]:
    for job, times in started.items():
        if job and times > 1:
            yield Break(Promise.ONCE, job, f"its copy was begun {times} times")
    for story in (story for row in by_disk.values() for story in row):
        begun = any(
            step.state in (State.COPYING, State.MIRRORING) for step in story.steps
        )
        if begun and not story.job.adopted_at and not started.get(story.job.pk):
            sentence = "says that it began, and the host was never asked to"
            yield Break(Promise.ASKED, story.job.pk, sentence)


def _wanted(call: Call, story: Story, ledger: Ledger) -> bool:
    """Whether somebody wanted this call for that job."""
    job = story.job
    if call.verb == "speed":
        asked = (Answer.ACCEPTED, Answer.UNKNOWN)
        return any(ledger.count(job.pk, "speed", answer) for answer in asked)
    step = story.stood(INTENDED.get(call.verb, ()), call.at)
    return step is not None and _meant(step, job, ledger)


def _meant(step: Step, job: CopyJob, ledger: Ledger) -> bool:
    """Whether the intent is a person's, the policy's or a limit's."""
    verb = VERB_OF[step.state]
    if step.actor == OPERATOR:
        asked = (Answer.ACCEPTED, Answer.UNKNOWN)
        return any(ledger.count(job.pk, verb, answer) for answer in asked)
    if step.state == State.CANCELLING:
        return job.at_limit == AtLimit.CANCEL
    return job.when_ready == POLICY_OF[step.state]
