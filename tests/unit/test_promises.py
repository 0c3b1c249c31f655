"""The judge of the promises sees each kind of broken one, and only that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lab.calls import Call
from tests.promises import Broken, Database, Entry, Job, Kind, Left, Line, acts, states
from tests.promises.hosts import Place, Shown

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
UUID = "5d5c3a0e-0000-4000-8000-000000000001"
PLACE: Place = ("alder", UUID, "vda")
SOURCE, COPY = "/images/web.qcow2", "/images/copy.qcow2"
ON_COPY = Shown("web", 7, COPY, COPY, "", False)
ON_SOURCE = Shown("web", 7, SOURCE, SOURCE, "", False)
MIRRORED = Shown("web", 7, SOURCE, SOURCE, COPY, True)
JOB = Job(
    pk=1,
    state="pivoted",
    host="alder",
    domain="web",
    domain_uuid=UUID,
    disk="vda",
    source=SOURCE,
    source_format="qcow2",
    destination=COPY,
    destination_kind="file",
    destination_format="qcow2",
    when_ready="wait",
    at_limit="flag",
    flagged="",
    libvirt_id=7,
    refusals=0,
    failure="",
    adopted=False,
    frozen=False,
)
WAY = ("requested", "queued", "starting", "copying", "mirroring", "pivoting", "pivoted")
BY_OLGA = ("requested", "pivoting")
ACTS = (
    ("olga", "request", "asked"),
    ("system", "start", "done"),
    ("olga", "pivot", "asked"),
    ("system", "pivot", "done"),
)
CALLS = [
    Call(NOON + timedelta(seconds=2.5), "start", UUID, "vda"),
    Call(NOON + timedelta(seconds=5.5), "pivot", UUID, "vda"),
]


def lines(*way: str) -> list[Line]:
    return [
        Line(1, NOON + timedelta(seconds=at), _actor(new), old, new, f"Now {new}.")
        for at, (old, new) in enumerate(zip(("", *way), way, strict=False))
    ]


def _actor(new: str) -> str:
    return "olga" if new in BY_OLGA else "system"


def database(
    job: Job = JOB,
    way: tuple[str, ...] = WAY,
    told: tuple[tuple[str, str, str], ...] = ACTS,
    left: tuple[tuple[str, str], ...] = (("source", SOURCE),),
) -> Database:
    return Database(
        {1: job},
        lines(*way),
        [Entry(n, 1, *act, detail="") for n, act in enumerate(told)],
        [Left(1, "alder", *each) for each in left],
    )


def of_states(rows: Database, shown: Shown, *foreign: str) -> list[Kind]:
    return kinds(states.judge(rows, {PLACE: shown}, foreign))


def of_acts(rows: Database, asked: dict[int, list[str]] | None = None) -> list[Kind]:
    return kinds(acts.judge(rows, asked or {}, undisturbed=True))


def kinds(broken: Iterable[Broken]) -> list[Kind]:
    return [each.kind for each in broken]


# --- States ---------------------------------------------------------------------------

MIRRORING = replace(JOB, state="mirroring")


def test_all_is_well() -> None:
    assert of_states(database(), ON_COPY) == []
    assert of_states(database(MIRRORING, WAY[:5], ACTS[:2], ()), MIRRORED) == []
    assert of_acts(database(), {1: ["pivot"]}) == []
    assert kinds(acts.judge_calls(database(), "alder", CALLS, 0)) == []


@pytest.mark.parametrize(
    ("job", "shown", "kind"),
    [
        (JOB, ON_SOURCE, Kind.STATE),
        (JOB, replace(ON_COPY, persistent=SOURCE), Kind.DEFINITION),
        (JOB, replace(ON_COPY, mirror=COPY), Kind.MIRROR),
        (JOB, replace(ON_COPY, mirror="/elsewhere"), Kind.MIRROR),
        (replace(JOB, state="copied"), ON_COPY, Kind.STATE),
        (replace(JOB, state="cancelled"), replace(MIRRORED), Kind.MIRROR),
        (replace(JOB, state="pivoting"), MIRRORED, Kind.UNSETTLED),
        (MIRRORING, ON_SOURCE, Kind.STATE),
        (MIRRORING, replace(MIRRORED, ready=False), Kind.STATE),
        (MIRRORING, replace(MIRRORED, domain_id=8), Kind.STATE),
        (MIRRORING, replace(MIRRORED, domain_id=None), Kind.STATE),
        (replace(MIRRORING, when_ready="pivot"), MIRRORED, Kind.UNSETTLED),
        (replace(MIRRORING, frozen=True), MIRRORED, Kind.UNSETTLED),
    ],
)
def test_a_state_that_is_not_true(job: Job, shown: Shown, kind: Kind) -> None:
    assert kind in of_states(database(job, left=()), shown)


def test_a_disk_in_use_is_no_leftover() -> None:
    rows = database(left=(("partial", COPY),))
    assert of_states(rows, ON_COPY) == [Kind.LEFTOVER]


def test_somebody_elses_copy_is_known_as_that() -> None:
    strange = replace(ON_COPY, mirror="/elsewhere")
    assert of_states(database(), strange, "/elsewhere") == []


# --- Acts -----------------------------------------------------------------------------


def test_a_start_at_a_time_has_its_entry_once() -> None:
    later = replace(JOB, scheduled=True)
    taken_up = ("system", "start", "asked")
    assert of_acts(database(later, told=(*ACTS, taken_up))) == []
    assert of_acts(database(later)) == [Kind.UNRECORDED]
    assert of_acts(database(later, told=(*ACTS, taken_up, taken_up))) == [Kind.DOUBLED]
    assert of_acts(database(told=(*ACTS, taken_up))) == [Kind.DOUBLED]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (ACTS[:-1], Kind.UNRECORDED),
        (ACTS[1:], Kind.UNRECORDED),
        ((ACTS[0], *ACTS[2:]), Kind.UNRECORDED),
        ((*ACTS, ACTS[-1]), Kind.DOUBLED),
        ((*ACTS, ACTS[1]), Kind.DOUBLED),
        ((*ACTS, ("system", "finish", "done")), Kind.DOUBLED),
    ],
)
def test_entries_that_are_not_those_of_the_transitions(
    told: tuple[tuple[str, str, str], ...], kind: Kind
) -> None:
    assert of_acts(database(told=told)) == [kind]


def test_a_history_with_a_hole_and_one_without_its_end() -> None:
    assert Kind.UNRECORDED in of_acts(database(way=(*WAY[:4], *WAY[5:])))
    assert Kind.UNRECORDED in of_acts(database(replace(JOB, state="failed")))


def test_a_pivot_that_nobody_asked_for() -> None:
    by_system = [replace(line, actor="system") for line in lines(*WAY)]
    rows = replace(database(), lines=by_system)
    assert of_acts(rows) == [Kind.UNASKED]
    assert of_acts(database(), {1: []}) == [Kind.UNASKED]
    assert of_acts(database(), {1: ["pivot", "pivot"]}) == [Kind.UNRECORDED]


def test_a_stranger_is_blamed_who_was_not_there() -> None:
    *before, last = lines(*WAY)
    blamed = replace(last, message="The guest runs on … (not by this console)")
    assert of_acts(replace(database(), lines=[*before, blamed])) == [Kind.STATE]


# --- Calls ----------------------------------------------------------------------------


def test_calls_that_were_doubled_or_unasked() -> None:
    start, pivot = CALLS

    def judged(*calls: Call, retries: int = 0) -> list[Kind]:
        return kinds(acts.judge_calls(database(), "alder", calls, retries))

    assert judged(start, start, pivot) == [Kind.DOUBLED]
    assert judged(start, pivot, pivot) == [Kind.DOUBLED]
    assert judged(start, pivot, pivot, retries=1) == []
    assert judged(start, replace(pivot, at=NOON + timedelta(seconds=4.5))) == [
        Kind.UNASKED
    ]
    assert judged(start, replace(pivot, verb="end")) == [Kind.UNASKED]
    assert judged(replace(start, disk="vdb")) == [Kind.UNASKED]
