"""The chart of a copy: what is drawn, what stands in the table, and on which pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from jobs import samples
from jobs.console import chart
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, JobSample
from jobs.units import bytes_text
from tests.conftest import signed_in
from tests.console.rows import job_in, queries_of, text_of

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MIB = 2**20


def sample(
    seconds: float, current: int, end: int, written: int | None = 0, limit: int = 0
) -> JobSample:
    return JobSample(
        at=NOON + timedelta(seconds=seconds),
        current=current,
        end=end,
        bandwidth=limit,
        written=written,
    )


# --- What is drawn ------------------------------------------------------------------


def test_rates_are_what_lies_between_two_samples() -> None:
    first, second = chart.stretches(
        [
            sample(0, 0, 100 * MIB, 5 * MIB),
            sample(10, 20 * MIB, 110 * MIB, 15 * MIB),
            sample(30, 40 * MIB, 110 * MIB, 15 * MIB),
        ],
        NOON,
    )
    assert (first.rate, first.writes) == (2 * MIB, MIB)
    assert (first.begin, first.end, first.remaining) == (0, 10, 90 * MIB)
    assert (second.rate, second.writes) == (MIB, 0)
    assert second.when_text == "0:10 to 0:30"


def test_a_guest_that_was_not_asked_or_counts_anew_wrote_nobody_knows_what() -> None:
    told = [5 * MIB, None, 7 * MIB, 2 * MIB, 12 * MIB]
    drawn = chart.draw(
        [sample(10 * number, 1, 2, bytes_) for number, bytes_ in enumerate(told)], None
    )
    assert drawn is not None
    known = [each.writes for each in drawn.stretches]
    assert known == [None, None, None, MIB]
    copy, writes = drawn.plots[0].lines
    assert copy.path.count("M") == 1
    assert writes.path == "M750 0H1000"


def test_no_time_no_chart() -> None:
    assert chart.draw([sample(0, 1, 2), sample(0, 1, 2)], None) is None


def test_where_the_copy_came_into_sync() -> None:
    taken = [sample(0, 1, 2), sample(100, 2, 2)]
    for after, x in ((25, 250.0), (-5, None), (100, None)):
        drawn = chart.draw(taken, NOON + timedelta(seconds=after))
        assert drawn is not None
        assert drawn.ready_x == x


def test_a_limit_far_above_does_not_press_the_lines_down() -> None:
    assert names_drawn(3 * MIB) == {"Copy rate", "Guest writes", "Limit"}
    assert names_drawn(500 * MIB) == {"Copy rate", "Guest writes"}


def test_a_limit_steps_where_it_was_first_seen() -> None:
    """Not ten seconds before somebody set it; and its figure is the newest."""
    limits = [2 * MIB, 2 * MIB, 3 * MIB, 3 * MIB, 0]
    drawn = chart.draw(
        [
            sample(10 * number, number * 20 * MIB, 200 * MIB, limit=limit)
            for number, limit in enumerate(limits)
        ],
        None,
    )
    assert drawn is not None
    limit = drawn.plots[0].lines[2]
    assert limit.path == "M0 60H500V40H1000"
    assert limit.last == "unlimited"


def test_a_sample_of_another_limit_dates_it_and_makes_no_rate_of_a_second() -> None:
    taken = [
        sample(0, 0, 90 * MIB, limit=2 * MIB),
        sample(10, 20 * MIB, 90 * MIB, limit=2 * MIB),
        sample(11, 36 * MIB, 90 * MIB, limit=3 * MIB),
        sample(20, 40 * MIB, 90 * MIB, limit=3 * MIB),
        sample(21, 56 * MIB, 90 * MIB),
    ]
    drawn = chart.draw(taken, None)
    assert drawn is not None
    assert [each.rate for each in drawn.stretches] == [2 * MIB, 2 * MIB]
    limit = drawn.plots[0].lines[2]
    assert (limit.path, limit.last) == ("M0 60H550V40H1000", "3 MiB/s")


def test_a_figure_that_is_not_known_any_more_is_not_the_last_that_was() -> None:
    drawn = chart.draw(
        [sample(0, 1, 2, 5), sample(10, 1, 2, 9), sample(20, 1, 2, None)], None
    )
    assert drawn is not None
    assert drawn.plots[0].lines[1].last == "unknown"


def test_it_begins_with_the_copy_and_its_lines_with_the_samples() -> None:
    taken = [sample(10, 10 * MIB, 90 * MIB), sample(20, 20 * MIB, 90 * MIB)]
    ready = NOON + timedelta(seconds=15)
    drawn = chart.draw(taken, ready, NOON)
    assert drawn is not None
    assert (drawn.began_at, drawn.seconds, drawn.ready_x) == (NOON, 20, 750)
    assert drawn.rows[0].when_text == "0:10 to 0:20"
    assert drawn.plots[0].lines[0].path.startswith("M500 ")
    assert drawn.newest == taken[-1].at.timestamp()
    late = chart.draw(taken, ready, NOON + timedelta(seconds=11))
    assert late is not None
    assert late.began_at == taken[0].at


def names_drawn(limit: int) -> set[str]:
    taken = [sample(0, 0, 90 * MIB, limit=limit), sample(10, 20 * MIB, 90 * MIB)]
    drawn = chart.draw(taken, None)
    assert drawn is not None
    return {line.name for line in drawn.plots[0].lines}


@given(st.floats(0, 2**60))
def test_a_scale_ends_little_above_what_it_shows(value: float) -> None:
    top = chart.ceiling(value)
    assert value <= top
    assert top <= 2.6 * value or top == 1024


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "1 KiB"), (627 * 1024, "1 MiB"), (3 * MIB, "5 MiB"), (800 * MIB, "1 GiB")],
)
def test_a_scale_ends_with_round_words(value: float, words: str) -> None:
    assert bytes_text(chart.ceiling(value)) == words


counters = st.integers(0, 2**50)
TAKEN = st.lists(
    st.builds(
        sample,
        seconds=st.floats(0, 1e7),
        current=counters,
        end=counters,
        written=st.none() | counters,
        limit=st.sampled_from([0, MIB]),
    ),
    min_size=2,
    max_size=300,
)


@given(TAKEN)
def test_every_path_stays_in_its_plot(taken: list[JobSample]) -> None:
    taken.sort(key=lambda each: each.at)
    drawn = chart.draw(taken, None)
    if drawn is None:
        return
    assert len(drawn.stretches) <= chart.MOST_DRAWN
    assert len(drawn.rows) <= chart.MOST_ROWS
    for plot in drawn.plots:
        for line in plot.lines:
            for letter, first, second in re.findall(
                r"([MHV])(-?[\d.]+)(?: (-?[\d.]+))?", line.path
            ):
                across = [first] if letter != "V" else []
                upright = {"V": [first], "M": [second]}.get(letter, [])
                assert all(0 <= float(x) <= chart.WIDTH for x in across)
                assert all(0 <= float(y) <= chart.HEIGHT for y in upright)


# --- On the page --------------------------------------------------------------------


def add_samples(job: CopyJob, count: int) -> None:
    now = timezone.now()
    samples.insert(
        JobSample(
            job=job,
            at=now - timedelta(seconds=10 * (count - number)),
            current=number * 20 * MIB,
            end=2**40,
            bandwidth=0,
            written=number * MIB,
        )
        for number in range(count)
    )


@pytest.mark.usefixtures("redis")
def test_a_job_s_page_has_the_chart_and_its_numbers(victor: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    client, address = signed_in(victor), reverse("job", args=[job.pk])
    assert 'id="chart"' not in text_of(client.get(address))
    before = queries_of(client, address)
    add_samples(job, samples.MOST)
    text = text_of(client.get(address))
    assert queries_of(client, address) == before
    assert text.count('role="img"') == 2
    assert "Over 1 h 59 min; at the end: Copy rate 2 MiB/s" in text
    assert '<td class="number">2 MiB/s</td>' in text
    assert len(client.get(address).content) < 60_000


@pytest.mark.usefixtures("redis")
def test_the_figures_of_a_running_copy_have_an_age(victor: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    add_samples(job, 3)
    client, address = signed_in(victor), f"/jobs/{job.pk}/"
    head = re.compile(
        r'"chart-title">Over time</h2> <span class="muted"><time [^>]*data-age class='
    )
    assert head.search(text_of(client.get(address)))
    CopyJob.objects.update(state=State.CANCELLED, ended_at=timezone.now())
    assert not head.search(text_of(client.get(address)))


@pytest.mark.usefixtures("redis")
def test_the_chart_begins_with_the_copy(victor: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    add_samples(job, 3)
    client, address = signed_in(victor), f"/jobs/{job.pk}/"
    assert client.get(address).context["chart"].began_at == job.started_at
    # Nobody knows when an adopted copy was begun.
    CopyJob.objects.update(adopted_at=job.started_at)
    first = JobSample.objects.order_by("at")[0]
    assert client.get(address).context["chart"].began_at == first.at


@pytest.mark.usefixtures("redis")
def test_an_ended_job_keeps_its_chart(victor: User, disk: Disk) -> None:
    job = job_in(State.PIVOTED, disk)
    add_samples(job, 5)
    assert 'id="chart"' in text_of(signed_in(victor).get(f"/jobs/{job.pk}/"))
