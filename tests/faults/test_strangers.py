"""Hands other than the console's, on copies and definitions, while all of it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.guest import MIB, Guest
from lab.host import PrivateHost
from tests.faults.kit import (
    NEVER_READY,
    Console,
    make_guest,
    private_host,
    running_console,
    wait_until,
)
from tests.faults.operator import Answered
from tests.promises import asking

BEGUN_BEFORE, BEGUN_MEANWHILE = "before", "meanwhile"
GUESTS = (
    *(BEGUN_BEFORE, BEGUN_MEANWHILE, "refused", "pulled"),
    *("pivoted", "aborted", "supplanted", "speeded", "continued"),
    *("forgotten", "edited", "third"),
)


@dataclass
class Elm:
    """A host where strangers are at work, and the console that looks at it."""

    console: Console
    host: PrivateHost
    guests: dict[str, Guest]

    def virsh(self, name: str, *words: str) -> None:
        self.host.virsh(*words[:1], name, *words[1:])

    def begin(self, name: str, suffix: str = "foreign") -> str:
        """A copy that the console knows nothing of; returns its destination."""
        place = f"{self.guests[name].disks[0].path}.{suffix}"
        mirror = ("--dest", place, "--format", "qcow2", "--transient-job")
        self.virsh(name, "blockcopy", "vda", *mirror)
        return place

    def entries(self, job: int, action: str) -> list[str]:
        """What the audit log says of an act that somebody else did."""
        return [
            entry.detail
            for entry in self.console.promises.rows().entries_of(job)
            if entry.action == action and entry.by_strangers
        ]

    def pages(self, name: str) -> list[str]:
        """Overview, domain and host, as olga reads them."""
        with asking(self.console.stack.environment["DATABASE_URL"]) as ask:
            sql = f"select id, host_id from jobs_domain where name = '{name}'"
            [(domain, host)] = ask(sql)
        paths = ("/", f"/domains/{domain}/", f"/hosts/{host}/")
        return [self.console.olga.get(path)[1] for path in paths]


@pytest.fixture(scope="module")
def elm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elm]:
    directory: Path = tmp_path_factory.mktemp("elm")
    with private_host(directory / "elm", "elm") as host:
        guests = {
            name: make_guest(
                host,
                name,
                data=24 * MIB if name in ("speeded", "pulled") else MIB,
                backing=("qcow2",) if name == "pulled" else (),
            )
            for name in GUESTS
        }
        place = f"{guests[BEGUN_BEFORE].disks[0].path}.foreign"
        mirror = ("--dest", place, "--format", "qcow2", "--transient-job")
        host.virsh("blockcopy", BEGUN_BEFORE, "vda", *mirror)
        with running_console(directory, host, database="postgresql") as console:
            console.promises.undisturbed = False
            console.promises.foreign = [place]
            yield Elm(console, host, guests)


def everywhere(elm: Elm, name: str, place: str) -> bool:
    return all(place in page for page in elm.pages(name))


def test_foreign_copies(elm: Elm) -> None:
    """One from before the console ran is left, one begun meanwhile is adopted."""
    console, olga = elm.console, elm.console.olga
    left = f"{elm.guests[BEGUN_BEFORE].disks[0].path}.foreign"
    wait_until(lambda: everywhere(elm, BEGUN_BEFORE, left))
    place = elm.begin(BEGUN_MEANWHILE)
    began = time.monotonic()
    wait_until(lambda: everywhere(elm, BEGUN_MEANWHILE, place))
    print(f"a stranger's copy was seen after {time.monotonic() - began:.1f} s")
    with pytest.raises(Answered):
        olga.copy(elm.guests[BEGUN_MEANWHILE], f"{place}.2")

    job = olga.adopt(BEGUN_MEANWHILE)
    console.wait_for({job: "mirroring"})
    assert console.job(job).adopted
    olga.act(job, "pivot")
    console.wait_for({job: "pivoted"})
    assert elm.guests[BEGUN_MEANWHILE].source() == place
    console.must_be_kept()
    assert left in elm.host.virsh("dumpxml", BEGUN_BEFORE), "nobody touched it"


def test_a_start_is_refused_and_says_what_is_there(elm: Elm) -> None:
    """A stranger came a moment ago, and no sweep has seen it yet."""
    console, olga = elm.console, elm.console.olga
    console.stack.worker.freeze()
    place = elm.begin("refused")
    job = olga.copy(elm.guests["refused"], f"{place}.ours")
    console.stack.worker.thaw()
    console.wait_for({job: "failed"})
    assert place in console.job(job).failure
    assert place in elm.host.virsh("dumpxml", "refused"), "it was left alone"
    elm.virsh("refused", "blockjob", "vda", "--abort")
    console.must_be_kept()


def test_a_start_is_refused_for_a_job_of_another_kind(elm: Elm) -> None:
    """No definition shows a pull: only the host can tell, which was not asked yet."""
    console, olga = elm.console, elm.console.olga
    console.stack.worker.freeze()
    elm.virsh("pulled", "blockpull", "vda", "--bytes", "--bandwidth", "65536")
    job = olga.copy(elm.guests["pulled"], f"{elm.guests['pulled'].disks[0].path}.ours")
    console.stack.worker.thaw()
    console.wait_for({job: "failed"})
    assert "A block pull runs on vda" in console.job(job).failure
    left = elm.host.virsh("blockjob", "pulled", "vda", "--raw")
    assert "Block Pull" in left, "left alone"
    elm.virsh("pulled", "blockjob", "vda", "--abort")
    console.must_be_kept()


def test_verbs_behind_our_back(elm: Elm) -> None:
    console, olga = elm.console, elm.console.olga
    names = ("pivoted", "aborted", "supplanted", "speeded", "continued")
    jobs = {
        name: olga.copy(
            elm.guests[name],
            f"{elm.guests[name].disks[0].path}.copy",
            **(NEVER_READY if name == "speeded" else {}),
        )
        for name in names
    }
    ready = dict.fromkeys(jobs.values(), "mirroring") | {jobs["speeded"]: "copying"}
    console.wait_for(ready)
    elm.virsh("pivoted", "blockjob", "vda", "--pivot")
    elm.virsh("aborted", "blockjob", "vda", "--abort")
    elm.virsh("supplanted", "blockjob", "vda", "--abort")
    theirs = elm.begin("supplanted")
    elm.virsh("speeded", "blockjob", "vda", "--bandwidth", "3")
    console.stack.worker.freeze()
    elm.virsh("continued", "blockjob", "vda", "--pivot")
    onward = elm.begin("continued", "onward")
    console.stack.worker.thaw()

    ends = {"pivoted": "pivoted", "aborted": "failed", "supplanted": "failed"}
    ends |= {"continued": "pivoted"}
    console.wait_for({jobs[name]: state for name, state in ends.items()})
    assert elm.entries(jobs["pivoted"], "pivot")
    assert elm.entries(jobs["continued"], "pivot")
    assert onward in elm.host.virsh("dumpxml", "continued"), "it was left alone"
    elm.virsh("continued", "blockjob", "vda", "--abort")
    assert elm.entries(jobs["aborted"], "copy")
    wait_until(lambda: elm.entries(jobs["speeded"], "speed"))
    assert len(elm.entries(jobs["speeded"], "speed")) == 1
    assert "3 MiB" in elm.entries(jobs["speeded"], "speed")[0]
    assert theirs in elm.host.virsh("dumpxml", "supplanted"), "it was left alone"
    elm.virsh("supplanted", "blockjob", "vda", "--abort")
    olga.act(jobs["speeded"], "cancel")
    console.wait_for({jobs["speeded"]: "cancelled"})
    for name in names:
        elm.guests[name].log.wait_for_writes()
    console.must_be_kept()


def redefine(guest: Guest, old: str, new: str) -> None:
    """Edit the persistent definition as an administrator would."""
    kept = guest.host.virsh("dumpxml", "--inactive", "--security-info", guest.name)
    assert old in kept
    guest.host.virsh("define", "/dev/stdin", text=kept.replace(old, new))


def test_definitions(elm: Elm) -> None:
    """Removed, made to name another file, and put back after the pivot was noticed."""
    console, olga = elm.console, elm.console.olga
    names = ("forgotten", "edited", "third")
    jobs, copies = {}, {}
    for name in names:
        copies[name] = f"{elm.guests[name].disks[0].path}.copy"
        jobs[name] = olga.copy(elm.guests[name], copies[name])
    console.wait_for(dict.fromkeys(jobs.values(), "mirroring"))
    kept = elm.host.virsh("dumpxml", "--inactive", "forgotten")
    elm.virsh("forgotten", "undefine")
    wait_until(lambda: "virsh define" in console.job(jobs["forgotten"]).flagged)
    old = str(elm.guests["third"].disks[0].path)
    redefine(elm.guests["third"], old, f"{old}.third")
    _pivot_without_following(elm, "edited", copies["edited"])

    elm.host.virsh("define", "/dev/stdin", text=kept)
    for name in ("forgotten", "third"):
        olga.act(jobs[name], "pivot")
    ends = {"forgotten": "pivoted", "edited": "pivoted", "third": "failed"}
    console.wait_for({jobs[name]: state for name, state in ends.items()})
    assert f"names {old}.third" in console.job(jobs["third"]).failure
    for name, place in copies.items():
        assert elm.guests[name].source() == place
    for name in ("forgotten", "edited"):
        inactive = elm.host.virsh("dumpxml", "--inactive", name)
        assert copies[name] in inactive
    rows = console.promises.rows()
    assert "repair" in {e.action for e in rows.entries_of(jobs["edited"])}
    for name in names:
        elm.guests[name].log.wait_for_writes()
    redefine(elm.guests["third"], f"{old}.third", copies["third"])
    console.must_be_kept()


def _pivot_without_following(elm: Elm, name: str, place: str) -> None:
    """The definition names the old source again before the console looks."""
    kept = elm.host.virsh("dumpxml", "--inactive", name)
    elm.console.stack.worker.freeze()
    elm.virsh(name, "blockjob", "vda", "--pivot")
    assert elm.guests[name].source() == place
    elm.host.virsh("define", "/dev/stdin", text=kept)
    elm.console.stack.worker.thaw()
