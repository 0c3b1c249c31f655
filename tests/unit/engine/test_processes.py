"""Who is at work: signs in Redis, what is missing, and what that means."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from jobs import live, processes, tasks
from jobs.leases import Leases
from jobs.models import Host
from jobs.processes import ALIVE_SECONDS, Kind, Process, Sign, judge

DEFAULT = {"default"}


def sign(kind: Kind, age: float = 1.0, *sites: str, name: str = "a") -> Sign:
    return Sign(kind, name, time.time() - age, sites or ("default",))


def all_well() -> list[Sign]:
    return [sign(kind) for kind in Kind if kind != Kind.REDIS]


def by_kind(found: list[Process]) -> dict[Kind, Process]:
    return {each.kind: each for each in found}


@pytest.fixture(autouse=True)
def _no_sign_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_given", {})


def test_all_well_means_nothing_to_tell() -> None:
    found = judge(all_well(), DEFAULT)
    assert [each.alive for each in found] == [True] * len(Kind)
    assert not any(each.meaning for each in found)


@pytest.mark.parametrize("kind", [Kind.WORKER, Kind.BEAT, Kind.TICK, Kind.LISTENER])
def test_an_old_sign_is_as_good_as_none_and_its_age_is_kept(kind: Kind) -> None:
    others = [each for each in all_well() if each.kind != kind]
    old = sign(kind, ALIVE_SECONDS + 1)
    found = by_kind(judge([*others, old], DEFAULT))
    assert found[kind].missing
    assert found[kind].at == old.at
    assert found[kind].meaning.endswith(".")
    assert sum(each.missing for each in found.values()) == 1


def test_without_redis_nothing_else_is_known() -> None:
    found = by_kind(judge(None, DEFAULT))
    assert found.pop(Kind.REDIS).missing
    assert {each.alive for each in found.values()} == {None}


def test_a_look_that_cannot_happen_is_no_news_of_its_own() -> None:
    found = by_kind(judge([sign(Kind.BEAT), sign(Kind.LISTENER)], DEFAULT))
    assert found[Kind.WORKER].missing
    assert found[Kind.TICK].alive is None


def test_a_site_that_no_worker_serves_is_named() -> None:
    found = judge(all_well(), {"default", "cellar"})
    missing = {each.label: each.meaning for each in found if each.missing}
    assert set(missing) == {"Worker at cellar", "Listener at cellar"}
    assert "until a worker runs at cellar" in missing["Worker at cellar"]


@pytest.mark.usefixtures("redis")
def test_signs_are_written_thinned_out_and_taken_back() -> None:
    processes.give_sign(Kind.WORKER, "celery@a", ["default"])
    assert (found := processes.signs()) is not None
    assert [(each.name, each.sites) for each in found] == [("celery@a", ("default",))]
    live.client().delete(processes.KEY)
    processes.give_sign(Kind.WORKER, "celery@a", ["default"])
    assert processes.signs() == [], "two signs within a moment are one"
    processes.take_back(Kind.WORKER, "celery@a")
    processes.give_sign(Kind.WORKER, "celery@a", ["default"])
    assert processes.signs() != []


@pytest.mark.usefixtures("redis")
def test_what_another_version_wrote_is_passed_over() -> None:
    live.client().hset(processes.KEY, mapping={"worker:a": "?", "mystery:b": "{}"})
    assert processes.signs() == []


def test_a_redis_that_is_away_is_told_and_nobody_fails(
    settings: Any, tmp_path: Path
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    processes.give_sign(Kind.BEAT, "a")
    processes.take_back(Kind.BEAT, "a")
    assert processes.signs() is None


@pytest.mark.usefixtures("redis", "db")
def test_the_tick_and_the_listener_give_signs() -> None:
    tasks.tick()
    listener = Leases("ears", ["default"])
    listener.beat()
    found = {each.kind: each.name for each in processes.signs() or []}
    assert found == {Kind.TICK: "tick", Kind.LISTENER: "ears"}
    listener.fall_silent()
    assert Kind.LISTENER not in {each.kind for each in processes.signs() or []}


@pytest.mark.usefixtures("redis")
def test_the_command_line_tells_by_its_status(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("blockcopy", "process", "check")
    assert ended.value.code == 1
    assert "until a worker runs" in capsys.readouterr().err
    for kind in (Kind.WORKER, Kind.BEAT, Kind.TICK, Kind.LISTENER):
        processes.give_sign(kind, "a", ["default"])
    call_command("blockcopy", "process", "check")
