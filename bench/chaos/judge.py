"""When all is at rest: jobs, audit log and daemons' logs against what was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from bench.chaos.ledger import Answer, Asked, Ledger
from bench.chaos.promises import Break, Promise
from bench.chaos.scene import OPERATOR
from jobs.audit import log
from jobs.lifecycle import ENDED, State, is_legal
from jobs.models import AuditEntry, CopyJob, JobEvent
from tests.promises import Kind, acts, read

SUCCESS = {State.PIVOTED: "pivot", State.COPIED: "finish", State.CANCELLED: "cancel"}
VERBS = ("pivot", "finish", "cancel", "speed")


def judge_by_tests(database: str) -> Iterator[Break]:
    """The rules of the tests of faults, which were written apart from those here.

    `database` is a DATABASE_URL of the lab.
    """
    promise_of = {Kind.DOUBLED: Promise.ONCE, Kind.UNASKED: Promise.ASKED}
    for broken in acts.judge(read(database), {}, undisturbed=False):
        promise = promise_of.get(broken.kind, Promise.AUDITED)
        yield Break(promise, broken.job or 0, broken.sentence)


def judge(ledger: Ledger) -> Iterator[Break]:
    """Everything that the database alone can tell."""
    jobs = list(CopyJob.objects.order_by("pk"))
    yield from judge_jobs(jobs, ledger)
    for job in jobs:
        yield from judge_history(job)
        yield from judge_entries(job, ledger)
    verdict = log.verify()
    if not verdict.intact:
        yield Break(Promise.CHAIN, 0, verdict.sentence)


# --- Jobs: none lost, none doubled, none that nobody asked for ----------------------


def judge_jobs(jobs: Iterable[CopyJob], ledger: Ledger) -> Iterator[Break]:
    rows = {job.pk: job for job in jobs}
    requests = [a for a in ledger.asked if a.verb in ("request", "adopt")]
    for asked in requests:
        if asked.answer == Answer.ACCEPTED and asked.job not in rows:
            yield Break(Promise.NOT_LOST, asked.job, "was accepted and is not there")
    for job in rows.values():
        if job.state not in ENDED:
            yield Break(Promise.REST, job.pk, f"is still {job.state}")
    there = Counter(map(_asked_for, rows.values()))
    sure, perhaps = _sent(requests, Answer.ACCEPTED), _sent(requests, Answer.UNKNOWN)
    for destination, count in there.items():
        if count > sure[destination] + perhaps[destination]:
            first = next(j.pk for j in rows.values() if _asked_for(j) == destination)
            promise = Promise.ONCE if sure[destination] else Promise.ASKED
            sentence = f"{count} jobs to {destination}, {sure[destination]} asked for"
            yield Break(promise, first, sentence)


def _asked_for(job: CopyJob) -> str:
    """The destination as it was asked for; a volume has a path only later."""
    spec = job.destination_spec or {}
    if job.destination_kind == "volume" and spec.get("volume"):
        return f"{spec['pool']}/{spec['volume']}"
    return job.destination


def _sent(requests: Iterable[Asked], answer: Answer) -> Counter[str]:
    return Counter(each.destination for each in requests if each.answer == answer)


# --- History ------------------------------------------------------------------------


def judge_history(job: CopyJob) -> Iterator[Break]:
    """Each step is legal and begins where the one before ended; the last is now."""
    at = ""
    for event in JobEvent.objects.filter(job=job).exclude(new_state="").order_by("pk"):
        legal = not at or is_legal(State(at), State(event.new_state))
        if event.old_state != at or not legal:
            sentence = f"went from {event.old_state} to {event.new_state} at {at}"
            yield Break(Promise.HISTORY, job.pk, sentence)
        at = event.new_state
    if at != job.state:
        sentence = f"is {job.state}, and its history ends at {at or 'nothing'}"
        yield Break(Promise.HISTORY, job.pk, sentence)


# --- Audit --------------------------------------------------------------------------


def judge_entries(job: CopyJob, ledger: Ledger) -> Iterator[Break]:
    """Each act has its entry, and each entry its act."""
    entries = AuditEntry.objects.filter(object_type="copy job", object_id=str(job.pk))
    told = Counter(entries.values_list("action", "outcome"))
    people = entries.filter(actor=OPERATOR).exclude(outcome="refused")
    by_people = Counter(people.values_list("action", flat=True))
    for verb in VERBS:
        sure = ledger.count(job.pk, verb, Answer.ACCEPTED)
        most = sure + ledger.count(job.pk, verb, Answer.UNKNOWN)
        if not sure <= by_people[verb] <= most:
            sentence = f"{sure} to {most} times {verb} asked, {by_people[verb]} entries"
            yield Break(Promise.AUDITED, job.pk, sentence)
    refused = entries.filter(actor=OPERATOR, outcome="refused")
    sure = sum(ledger.count(job.pk, verb, Answer.REFUSED) for verb in VERBS)
    if refused.count() < sure:
        sentence = f"{sure} acts were refused, {refused.count()} entries"
        yield Break(Promise.AUDITED, job.pk, sentence)
    begin = "adopt" if job.adopted_at else "request"
    if by_people[begin] != 1:
        sentence = f"{by_people[begin]} entries of the {begin}"
        yield Break(Promise.AUDITED, job.pk, sentence)
    yield from _judge_outcome(job, told)


def _judge_outcome(job: CopyJob, told: Counter[tuple[str, str]]) -> Iterator[Break]:
    state = State(job.state)
    for verb in ("pivot", "finish", "cancel"):
        wanted = int(SUCCESS.get(state) == verb)
        if told[verb, "done"] != wanted:
            sentence = f"is {state}, with {told[verb, 'done']} entries of {verb} done"
            yield Break(Promise.AUDITED, job.pk, sentence)
    failed = any(outcome == "failed" for _, outcome in told)
    if state in (State.FAILED, State.LOST) and not failed:
        yield Break(
            Promise.AUDITED, job.pk, f"is {state}, without an entry that says so"
        )
    begun = JobEvent.objects.filter(
        job=job, new_state__in=(State.COPYING, State.MIRRORING)
    ).exists()
    began = told["start", "done"]
    if began > 1 or (begun and not began and not job.adopted_at):
        sentence = f"{began} entries of its beginning"
        yield Break(Promise.AUDITED, job.pk, sentence)
