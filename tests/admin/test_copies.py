"""The verbs in the admin: asked first, told one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.actor import SYSTEM
from jobs.admin.confirming import AT_ONCE
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Host, Leftover
from jobs.preflight import Finding, Level, findings_to_json
from jobs.transition import move
from tests.conftest import signed_in

LIST = "/admin/jobs/copyjob/"
INTENDED = {
    "pivot": State.PIVOTING,
    "finish": State.FINISHING,
    "cancel": State.CANCELLING,
}


@pytest.fixture
def copying(job: CopyJob) -> CopyJob:
    """A second job, not ready yet."""
    other = CopyJob.objects.get(pk=job.pk)
    other.pk, other.disk, other.state = None, "vdb", State.COPYING
    other._state.adding = True
    other.save()
    return other


def ask(client: Client, verb: str, *jobs: CopyJob) -> Any:
    return client.post(
        LIST, {"action": verb, "_selected_action": [job.pk for job in jobs], "index": 0}
    )


def confirm(
    client: Client, verb: str, *jobs: CopyJob, query: str = "", typed: str = ""
) -> list[str]:
    response = client.post(
        f"{LIST}{query}",
        {
            "action": verb,
            "_selected_action": [job.pk for job in jobs],
            "confirmed": "yes",
            "reason": " tonight ",
            "typed": typed,
        },
        follow=True,
    )
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize("verb", INTENDED)
def test_a_verb_asks_first_and_names_each_consequence(
    administration: Client, job: CopyJob, verb: str
) -> None:
    page = ask(administration, verb, job).content.decode()

    consequence = {
        "pivot": "web will run from /srv/images/web-copy.qcow2",
        "finish": "web stays on /srv/images/web.qcow2",
        "cancel": "what was written to /srv/images/web-copy.qcow2 stays",
    }[verb]
    assert consequence in page
    assert 'name="reason"' in page
    job.refresh_from_db()
    assert job.state == State.MIRRORING


@pytest.mark.parametrize("verb", INTENDED)
def test_a_confirmed_verb_is_carried_out_with_its_reason(
    administration: Client, job: CopyJob, verb: str
) -> None:
    told = confirm(administration, verb, job)

    assert told == [f"{job}: {verb.capitalize()} was asked for."]
    job.refresh_from_db()
    assert job.state == INTENDED[verb]
    entry = AuditEntry.objects.get(action=verb)
    assert (entry.actor, entry.channel, entry.reason) == ("ada", "admin", "tonight")


def test_a_copy_that_waits_for_its_time_is_started(
    administration: Client, job: CopyJob
) -> None:
    tonight = timezone.now() + timedelta(hours=2)
    CopyJob.objects.update(state=State.REQUESTED, start_at=tonight, libvirt_id=None)
    assert "now, and not only at its start time" in str(
        ask(administration, "start", job).content
    )
    assert confirm(administration, "start", job) == [f"{job}: Start now was asked for."]
    job.refresh_from_db()
    assert job.state == State.QUEUED
    page = administration.get(f"{LIST}{job.pk}/change/").content.decode()
    assert "Start at:" in page


def test_what_is_not_possible_is_told_and_not_asked_for(
    administration: Client, job: CopyJob, copying: CopyJob
) -> None:
    page = ask(administration, "pivot", job, copying).content.decode()

    assert "Not possible" in page
    assert f'name="_selected_action" value="{job.pk}"' in page
    assert f'name="_selected_action" value="{copying.pk}"' not in page


def test_without_any_possible_job_there_is_nothing_to_confirm(
    administration: Client, copying: CopyJob
) -> None:
    page = ask(administration, "pivot", copying).content.decode()

    assert "Nothing can be done" in page
    assert "confirmed" not in page


def test_each_job_has_its_own_message(
    administration: Client, job: CopyJob, copying: CopyJob
) -> None:
    told = confirm(administration, "pivot", job, copying, typed="web")

    assert told[0] == f"{job}: Pivot was asked for."
    assert told[1].startswith(f"{copying}: not done.")
    copying.refresh_from_db()
    assert copying.state == State.COPYING


@pytest.mark.parametrize("how", ["two jobs", "a host in production"])
def test_what_would_do_wide_damage_is_typed(
    administration: Client, job: CopyJob, copying: CopyJob, how: str
) -> None:
    Host.objects.update(production=how != "two jobs")
    jobs = [job, copying] if how == "two jobs" else [job]
    page = ask(administration, "cancel", *jobs).content.decode()
    assert "Type <bdi>web</bdi> to confirm" in page
    fields = {
        "action": "cancel",
        "_selected_action": [each.pk for each in jobs],
        "confirmed": "yes",
        "reason": "tonight",
        "typed": "wbe",
    }

    refused = administration.post(LIST, fields)

    assert refused.status_code == 422
    again = refused.content.decode()
    assert "type “web” to confirm." in again
    assert 'value="wbe"' in again
    assert 'value="tonight"' in again
    assert not AuditEntry.objects.filter(action="cancel").exists()
    assert len(confirm(administration, "cancel", *jobs, typed="web")) == len(jobs)
    job.refresh_from_db()
    assert job.state == State.CANCELLING


def test_a_job_that_changed_meanwhile_is_told_although_filtered_away(
    administration: Client, job: CopyJob
) -> None:
    move(job, State.PIVOTING, "By olga.", actor=SYSTEM)

    told = confirm(administration, "cancel", job, query="?state__exact=mirroring")

    assert len(told) == 1
    assert "not done" in told[0]


def test_a_get_does_nothing(administration: Client, job: CopyJob) -> None:
    administration.get(f"{LIST}?action=pivot&_selected_action={job.pk}&confirmed=yes")

    job.refresh_from_db()
    assert job.state == State.MIRRORING


def test_too_many_at_once_is_refused(administration: Client, job: CopyJob) -> None:
    for number in range(AT_ONCE):
        job.pk, job.disk = None, f"vd{number}"
        job._state.adding = True
        job.save()

    response = administration.post(
        LIST,
        {
            "action": "cancel",
            "_selected_action": job.pk,
            "select_across": 1,
            "index": 0,
        },
        follow=True,
    )

    assert f"at most {AT_ONCE}" in str(next(iter(response.context["messages"])))
    assert not AuditEntry.objects.filter(action="cancel").exists()


@pytest.mark.parametrize("who", ["victor", "olga", "otto"])
@pytest.mark.parametrize("verb", INTENDED)
def test_others_do_not_get_there(
    who: str, verb: str, job: CopyJob, victor: User, olga: User, otto: User
) -> None:
    client = signed_in(User.objects.get(username=who))

    response = client.post(
        LIST,
        {"action": verb, "_selected_action": [job.pk], "confirmed": "yes"},
        follow=True,
    )

    assert response.status_code == 403
    job.refresh_from_db()
    assert job.state == State.MIRRORING


def test_the_page_of_a_job_shows_its_history(
    administration: Client, job: CopyJob
) -> None:
    page = administration.get(reverse("admin:jobs_copyjob_change", args=[job.pk]))

    text = page.content.decode()
    assert "In sync." in text
    assert "libvirt&#x27;s default" in text
    assert "&amp;#" not in text


def test_the_page_of_a_job_shows_what_was_found_and_left(
    administration: Client, leftover: Leftover
) -> None:
    job = leftover.job
    room = Finding("there_is_room", Level.WARN, "It can grow to <b>10 GiB</b>.")
    fine = Finding("host_answers", Level.PASS, "alder answers.")
    CopyJob.objects.filter(pk=job.pk).update(
        findings=findings_to_json([fine, room]),
        accepted=["there_is_room"],
        stall_limit=600,
        flagged="No progress for 10 minutes.",
        qemu_text="No space left on device",
        created_volume={"pool": "images", "name": "partial", "path": "/srv/p"},
    )

    page = administration.get(reverse("admin:jobs_copyjob_change", args=[job.pk]))

    text = page.content.decode()
    for words in (
        *("It can grow to &lt;b&gt;10 GiB&lt;/b&gt;.", "1 passed.", "10m without"),
        *("No progress for 10 minutes.", "No space left on device", "3 GiB"),
        *("images/partial (/srv/p)", leftover.location),
    ):
        assert words in text
    assert "alder answers." not in text
    assert "<b>10 GiB" not in text


@pytest.mark.parametrize(("flagged", "shown"), [("", "no"), ("No progress.", "yes")])
def test_jobs_that_reached_a_limit_are_found(
    administration: Client, job: CopyJob, flagged: str, shown: str
) -> None:
    CopyJob.objects.update(flagged=flagged)

    found = {
        answer
        for answer in ("yes", "no")
        if administration.get(f"{LIST}?flagged={answer}").context["cl"].result_count
    }

    assert found == {shown}
