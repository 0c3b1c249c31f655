"""One wins, the other is told, and the hypervisor got one call.

What reached the hypervisor is what its daemon noted itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.guest import Guest
from tests.faults.kit import Console, doubled, wait_until
from tests.faults.operator import ACCEPTED, REFUSED, Answered, Operator
from tests.faults.parked import AFTERWARDS, Parking

END_OF = {"pivot": "pivoted", "finish": "copied", "cancel": "cancelled"}
# By which of libvirt's calls a verb is carried out: finish and cancel end the mirror.
CALL_OF = {"pivot": "pivot", "finish": "end", "cancel": "end"}
Answer = tuple[int, str]


def at_once(*asks: Callable[[], Answer]) -> list[Answer]:
    """Ask all of it at the same moment."""
    start = threading.Barrier(len(asks))

    def ask(one: Callable[[], Answer]) -> Answer:
        start.wait(10)
        return one()

    with ThreadPoolExecutor(len(asks)) as people:
        return list(people.map(ask, asks))


def act(person: Operator, job: int, verb: str) -> Callable[[], Answer]:
    return lambda: person.try_act(job, verb)


def test_the_same_act_twice_at_once(console: Console, parking: Parking) -> None:
    jobs = dict(zip(END_OF, parking.ready(3), strict=True))
    asks = [
        act(console.olga, job, verb) for verb, job in jobs.items() for _ in range(2)
    ]
    answers = at_once(*asks)
    for first, second in zip(answers[::2], answers[1::2], strict=True):
        assert sorted((first[0], second[0])) == [ACCEPTED, REFUSED]
        told = max(first, second)[1]
        assert "Somebody was first" in told or "already" in told or "ended" in told
    console.wait_for({job: END_OF[verb] for verb, job in jobs.items()})
    for verb, job in jobs.items():
        assert console.calls(job) == ["start", CALL_OF[verb]]
    console.must_be_kept()


def test_pivot_and_cancel_at_once(console: Console, parking: Parking) -> None:
    jobs = parking.ready(4)

    answers = at_once(
        *(
            act(console.people[who], job, verb)
            for job in jobs
            for who, verb in PIVOT_AND_CANCEL
        )
    )
    for job, pair in zip(
        jobs, zip(answers[::2], answers[1::2], strict=True), strict=True
    ):
        assert sorted(status for status, _ in pair) == [ACCEPTED, REFUSED]
        won = PIVOT_AND_CANCEL[pair[1][0] == ACCEPTED][1]
        console.wait_for({job: END_OF[won]})
        assert console.calls(job) == ["start", CALL_OF[won]]
    console.must_be_kept()


PIVOT_AND_CANCEL = (("olga", "pivot"), ("ada", "cancel"))


def copy(person: Operator, guest: Guest, to: Path) -> Callable[[], Answer]:
    """Ask for a copy: its number, or 0 and why not."""

    def ask() -> Answer:
        try:
            return person.copy(guest, to), ""
        except Answered as refused:
            return 0, str(refused)

    return ask


def test_two_copies_of_one_disk_at_once(console: Console, parking: Parking) -> None:
    (guest,) = parking.free_guests(1)
    images, database = guest.host.images, console.database
    answers = at_once(
        copy(console.olga, guest, images / f"by-olga-{database}.qcow2"),
        copy(console.ada, guest, images / f"by-ada-{database}.qcow2"),
    )
    (job,) = [number for number, _ in answers if number]
    assert any("422" in told for _, told in answers), answers
    console.wait_for({job: "mirroring"})
    assert console.calls(job) == ["start"]
    end(console, job)


def test_two_disks_to_one_place_at_once(console: Console, parking: Parking) -> None:
    """Refused when it is asked for, or, if both were in time, at the start."""
    guests = parking.free_guests(2)
    place = guests[0].host.images / f"wanted-by-both-{console.database}.qcow2"
    answers = at_once(
        *(
            copy(person, guest, place)
            for person, guest in zip((console.olga, console.ada), guests, strict=True)
        )
    )
    jobs = [number for number, _ in answers if number]
    wanted = ["failed", "mirroring"][-len(jobs) :]
    wait_until(
        lambda: sorted(console.states(*jobs)) == wanted,
        lambda: (answers, console.story(*jobs)),
    )
    assert sum(console.calls(job).count("start") for job in jobs) == 1
    for job in jobs:
        if console.job(job).state == "mirroring":
            end(console, job)
        else:
            assert str(place) in console.job(job).failure


def end(console: Console, job: int) -> None:
    console.olga.act(job, "cancel")
    console.wait_for({job: "cancelled"})
    console.must_be_kept()


def test_two_of_each_process(console: Console, parking: Parking) -> None:
    """A second worker, beat and listener: all of it is carried out, once."""
    with doubled(console.stack), parking.row() as row:
        row.thaw()
        console.must_be_kept()
        assert row.states() == AFTERWARDS
        for state, call in {"pivoting": "pivot", "finishing": "end"}.items():
            assert console.calls(row.jobs[state]) == ["start", call]
