"""Was everything done once, because somebody asked, and is all of it in the log?

The rules are written down here once more, on purpose apart from the product's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from lab.calls import Call
from tests.promises.hosts import Place
from tests.promises.kinds import Broken, Kind
from tests.promises.rows import Database, Entry, Job, Line
from tests.promises.states import place_of

VERB_OF = {"pivoting": "pivot", "finishing": "finish", "cancelling": "cancel"}
DONE = {"pivoted": "pivot", "copied": "finish", "cancelled": "cancel"}
ON_HOST = ("starting", "copying", "mirroring", *VERB_OF)
LEGAL = {
    *{("", "requested"), ("", "copying")},  # copying: adopted
    *{("requested", "queued"), ("queued", "starting"), ("starting", "copying")},
    *{("mirroring", "pivoting"), ("mirroring", "finishing"), ("finishing", "copied")},
    *((old, "mirroring") for old in ("starting", "copying", *VERB_OF)),
    *((old, "cancelling") for old in ("starting", "copying", "mirroring")),
    *((old, "cancelled") for old in ("requested", "queued", "cancelling")),
    *((old, "pivoted") for old in ON_HOST),
    *((old, "failed") for old in ("requested", "queued", *ON_HOST)),
    *((old, "lost") for old in ("queued", *ON_HOST)),
}
# A daemon's notes have milliseconds, the database microseconds.
ROUNDED = timedelta(milliseconds=2)

Told = Counter[tuple[str, str]]  # entries by action and outcome


def judge(
    database: Database, asked: Mapping[int, Iterable[str]], *, undisturbed: bool
) -> Iterator[Broken]:
    """See Promises for `asked` and `undisturbed`."""
    for job in database.jobs.values():
        lines, entries = database.lines_of(job.pk), database.entries_of(job.pk)
        yield from _history(job, lines)
        yield from _entries(job, lines, entries)
        yield from _policies(job, lines)
        if job.pk in asked:
            yield from _by_people(job, entries, Counter(asked[job.pk]))
        if undisturbed:
            yield from _blamed(job, lines)


def _history(job: Job, lines: list[Line]) -> Iterator[Broken]:
    state = ""
    for line in lines:
        if line.old != state or (line.old, line.new) not in LEGAL:
            sentence = f"{line.old or 'nothing'} became {line.new} after {state}"
            yield Broken(Kind.UNRECORDED, job.pk, sentence)
        state = line.new
    if state != job.state:
        sentence = f"it is {job.state}, its history ends with {state or 'nothing'}"
        yield Broken(Kind.UNRECORDED, job.pk, sentence)


def _entries(job: Job, lines: list[Line], entries: list[Entry]) -> Iterator[Broken]:
    """Each transition that is an act has its entry, and each entry its transition."""
    wanted: Told = Counter(filter(None, map(_entry_of, lines)))
    if job.scheduled:
        wanted["start", "asked"] += sum(line.new == "queued" for line in lines)
    if job.adopted:
        wanted["adopt", "done"] += 1
    elif {line.new for line in lines} & {"copying", "mirroring"}:
        wanted["start", "done"] += 1
    told: Told = Counter((entry.action, entry.outcome) for entry in entries)
    for act in wanted.keys() | told.keys():
        if act[0] not in ACTS or act[1] == "refused":
            continue
        if told[act] > wanted[act] and not _may_be_more(act, lines, entries):
            sentence = f"{act[0]} {act[1]}: {told[act]} entries of {wanted[act]}"
            yield Broken(Kind.DOUBLED, job.pk, sentence)
        if told[act] < wanted[act] and not (told[act] and _policy_repeats(job, act)):
            sentence = f"{act[0]} {act[1]}: {told[act]} entries of {wanted[act]}"
            yield Broken(Kind.UNRECORDED, job.pk, sentence)


ACTS = frozenset({"request", "adopt", "start", "copy", *VERB_OF.values()})


def _entry_of(line: Line) -> tuple[str, str] | None:
    if line.new == "requested":
        return "request", "asked"
    if line.new in VERB_OF:
        return VERB_OF[line.new], "asked"
    if line.new in DONE:
        return DONE[line.new], "done"
    if line.new in ("failed", "lost"):
        return _ended_in(line), "failed"
    if line.new == "mirroring" and line.old in VERB_OF:
        return VERB_OF[line.old], "failed"
    return None


def _ended_in(line: Line) -> str:
    """What was being done when it failed."""
    if line.old in ("requested", "queued", "starting"):
        return "start"
    return VERB_OF.get(line.old, "copy")


def _may_be_more(act: tuple[str, str], lines: list[Line], entries: list[Entry]) -> bool:
    """A cancel that the host refuses is told once; a start may be cancelled at once."""
    if act == ("cancel", "failed"):
        told = [e for e in entries if e.detail.startswith("The host refused to cancel")]
        return len(told) == 1
    started = any(line.new == "starting" for line in lines)
    told_once = sum((e.action, e.outcome) == act for e in entries) == 1
    return started and told_once and act in {("start", "done"), ("start", "failed")}


def _policy_repeats(job: Job, act: tuple[str, str]) -> bool:
    """A policy that the host keeps refusing has its entries once."""
    return job.when_ready == act[0] and act[1] in ("asked", "failed")


def _policies(job: Job, lines: list[Line]) -> Iterator[Broken]:
    """What the system began by itself was asked for at the request."""
    for line in lines:
        verb = VERB_OF.get(line.new)
        if verb is None or line.actor != "system":
            continue
        by_limit = verb == "cancel" and job.at_limit == "cancel"
        if job.when_ready != verb and not by_limit:
            yield Broken(Kind.UNASKED, job.pk, f"a {verb} of nobody: {line.message}")
        elif verb != "cancel" and job.adopted:
            yield Broken(Kind.UNASKED, job.pk, f"a {verb} of an adopted copy")


def _by_people(job: Job, entries: list[Entry], asked: Counter[str]) -> Iterator[Broken]:
    """People's acts in the log are those that people did."""
    told = Counter(
        entry.action
        for entry in entries
        if entry.by_person
        and entry.action in VERB_OF.values()
        and entry.outcome != "refused"
    )
    for verb in told.keys() | asked.keys():
        if told[verb] != asked[verb]:
            kind = Kind.UNASKED if told[verb] > asked[verb] else Kind.UNRECORDED
            sentence = f"{verb}: asked {asked[verb]} times, {told[verb]} in the log"
            yield Broken(kind, job.pk, sentence)


def _blamed(job: Job, lines: list[Line]) -> Iterator[Broken]:
    for line in lines:
        if "not by this console" in line.message.lower():
            sentence = f"nobody else was there, and it says: {line.message}"
            yield Broken(Kind.STATE, job.pk, sentence)


# --- What reached the hosts -----------------------------------------------------------

MEANT_BY = {
    "start": {"starting", "cancelling"},
    "pivot": {"pivoting"},
    "end": {"finishing", "cancelling"},
}


def judge_calls(
    database: Database, host: str, calls: Iterable[Call], retries: int
) -> Iterator[Broken]:
    """Each call met a written intent; a copy was started once, and so it was pivoted.

    For hosts whose block jobs nobody but the console touches.
    """
    stories = _stories(database)
    made: Counter[tuple[int, str]] = Counter()
    for call in calls:
        if call.verb not in MEANT_BY:
            continue
        story = stories.get((host, call.domain_uuid, call.disk), [])
        before = [line for line in story if line.at <= call.at + ROUNDED]
        if not before or before[-1].new not in MEANT_BY[call.verb]:
            state = before[-1].new if before else "nobody's"
            job = before[-1].job if before else None
            sentence = f"{call.verb} at {call.at:%T.%f} reached {host}, it was {state}"
            yield Broken(Kind.UNASKED, job, sentence)
            continue
        made[before[-1].job, call.verb] += 1
    yield from _once(database, made, retries)


def _stories(database: Database) -> dict[Place, list[Line]]:
    """The transitions of all jobs of a disk, in the order of their times."""
    stories: dict[Place, list[Line]] = {}
    for line in sorted(database.lines, key=lambda line: line.at):
        stories.setdefault(place_of(database.jobs[line.job]), []).append(line)
    return stories


def _once(
    database: Database, made: Mapping[tuple[int, str], int], retries: int
) -> Iterator[Broken]:
    """A pivot may be called again after one that was refused, nothing else twice.

    An end is called until the mirror is gone, since libvirt may be slow to end it.
    """
    intents = Counter(line.job for line in database.lines if line.new == "pivoting")
    for (number, verb), count in made.items():
        if verb == "start" and count > 1:
            yield Broken(Kind.DOUBLED, number, f"{count} starts reached the host")
        if verb == "pivot" and count > intents[number]:
            retries -= count - intents[number]
            if retries < 0:
                told = (
                    f"{count} pivots reached the host, of {intents[number]} asked for"
                )
                yield Broken(Kind.DOUBLED, number, told)
