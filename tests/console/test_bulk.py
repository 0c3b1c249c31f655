"""One act on many jobs: confirmed with what it leads to, done one by one, each told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs import actions
from jobs.actions import BULK_ACTS
from jobs.console.bulk import numbers
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host
from jobs.names import some
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain
from tests.console.rows import add_leftover, job_in, many_jobs, text_of

BULK = reverse("jobs-bulk")


def of(jobs: list[CopyJob]) -> str:
    return ",".join(str(job.pk) for job in jobs)


def told(act: str, jobs: list[CopyJob], **more: Any) -> dict[str, Any]:
    """What the confirmation of `act` on `jobs` posts."""
    typed = {"typed": actions.to_type_for_many(BULK_ACTS[act], jobs)}
    return {"act": act, "jobs": of(jobs), **typed, **more}


def chosen(act: str, jobs: list[CopyJob]) -> dict[str, Any]:
    """What the list sends when `jobs` are selected."""
    return {"act": act, "job": [job.pk for job in jobs]}


def states(jobs: list[CopyJob]) -> list[str]:
    return [CopyJob.objects.get(pk=job.pk).state for job in jobs]


def acts() -> Any:
    return AuditEntry.objects.exclude(action="sign in")


# --- The ladder ----------------------------------------------------------------------


@pytest.mark.parametrize("act", ["pivot", "finish", "cancel"])
def test_a_verb_on_several(olga: User, host: Host, act: str) -> None:
    jobs = many_jobs(host, State.MIRRORING, 3)
    client = signed_in(olga)
    query: Any = {"act": act, "job": [job.pk for job in jobs]}
    asked = client.get(BULK, query)
    page = text_of(asked)
    assert asked.status_code == 200
    assert "guest-0 (vda), guest-1 (vda) and guest-2 (vda)" in page
    assert escape(BULK_ACTS[act].consequence(jobs[0])) in page
    assert f'name="jobs" value="{of(jobs)}"' in page
    assert states(jobs) == [State.MIRRORING] * 3
    assert not acts().exists()

    done = client.post(BULK, told(act, jobs, reason="quiet hour"))
    assert "3 of 3 asked for" in text_of(done)
    assert states(jobs) == [actions.VERBS[act].intended] * 3
    entries = acts().filter(action=act, outcome="asked", reason="quiet hour")
    assert sorted(entry.object_id for entry in entries) == [str(j.pk) for j in jobs]


def test_start_now_on_several(olga: User, host: Host) -> None:
    jobs = many_jobs(host, State.REQUESTED, 3)
    tonight = timezone.now() + timedelta(hours=2)
    CopyJob.objects.filter(pk__in=[job.pk for job in jobs[:2]]).update(start_at=tonight)
    client = signed_in(olga)
    page = text_of(client.get(BULK, chosen("start", jobs[:2])))
    assert "2 copies on alder start now" in page
    assert "start 2 jobs" in page
    client.post(BULK, told("start", jobs[:2]))
    assert states(jobs) == [State.QUEUED, State.QUEUED, State.REQUESTED]


def test_who_may_not(victor: User, otto: User, host: Host) -> None:
    jobs = many_jobs(host, State.MIRRORING, 2)
    query: Any = {"act": "pivot", "job": [job.pk for job in jobs]}
    assert Client().get(BULK, query).status_code == 302
    assert signed_in(otto).get(BULK, query).status_code == 403
    client = signed_in(victor)
    assert "0 job" not in text_of(client.get(reverse("jobs")))
    assert 'name="job"' not in text_of(client.get(reverse("jobs")))
    refused = client.get(BULK, query)
    assert refused.status_code == 403
    assert "Your role does not allow you to pivot a copy." in text_of(refused)
    posted = client.post(BULK, told("pivot", jobs))
    assert posted.status_code == 403
    assert states(jobs) == [State.MIRRORING] * 2
    assert acts().filter(outcome="refused", actor="victor").count() == 2


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"act": "explode", "job": "1"}, 404, ""),
        ({"job": "1"}, 404, ""),
        ({"act": "pivot"}, 422, "No job was selected."),
        ({"act": "pivot", "job": "x"}, 422, "These are no job numbers."),
        ({"act": "pivot", "all": "5", "colour": "red"}, 422, "No job was selected."),
        ({"act": "pivot", "all": "5", "state": "zz"}, 422, "There is no state “zz”."),
        ({"act": "pivot", "job": "99999"}, 409, "none of these jobs"),
    ],
)
def test_what_makes_no_sense_is_said(
    olga: User, query: dict[str, str], status: int, words: str
) -> None:
    answer = signed_in(olga).get(BULK, query)
    assert answer.status_code == status
    assert words in text_of(answer)


# --- Some can, some can't ------------------------------------------------------------


def test_those_that_cannot_are_told_before_and_after(olga: User, host: Host) -> None:
    able = many_jobs(host, State.MIRRORING, 2)
    unable = many_jobs(host, State.COPYING, 1)
    client = signed_in(olga)
    query: Any = {"act": "pivot", "job": [job.pk for job in able + unable]}
    page = text_of(client.get(BULK, query))
    assert "1 of the 3 can’t, and is left alone." in page
    assert "Possible once source and destination are in sync" in page
    assert f'name="jobs" value="{of(able)}"' in page
    assert f'name="left" value="{of(unable)}"' in page

    done = text_of(client.post(BULK, told("pivot", able, left=of(unable))))
    assert "2 of 2 asked for" in done
    assert "left alone" in done
    assert states(unable) == [State.COPYING]


def test_what_became_able_meanwhile_was_not_confirmed(olga: User, host: Host) -> None:
    able = many_jobs(host, State.MIRRORING, 1)
    late = many_jobs(host, State.COPYING, 1)
    CopyJob.objects.filter(pk=late[0].pk).update(state=State.MIRRORING)
    done = text_of(signed_in(olga).post(BULK, told("pivot", able, left=of(late))))
    assert "It could not when this was confirmed, so it was left alone." in done
    assert states(late) == [State.MIRRORING]


def test_what_changed_since_the_confirmation_is_refused_alone(
    olga: User, host: Host
) -> None:
    first, second = many_jobs(host, State.MIRRORING, 2)
    CopyJob.objects.filter(pk=first.pk).update(state=State.FAILED)
    done = signed_in(olga).post(BULK, told("pivot", [first, second]))
    page = text_of(done)
    assert "1 of 2 asked for" in page
    assert "1 was refused since the confirmation" in page
    assert "The job has ended: failed." in page
    assert states([first, second]) == [State.FAILED, State.PIVOTING]
    outcomes = acts().values_list("object_id", "outcome")
    assert set(outcomes) == {(str(first.pk), "refused"), (str(second.pk), "asked")}


def test_sending_it_again_asks_for_nothing_twice(olga: User, host: Host) -> None:
    jobs = many_jobs(host, State.MIRRORING, 2)
    client = signed_in(olga)
    client.post(BULK, told("pivot", jobs))
    again = client.post(BULK, told("pivot", jobs))
    assert again.status_code == 409
    assert "It is pivoting already." in text_of(again)
    assert acts().filter(outcome="asked").count() == 2


def test_a_fault_in_one_is_its_answer_and_not_the_end(
    olga: User, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = many_jobs(host, State.MIRRORING, 2)
    real = actions.perform

    def perform(verb: Any, job: CopyJob, *args: Any) -> None:
        if job.pk == jobs[0].pk:
            raise DatabaseError("disk full")
        real(verb, job, *args)

    monkeypatch.setattr("jobs.actions.bulk.perform", perform)
    page = text_of(signed_in(olga).post(BULK, told("pivot", jobs)))
    assert "1 of 2 asked for" in page
    assert "nothing was changed. disk full" in page
    assert states(jobs) == [State.MIRRORING, State.PIVOTING]


# --- What is to be done is typed -----------------------------------------------------


@pytest.mark.parametrize("typed", ["", "2", "cancel 3 jobs", "pivot 2 jobs"])
def test_the_act_and_the_number_are_typed(olga: User, host: Host, typed: str) -> None:
    jobs = many_jobs(host, State.MIRRORING, 2)
    client = signed_in(olga)
    asked = text_of(client.get(BULK, chosen("cancel", jobs)))
    assert '<bdi class="to-type">cancel 2 jobs</bdi>' in asked
    post = told("cancel", jobs, typed=typed, reason="made room", left="")
    answer = client.post(BULK, post)
    assert answer.status_code == 422
    assert "type “cancel 2 jobs” to confirm." in text_of(answer)
    for kept in ("made room", typed):
        assert f'value="{kept}"' in text_of(answer)
    assert states(jobs) == [State.MIRRORING] * 2
    assert not acts().exists()


def test_for_disks_of_one_domain_its_name_is_typed(olga: User, disk: Disk) -> None:
    second = add_disk(disk.domain, "vdb")
    jobs = [job_in(State.MIRRORING, each) for each in (disk, second)]
    client = signed_in(olga)
    page = text_of(client.get(BULK, chosen("finish", jobs)))
    assert '<bdi class="to-type">web</bdi>' in page
    refused = client.post(BULK, told("finish", jobs, typed="finish 2 jobs"))
    assert refused.status_code == 422
    client.post(BULK, told("finish", jobs, typed=" web "))
    assert states(jobs) == [State.FINISHING] * 2


def test_for_one_job_nothing_is_typed(olga: User, host: Host) -> None:
    jobs = many_jobs(host, State.MIRRORING, 1)
    client = signed_in(olga)
    page = text_of(client.get(BULK, chosen("cancel", jobs)))
    assert 'name="typed"' not in page
    client.post(BULK, told("cancel", jobs))
    assert states(jobs) == [State.CANCELLING]


def test_unless_its_host_is_in_production(olga: User, host: Host) -> None:
    Host.objects.update(production=True)
    jobs = many_jobs(host, State.MIRRORING, 1)
    client = signed_in(olga)
    page = text_of(client.get(BULK, chosen("pivot", jobs)))
    assert '<bdi class="to-type">guest-0</bdi>' in page
    assert "alder is marked as production." in page
    assert client.post(BULK, told("pivot", jobs, typed="")).status_code == 422
    assert states(jobs) == [State.MIRRORING]
    client.post(BULK, told("pivot", jobs, typed="guest-0"))
    assert states(jobs) == [State.PIVOTING]


def test_what_was_never_started_is_withdrawn_at_once(olga: User, host: Host) -> None:
    queued = many_jobs(host, State.QUEUED, 1)
    page = text_of(signed_in(olga).post(BULK, told("cancel", queued)))
    assert "</svg>done</span>" in page
    assert states(queued) == [State.CANCELLED]


# --- All that match ------------------------------------------------------------------


def test_all_that_match_is_frozen_at_the_confirmation(olga: User, host: Host) -> None:
    jobs = many_jobs(host, State.MIRRORING, 2)
    many_jobs(host, State.COPYING, 1)
    client = signed_in(olga)
    query = f"?act=pivot&all=5&state=mirroring&job={jobs[0].pk}"
    page = text_of(client.get(BULK + query))
    assert 'All 2 that matched <bdi class="name">mirroring</bdi>' in page
    assert "The list said 5 when you chose; by now 2 match." in page
    late = job_in(State.MIRRORING, add_disk(add_domain(host, "late")))
    post = told("pivot", jobs[::-1], all="1", filter="state=mirroring")
    done = text_of(client.post(BULK, post))
    assert "1 more job matches the filter by now. It was not confirmed" in done
    assert states([late]) == [State.MIRRORING]


def test_the_list_hands_its_filter_on(olga: User, host: Host) -> None:
    many_jobs(host, State.MIRRORING, 51)
    query = f"?state=mirroring&host={host.pk}"
    page = text_of(signed_in(olga).get(reverse("jobs") + query))
    assert '<input type="hidden" name="state" value="mirroring">' in page
    assert f'<input type="hidden" name="host" value="{host.pk}">' in page
    assert "All 51 that match" in page


def test_too_many(olga: User, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.console.views.bulk.MOST_AT_ONCE", 2)
    jobs = many_jobs(host, State.MIRRORING, 3)
    client = signed_in(olga)
    for answer in (
        client.get(f"{BULK}?act=pivot&all=3"),
        client.get(BULK, chosen("pivot", jobs)),
        client.post(BULK, told("pivot", jobs)),
    ):
        assert answer.status_code == 422
        assert "jobs at a time" in text_of(answer)
    assert states(jobs) == [State.MIRRORING] * 3


# --- Bandwidth -----------------------------------------------------------------------


def test_a_bandwidth_for_several(olga: User, host: Host) -> None:
    jobs = many_jobs(host, State.COPYING, 2)
    client = signed_in(olga)
    wrong = client.post(BULK, told("speed", jobs, bandwidth="fast"))
    assert wrong.status_code == 422
    assert 'value="fast"' in text_of(wrong)
    assert not acts().exists()
    done = text_of(client.post(BULK, told("speed", jobs, bandwidth="50 MiB/s")))
    assert "50 MiB/s each." in done
    asked = CopyJob.objects.values_list("bandwidth_asked", flat=True)
    assert list(asked) == [50 * 2**20] * 2


# --- Retry ---------------------------------------------------------------------------


def failed(disk: Disk, **fields: Any) -> CopyJob:
    destination = f"/srv/new/{disk.pk}.qcow2"
    values = {"destination": destination, "bandwidth": 2**20, "reason": "moving"}
    return job_in(State.FAILED, disk, **{**values, **fields})


def test_a_retry_asks_for_the_same_again(olga: User, host: Host) -> None:
    jobs = [failed(add_disk(add_domain(host, name))) for name in ("a", "b")]
    done = signed_in(olga).post(BULK, told("retry", jobs))
    assert "2 of 2 asked for" in text_of(done)
    again = CopyJob.objects.get(domain_name="a", state=State.QUEUED)
    assert (again.destination, again.bandwidth) == (jobs[0].destination, 2**20)
    assert (again.reason, again.requested_by_name) == ("moving", "olga")
    entry = acts().get(action="request", object_id=str(again.pk))
    assert f"Repeats job {jobs[0].pk}." in entry.intent
    assert jobs[0].events.get().message == f"Retried by olga as job {again.pk}."


@pytest.mark.parametrize("state", [State.PIVOTED, State.COPIED, State.MIRRORING])
def test_only_what_came_to_nothing_is_retried(
    olga: User, disk: Disk, state: State
) -> None:
    job = job_in(state, disk)
    page = text_of(signed_in(olga).get(BULK, chosen("retry", [job])))
    assert f"the job is {state.label}." in page


def why_not(job: CopyJob) -> str:
    return actions.repeat_why_not(CopyJob.objects.get(pk=job.pk))


def test_why_a_job_is_not_retried(disk: Disk, host: Host) -> None:
    job = failed(disk)
    assert why_not(job) == ""
    left = add_leftover(disk, job=job, location=job.destination, kind="partial")
    assert f"is listed as a leftover of job {job.pk}" in why_not(job)
    assert "Remove it first" in why_not(job)
    left.delete()
    other = job_in(
        State.COPYING, add_disk(add_domain(host, "x")), destination=job.destination
    )
    assert f"is the destination of job {other.pk}" in why_not(job)
    other.delete()
    Disk.objects.filter(pk=disk.pk).update(source="/srv/elsewhere.qcow2")
    assert "is on /srv/elsewhere.qcow2 by now" in why_not(job)
    disk.delete()
    assert "has no disk vda any more" in why_not(job)


def test_of_two_for_one_disk_one_is_retried(olga: User, disk: Disk) -> None:
    jobs = [failed(disk), failed(disk, destination="/srv/new/other.qcow2")]
    done = text_of(signed_in(olga).post(BULK, told("retry", jobs)))
    assert "1 of 2 asked for" in done
    assert CopyJob.objects.active().count() == 1


# --- Names, words --------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_text(olga: User, host: Host, name: str) -> None:
    jobs = [job_in(State.MIRRORING, add_disk(add_domain(host, name))) for _ in range(2)]
    client = signed_in(olga)
    asked = client.get(BULK, chosen("pivot", jobs))
    for answer in (asked, client.post(BULK, told("pivot", jobs))):
        page = answer.content.decode()
        assert escape(name) in page
        assert "<img src=x" not in page


def test_a_name_turns_no_sentence_around(olga: User, host: Host) -> None:
    jobs = [
        job_in(State.MIRRORING, add_disk(add_domain(host, name)))
        for name in ("\u202egnp.exe", "plain")
    ]
    page = text_of(signed_in(olga).get(BULK, chosen("pivot", jobs)))
    assert "\u2068\u202egnp.exe\u2069 (vda) and plain (vda) will run" in page


def test_words() -> None:
    assert some(["a"]) == "a"
    assert some(["a", "b"]) == "a and b"
    assert some(["a", "b", "c"]) == "a, b and c"
    assert some(list("abcdefg")) == "a, b, c, d and 3 more"
    assert numbers("3,1,3", 9) == [3, 1]
    for wrong in ("1,x", "-1", "1;2", "²", "1,2,3,4"):
        with pytest.raises(ValueError, match="not a list"):
            numbers(wrong, 3)
