"""All rules together: a healthy host, names, levels, JSON, digests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from jobs import actions
from jobs.hypervisor import CopyOptions, HostUnreachable, NoAnswer
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Disk, Domain, Host, StoragePool
from jobs.models.job import AtLimit
from jobs.preflight import (
    Finding,
    Level,
    digest,
    examinable,
    findings_from_json,
    findings_to_json,
    judge,
    not_accepted,
    not_examined,
    preflight,
    preflights,
    problems,
    request_from_json,
    request_of,
    request_to_json,
    stops,
    why_not_copied,
)
from tests.conftest import actor_of
from tests.console.fleet_rows import add_disk, add_job
from tests.console.rows import add_leftover
from tests.unit.preflight.cases import evidence, request, to_file


def test_a_normal_copy_gives_one_notice_and_nothing_worse(disk: Disk) -> None:
    found = preflight(request(disk), evidence())
    worse = [one for one in found if one.level != Level.PASS]
    assert [one.rule for one in worse] == ["guest_can_do_less"]
    assert all(one.cause and one.rule for one in found)


def test_without_evidence_only_known_rules_speak(disk: Disk) -> None:
    names = {one.rule for one in preflight(request(disk))}
    assert names <= {rule.__name__ for rule in judge.KNOWN}
    assert "domain_is_running" in names
    with_evidence = {one.rule for one in preflight(request(disk), evidence())}
    assert "there_is_room" in with_evidence - names


def test_many_are_judged_as_each_alone_and_in_as_few_queries(
    disk: Disk, django_assert_max_num_queries: Any
) -> None:
    """What stands in the way of one of them is not held against the others."""
    names = [f"vd{letter}" for letter in "bcdefg"]
    used, promised, left, busy, *free = [add_disk(disk.domain, name) for name in names]
    add_job(busy, State.COPYING, destination="/srv/images/of-the-busy-one")
    add_job(disk, State.COPYING, destination="/srv/images/promised")
    add_leftover(disk, location="/srv/images/left")
    requests = [
        request(used, to_file(free[0].source)),
        request(promised, to_file("/srv/images/promised")),
        request(left, to_file("/srv/images/left")),
        *(request(each, to_file(f"/srv/images/{each.target}")) for each in free),
        request(busy, to_file("/srv/images/another")),
    ]
    alone = [preflight(each) for each in requests]
    told = [[found.rule for found in stops(found)] for found in alone]
    assert told == [
        ["destination_is_free"],
        ["destination_is_free"],
        [],
        [],
        [],
        ["disk_has_no_job"],
    ]
    assert [found.level for found in alone[2] if "leftover" in found.rule] == [
        Level.NOTICE
    ]
    # Five in which nothing is in the way, and who uses each place where anything is.
    with django_assert_max_num_queries(5 + len(requests)):
        assert preflights(requests) == alone
    with django_assert_max_num_queries(5):
        assert preflights(requests[1:]) == alone[1:]


def test_no_two_rules_have_one_name() -> None:
    names = [rule.__name__ for rule in (*judge.KNOWN, *judge.SEEN)]
    assert len(names) == len(set(names))


def test_problems_are_the_stops(disk: Disk) -> None:
    assert problems(request(disk)) == []
    found = problems(request(disk, to_file("relative")))
    assert [one.rule for one in found] == ["destination_makes_sense"]


def test_stops_say_what_to_do_in_one_text() -> None:
    finding = Finding("rule", Level.STOP, "It is off.", "Start it.")
    assert str(finding) == "It is off. Start it."
    assert str(replace(finding, remedy="")) == "It is off."


def test_not_accepted() -> None:
    warning = Finding("room", Level.WARN, "tight")
    stopped = Finding("off", Level.STOP, "off")
    found = [warning, stopped, Finding("fine", Level.PASS, "fine")]
    assert not_accepted(found, frozenset()) == [warning]
    assert not_accepted(found, {"room", "off"}) == []
    assert stops(found) == [stopped], "a stop can't be accepted"


def test_why_not_copied_asks_the_database_nothing(
    disk: Disk, domain: Domain, django_assert_num_queries: Any
) -> None:
    read = Disk.objects.select_related("domain__host").get(pk=disk.pk)
    with django_assert_num_queries(0):
        assert why_not_copied(read) is None
        read.domain.libvirt_id = None
        refused = why_not_copied(read)
    assert refused is not None
    assert refused.rule == "domain_is_running"


def test_examinable(disk: Disk, host: Host) -> None:
    assert examinable(request(disk))
    assert not examinable(request(disk, to_file("relative")))
    disk.domain.host.enabled = False
    assert not examinable(request(disk))


@pytest.mark.parametrize(
    ("options", "level"),
    [(CopyOptions(), Level.WARN), (CopyOptions(reuse_external=True), Level.STOP)],
)
def test_a_host_that_can_not_look(
    disk: Disk, options: CopyOptions, level: Level
) -> None:
    wanted = replace(request(disk), options=options)
    finding = not_examined(wanted, NoAnswer("no reply"))
    assert (finding.rule, finding.level) == ("host_was_asked", level)
    assert "alder could not be asked" in finding.cause


# --- JSON and digests -----------------------------------------------------------------

texts = st.text(max_size=30)


@given(
    st.lists(
        st.builds(Finding, texts, st.sampled_from(Level), texts, texts, texts, texts)
    )
)
def test_findings_survive_json(found: list[Finding]) -> None:
    kept = json.loads(json.dumps(findings_to_json(found)))
    assert findings_from_json(kept) == found


def test_a_request_survives_json(disk: Disk) -> None:
    wanted = request(
        disk,
        to_file("/srv/\u202eümlaut\"<'&.raw", "raw", slice_size=512),
        reuse_external=True,
        bandwidth=2**62,
        when_ready=WhenReady.FINISH,
        consistent=True,
        stall_limit=60,
        total_limit=3600,
        at_limit=AtLimit.CANCEL,
        accepted=frozenset({"b", "a"}),
        reason="ticket 17",
        job=4,
    )
    kept = json.loads(json.dumps(request_to_json(wanted)))
    assert request_from_json(kept) == wanted


def test_a_job_tells_its_request(disk: Disk, olga: User) -> None:
    wanted = request(
        disk,
        bandwidth=2**20,
        buf_size=2**19,
        when_ready=WhenReady.FINISH,
        consistent=True,
        stall_limit=600,
        total_limit=86400,
        at_limit=AtLimit.CANCEL,
        accepted=frozenset({"agent_answers"}),
        reason="ticket 17",
    )
    job = actions.request_copy(wanted, actor_of(olga))
    assert request_of(job) == replace(wanted, job=job.pk)
    assert problems(request_of(job)) == [], "a job is not in its own way"


def test_a_job_whose_disk_is_gone(disk: Disk, olga: User) -> None:
    job = actions.request_copy(request(disk), actor_of(olga))
    Disk.objects.all().delete()
    with pytest.raises(Disk.DoesNotExist):
        request_of(CopyJob.objects.get(pk=job.pk))


def test_a_digest_is_of_what_is_judged(disk: Disk) -> None:
    wanted = request(disk)
    same = replace(wanted, accepted=frozenset({"room"}), reason="because")
    assert digest(same) == digest(wanted)
    others = [
        request(disk, to_file("/srv/images/other.qcow2")),
        request(disk, bandwidth=1),
        request(disk, consistent=True),
        request(disk, when_ready=WhenReady.PIVOT),
    ]
    assert len({digest(other) for other in [wanted, *others]}) == len(others) + 1


def test_hosts_that_vanish_are_not_asked(disk: Disk, pool: StoragePool) -> None:
    finding = not_examined(request(disk), HostUnreachable("No route to host"))
    assert finding.cause
