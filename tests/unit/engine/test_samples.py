"""Samples for the chart of a copy: taken by the sweep, thinned, read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import actions, live, samples, sweep, tasks
from jobs.lifecycle import State
from jobs.models import CopyJob, Host, JobSample
from tests.conftest import actor_of
from tests.console.fleet_rows import add_disk, add_domain, add_job
from tests.fakes import MIB, FakeCopy, FakeHypervisor
from tests.unit.engine.conftest import settled
from tests.workers import Workers

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def ten_seconds_later(host: Host) -> None:
    live.taken_up(f"samples:{host.pk}")


# --- Taking -------------------------------------------------------------------------


@pytest.fixture
def copying(job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers) -> CopyJob:
    workers.work()
    alder.advance(web, "vda", 8 * MIB)
    workers.sweep()
    assert settled(job).state == State.COPYING
    return job


@pytest.mark.django_db(transaction=True)
class TestTaking:
    def test_a_sample_each_ten_seconds(
        self, copying: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
    ) -> None:
        alder.advance(web, "vda", 16 * MIB, 72 * MIB)
        alder.domains[web].disks["vda"].written = 8 * MIB
        workers.sweep()
        workers.sweep()
        assert copying.samples.count() == 1, "ten seconds have not passed"
        ten_seconds_later(copying.host)
        workers.sweep()
        first, second = copying.samples.all()
        assert (first.current, first.end, first.written) == (8 * MIB, 64 * MIB, 0)
        assert (second.current, second.end) == (16 * MIB, 72 * MIB)
        assert second.written == 8 * MIB
        assert second.at > first.at

    def test_a_sample_as_soon_as_the_limit_is_another_one(
        self, copying: CopyJob, alder: FakeHypervisor, workers: Workers, olga: User
    ) -> None:
        actions.set_speed(copying, 3 * MIB, actor_of(olga))
        workers.work()
        workers.sweep()
        workers.sweep()
        assert [each.bandwidth for each in copying.samples.all()] == [0, 3 * MIB]

    def test_a_copy_of_which_libvirt_knows_nothing_yet(
        self, job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
    ) -> None:
        workers.work()
        alder.advance(web, "vda", 1, 1)
        workers.sweep()
        assert not job.samples.exists()
        alder.advance(web, "vda", 1, 64 * MIB)
        workers.sweep()
        assert job.samples.count() == 1, "its turn was not used up"

    def test_a_stuck_guest_is_not_asked_and_has_no_sample(
        self, copying: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
    ) -> None:
        alder.stuck.add(web)
        ten_seconds_later(copying.host)
        alder.calls.clear()
        workers.sweep()
        assert copying.samples.count() == 1
        assert "writes" not in alder.calls

    def test_redis_without_its_data_loses_no_sample(
        self, copying: CopyJob, workers: Workers
    ) -> None:
        live.client().flushdb()
        workers.sweep()
        assert copying.samples.count() == 2

    def test_one_statement_for_all_copies_of_a_host(
        self, alder: FakeHypervisor, host: Host, redis: None
    ) -> None:
        add_mirrors(alder, host, 3)
        few, few_without = queries_of_sweep(host), queries_of_sweep(host)
        add_mirrors(alder, host, 300)
        ten_seconds_later(host)
        many, many_without = queries_of_sweep(host), queries_of_sweep(host)
        assert JobSample.objects.count() == 3 + 303
        assert (many, many_without) == (few, few_without)
        assert few == few_without + 1


def add_mirrors(alder: FakeHypervisor, host: Host, count: int) -> None:
    for _ in range(count):
        uuid = alder.add_domain(f"guest-{len(alder.domains)}")
        fake = alder.domains[uuid]
        row = add_domain(host, fake.name, uuid=uuid, libvirt_id=fake.domain_id)
        job = add_job(
            add_disk(row, source=fake.disks["vda"].source),
            ready_at=timezone.now(),
            transient_job=False,
        )
        alder.put_copy(uuid, "vda", FakeCopy(job.destination, current=MIB, ready="yes"))


def queries_of_sweep(host: Host) -> int:
    with CaptureQueriesContext(connection) as captured:
        sweep.look_at_host(host)
    return len(captured)


# --- Thinning -----------------------------------------------------------------------


def every(seconds: float, count: int) -> list[datetime]:
    return [NOON + timedelta(seconds=seconds * number) for number in range(count)]


def test_as_many_as_there_may_be_stay() -> None:
    assert samples.to_thin(every(10, samples.MOST)) == []


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(0, samples.MOST), st.randoms())
def test_thinned_samples_are_few(more: int, ready: int, chance: Random) -> None:
    times = [NOON]
    while len(times) < samples.MOST + more:
        gap = chance.choice((0, 10, 10, 10, 3600))
        times.append(times[-1] + timedelta(seconds=gap))
    dropped = set(samples.to_thin(times, times[ready]))
    kept = [number for number in range(len(times)) if number not in dropped]
    assert len(kept) == samples.KEPT
    assert kept[0] == 0
    assert kept[-samples.NEWEST :] == list(range(len(times)))[-samples.NEWEST :]
    assert times[ready] in {times[number] for number in kept}


def test_a_long_copy_keeps_the_whole_of_its_time() -> None:
    times = every(10, 721)
    for number in range(721, 5_000):
        times.append(NOON + timedelta(seconds=10 * number))
        dropped = set(samples.to_thin(times))
        times = [at for place, at in enumerate(times) if place not in dropped]
    span = (times[-1] - times[0]).total_seconds()
    gaps = [(late - at).total_seconds() for at, late in pairwise(times)]
    assert samples.KEPT <= len(times) <= samples.MOST
    assert max(gaps) < 4 * span / len(times)


@pytest.mark.django_db(transaction=True)
def test_thinning_leaves_other_jobs_alone(
    copying: CopyJob, alder: FakeHypervisor, host: Host
) -> None:
    add_mirrors(alder, host, 1)
    other = CopyJob.objects.latest("pk")
    for job, count in ((copying, samples.MOST + 50), (other, samples.MOST - 5)):
        samples.insert(
            JobSample(job=job, at=at, current=1, end=2, bandwidth=0)
            for at in every(10, count)
        )
    tasks.thin_samples()
    assert copying.samples.count() <= samples.KEPT
    assert other.samples.count() == samples.MOST - 5


# --- Reading ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_a_mirror_has_carried_counts_from_when_it_was_ready(
    copying: CopyJob,
) -> None:
    begin = timezone.now()
    assert samples.ready_ends([copying]) == {}
    samples.insert(
        JobSample(
            job=copying,
            at=begin + timedelta(seconds=10 * number),
            current=number,
            end=100 * number,
            bandwidth=0,
        )
        for number in range(5)
    )
    copying.ready_at = begin + timedelta(seconds=15)
    copying.save()
    assert samples.ready_ends([copying]) == {copying.pk: 200}
