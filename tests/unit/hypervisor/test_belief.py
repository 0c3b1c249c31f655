"""Who is believed to answer, while others do not."""

from __future__ import annotations

import time
from unittest.mock import Mock, patch

import libvirt
import pytest

from jobs.hypervisor import belief as module
from jobs.hypervisor.asking import look_at
from jobs.hypervisor.belief import Belief, Doubt, belief_of


@pytest.fixture
def belief() -> Belief:
    return Belief()


def answer(belief: Belief, uuid: str, moment: float) -> None:
    with patch("jobs.hypervisor.belief.time.monotonic", return_value=moment):
        belief.note_answer(uuid)


def two_hang(belief: Belief, first: float, second: float) -> None:
    assert belief.note_silence("hangs", first)
    assert belief.note_silence("hangs too", second)


def test_no_doubt_while_nobody_hangs(belief: Belief) -> None:
    assert belief.doubt("new") == Doubt.NONE


def test_one_that_hangs_makes_nobody_else_doubtful(belief: Belief) -> None:
    assert belief.note_silence("hangs", 10.0)
    assert belief.doubt("new") == Doubt.NONE


def test_two_that_hang_do(belief: Belief) -> None:
    answer(belief, "before", 9.0)
    two_hang(belief, 10.0, 11.0)
    answer(belief, "after", 10.5)
    assert belief.doubt("new") == belief.doubt("before") == Doubt.GRAVE
    assert belief.doubt("after") == Doubt.NONE


def test_the_silence_of_the_doubtful_is_no_surprise(belief: Belief) -> None:
    two_hang(belief, 10.0, 11.0)
    answer(belief, "after", 12.0)
    assert not belief.note_silence("doubted", 13.0)
    assert belief.doubt("after") == Doubt.NONE


def test_processor_time_is_a_sign_from_the_reading_before(belief: Belief) -> None:
    for uuid in ("busy", "still", "stopped"):
        belief.note_used(uuid, 100, 9.0)
    belief.note_used("stopped", 200, 9.5)
    two_hang(belief, 10.0, 11.0)
    for uuid in ("busy", "still", "stopped", "new"):
        belief.note_used(uuid, 200 if uuid != "still" else 100, 12.0)
    assert belief.doubt("busy") == Doubt.GRAVE, "it may have stopped after 9.0"
    belief.note_used("busy", 300, 13.0)
    assert belief.doubt("busy") == Doubt.SOME
    for uuid in ("still", "stopped", "new"):
        assert belief.doubt(uuid) == Doubt.GRAVE


def test_silence_is_forgotten_when_nobody_waits_any_more(belief: Belief) -> None:
    two_hang(belief, 10.0, 11.0)
    belief.forget_silence(lambda _: True)
    assert belief.doubt("new") == Doubt.GRAVE
    belief.forget_silence(lambda uuid: uuid == "hangs")
    assert belief.doubt("new") == Doubt.NONE


def test_what_somebody_else_waits_for_counts_like_what_we_do(belief: Belief) -> None:
    belief.note_occupied("a", 10.0)
    belief.note_occupied("b", 11.0)
    belief.forget_silence(lambda _: False)
    assert set(belief.occupied) == {"a", "b"}
    assert belief.doubt("new") == Doubt.GRAVE
    belief.note_occupied("b", None)
    belief.forget_silence(lambda _: False)
    assert set(belief.occupied) == {"a"}
    assert belief.doubt("new") == Doubt.NONE


def test_occupied_is_what_was_seen_lately(
    belief: Belief, monkeypatch: pytest.MonkeyPatch
) -> None:
    belief.note_occupied("gone since", 10.0)
    monkeypatch.setattr(module, "JUST_NOW_SECONDS", 0.0)
    time.sleep(0.001)
    belief.forget_silence(lambda _: False)
    assert belief.occupied == ()


def test_who_answered_just_now_needs_no_look(belief: Belief) -> None:
    assert belief.needs_a_look("new")
    belief.note_answer("new")
    assert not belief.needs_a_look("new")
    two_hang(belief, time.monotonic(), time.monotonic())
    assert belief.needs_a_look("new")
    answer(belief, "long ago", time.monotonic() - module.JUST_NOW_SECONDS - 1)
    assert belief.needs_a_look("long ago")


def test_turn(belief: Belief) -> None:
    """Of one doubt, those not asked for longest first."""
    two_hang(belief, 1.0, 2.0)
    answer(belief, "sure", 3.0)
    belief.note_asked("asked", 5.0)
    belief.note_asked("asked before", 4.0)
    uuids = ["asked", "sure", "asked before", "new"]
    assert belief.in_turn(uuids, Doubt.NONE) == ["sure"]
    assert belief.in_turn(uuids, Doubt.GRAVE) == ["new", "asked before", "asked"]


def test_a_host_is_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    known = belief_of("a host")
    known.note_asked("a", 1.0)
    assert belief_of("a host") is known
    monkeypatch.setattr(module, "REMEMBERED", 0)
    assert belief_of("a host") is not known


# --- What a look tells ---------------------------------------------------------------

OCCUPIED = libvirt.VIR_DOMAIN_CONTROL_OCCUPIED
OUT_OF_ORDER = 3  # VIR_DOMAIN_CONTROL_ERROR


def domain(state: int, milliseconds: int) -> Mock:
    seen = Mock(spec_set=["UUIDString", "controlInfo", "info"])
    seen.UUIDString.return_value = "a"
    seen.controlInfo.return_value = [state, 0, milliseconds]
    seen.info.return_value = [1, 0, 0, 1, 5_000_000]
    return seen


@pytest.mark.parametrize(
    ("state", "milliseconds"), [(0, 0), (OCCUPIED, 900), (OUT_OF_ORDER, 9000)]
)
def test_free_or_busy_for_a_moment(
    belief: Belief, state: int, milliseconds: int
) -> None:
    look_at(domain(state, milliseconds), belief)
    assert belief.occupied == ()


def test_occupied_since(belief: Belief) -> None:
    look_at(domain(OCCUPIED, 5000), belief)
    assert set(belief.occupied) == {"a"}
    belief.note_occupied("b", time.monotonic() - 4.0)
    answer(belief, "before", time.monotonic() - 5.5)
    answer(belief, "after", time.monotonic() - 4.5)
    assert belief.doubt("before") == Doubt.GRAVE
    assert belief.doubt("after") == Doubt.NONE


def test_one_that_is_off_tells_nothing(belief: Belief) -> None:
    off = domain(0, 0)
    off.controlInfo.side_effect = libvirt.libvirtError("domain is not running")
    look_at(off, belief)
    assert belief.occupied == ()
    assert len(belief) == 0
