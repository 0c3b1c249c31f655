"""Times, numbers and badges as the console writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone

from jobs.console import clock
from jobs.console.job_xml import indented
from jobs.console.look import LOOKS
from jobs.console.shown import bandwidth_field
from jobs.lifecycle import State
from jobs.models import Host
from jobs.units import parse_bytes


def drawn(source: str, **context: object) -> str:
    return Template("{% load console %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (7.9, "0:07"),
        (751, "12:31"),
        (3751, "1:02:31"),
        (183_845, "2 d 3:04:05"),
    ],
)
def test_durations_are_exact(seconds: float, text: str) -> None:
    assert clock.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.9, "just now"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (12_000, "3 h 20 min ago"),
        (40_000, "11 h ago"),
        (200_000, "2 days ago"),
    ],
)
def test_ages_are_rough(seconds: float, text: str) -> None:
    assert clock.ago_text(seconds) == text


def test_a_moment_carries_utc() -> None:
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert drawn("{% moment at %}", at=moment) == (
        '<time datetime="2026-03-29T01:30:00.000+00:00" '
        'title="2026-03-29 01:30:00 UTC" data-moment>2026-03-29 01:30:00</time>'
    )
    assert drawn("{% moment at %}{% ago at %}", at=None) == "nevernever"


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    ahead = timezone.now() + timedelta(minutes=1)
    assert "just now" in drawn("{% ago at %}", at=ahead)


def test_only_old_numbers_say_their_age() -> None:
    now = timezone.now().timestamp()
    assert "hidden" in drawn("{% age at %}", at=now - 4)
    assert "hidden" not in drawn("{% age at %}", at=now - 6)


def test_every_state_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(State)
    assert len({(look.family, look.icon) for look in LOOKS.values()}) == len(State)
    for state in State:
        badge = drawn("{% state state %}", state=state.value)
        assert "<svg" in badge
        assert state.label in badge


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"enabled": False}, "disabled"),
        ({}, "not asked yet"),
        ({"last_seen_at": timezone.now()}, "answers"),
        ({"last_seen_at": timezone.now(), "error": "gone"}, "does not answer"),
        ({"error_at": timezone.now(), "error": "gone"}, "does not answer"),
    ],
)
def test_a_host_s_badge(fields: dict[str, object], words: str) -> None:
    assert f"</svg>{words}</span>" in drawn(
        "{% host_state host %}", host=Host(**fields)
    )


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1024, 50 * 2**20, 2**40, 2**62 + 1])
def test_a_bandwidth_field_gives_the_same_number_back(count: int) -> None:
    typed = bandwidth_field(count)
    assert (0 if typed == "unlimited" else parse_bytes(typed)) == count


def test_xml_is_indented_or_left_alone() -> None:
    assert indented("<disk><source/></disk>") == "<disk>\n  <source />\n</disk>"
    assert indented("<disk") == "<disk"


def test_a_path_shortens_its_directory_first() -> None:
    assert drawn("{% path at %}", at="/srv/<b>/x.qcow2") == (
        '<span class="path-line" title="/srv/&lt;b&gt;/x.qcow2">'
        '<span class="path-dir">/srv/&lt;b&gt;/</span>'
        '<span class="path-name">x.qcow2</span></span>'
    )
