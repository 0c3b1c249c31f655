"""A record is one thing for everybody: what a German's acts write down is English, to
the byte what an Englishman's write; what the German reads meanwhile is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import checks
from jobs.console.copy_form import CopyForm
from jobs.console.forms import LABELS, HostForm
from jobs.console.several import SeveralForm
from jobs.console.strangers import Stranger
from jobs.hypervisor import CopyOptions, Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host, JobEvent, Leftover, StoragePool
from jobs.preflight import CopyRequest, findings_from_json, findings_to_json, preflight
from jobs.preflight.finding import Level
from tests.conftest import PASSWORD, signed_in
from tests.console.fleet_rows import add_domain
from tests.console.rows import add_leftover, job_in, text_of
from tests.language.marks import BEGIN, END, marking

LANGUAGES = ("en", "de")
Act = Callable[[Client], Any]


@pytest.fixture(autouse=True)
def _german_is_marked() -> Iterator[None]:
    with marking():
        yield


def speaking(user: User, language: str) -> Client:
    client = signed_in(user)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
    return client


def written_by(act: Act, user: User, language: str) -> tuple[list[Any], str]:
    """Do `act` and take it back; return all that it wrote down, and its answer."""
    client = speaking(user, language)
    known = set(AuditEntry.objects.values_list("pk", flat=True))
    told = set(JobEvent.objects.values_list("pk", flat=True))
    jobs = set(CopyJob.objects.values_list("pk", flat=True))
    with transaction.atomic():
        answer = act(client)
        entries = AuditEntry.objects.exclude(pk__in=known).order_by("pk")
        kept: list[Any] = [*entries.values_list(*_OF_ENTRIES)]
        events = JobEvent.objects.exclude(pk__in=told).order_by("pk")
        kept += [*events.values_list("level", "message")]
        kept += [*CopyJob.objects.order_by("pk").values_list(*_OF_JOBS)]
        kept += [*Leftover.objects.values_list("removal_asked_by", "removal_reason")]
        new = set(CopyJob.objects.values_list("pk", flat=True)) - jobs
        transaction.set_rollback(True)
    text = json.dumps(kept, default=str, ensure_ascii=False)
    for pk in new:  # a rolled back number is not given again everywhere
        text = re.sub(rf"\b{pk}\b", "NEW", text)
    return json.loads(text), text_of(answer)


_OF_ENTRIES = (
    *("action", "channel", "object_type", "object_text", "intent", "reason"),
    *("outcome", "detail"),
)
_OF_JOBS = ("state", "failure", "remedy", "flagged", "left_behind", "findings")


def assert_one_record(act: Act, user: User) -> str:
    """Return what the German read."""
    english, german = (written_by(act, user, language) for language in LANGUAGES)
    assert english[0] == german[0]
    assert BEGIN not in json.dumps(german[0], ensure_ascii=False)
    assert BEGIN not in english[1]
    assert english[0]
    return german[1]


def post(address: str, **data: str) -> Act:
    return lambda client: client.post(address, data, follow=True)


def verb_of(job: CopyJob, verb: str, **data: str) -> Act:
    return post(reverse("job-verb", args=[job.pk, verb]), **data)


# --- Acts --------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
def test_a_verb(olga: User, disk: Disk, verb: str) -> None:
    job = job_in(State.MIRRORING, disk)
    page = text_of(speaking(olga, "de").get(reverse("job-verb", args=[job.pk, verb])))
    sentence = {
        "pivot": "⟦web will run from /srv/images/",
        "finish": "⟦The mirror ends. web stays on",
        "cancel": "⟦The copy ends. web stays on",
    }
    assert sentence[verb] in page
    done = assert_one_record(verb_of(job, verb, reason="weil es sein muß"), olga)
    assert f"⟦⟦{verb.capitalize()}⟧ of ⟦vda of web⟧ was asked for.⟧" in done


def test_a_refusal(olga: User, victor: User, disk: Disk) -> None:
    job = job_in(State.PIVOTED, disk)
    page = assert_one_record(verb_of(job, "pivot"), olga)
    assert "⟦The job has ended: ⟦pivoted⟧.⟧" in page
    page = assert_one_record(verb_of(job, "pivot"), victor)
    assert "⟦Your role does not allow you to pivot a copy.⟧" in page


def test_a_start_time_and_its_zone(olga: User, disk: Disk) -> None:
    job = job_in(State.REQUESTED, disk, start_at=timezone.now() + timedelta(hours=5))
    assert_one_record(verb_of(job, "start"), olga)


def test_the_bandwidth(olga: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    address = reverse("job-speed", args=[job.pk])
    page = assert_one_record(post(address, bandwidth="1.5 MiB/s"), olga)
    assert "⟦Bandwidth " in page
    assert "1,5 MiB" in page
    page = text_of(speaking(olga, "de").post(address, {"bandwidth": "viel"}))
    assert "⟦“viel” is no size: write for example 100MiB" in page


def test_many_jobs(olga: User, host: Host, disk: Disk) -> None:
    jobs = [job_in(State.MIRRORING, disk), job_in(State.COPYING, _another(host))]
    numbers = ",".join(str(job.pk) for job in jobs)
    data = {"act": "cancel", "jobs": numbers}
    asked = speaking(olga, "de").get(
        reverse("jobs-bulk"), {"act": "cancel", "job": numbers}
    )
    assert "⟦2 copies on alder end: " in text_of(asked)
    typed = f"{BEGIN}cancel 2 jobs{END}"
    for language, words in zip(LANGUAGES, ("cancel 2 jobs", typed), strict=True):
        act = post(reverse("jobs-bulk"), **data, typed=words)
        kept, _page = written_by(act, olga, language)
        assert BEGIN not in json.dumps(kept, ensure_ascii=False)
        assert [entry[0] for entry in kept if len(entry) == 8] == ["cancel", "cancel"]


def _another(host: Host) -> Disk:
    return Disk.objects.create(
        domain=add_domain(host, "db"), target="vda", source="/srv/images/db.qcow2"
    )


def test_an_adoption(olga: User, disk: Disk) -> None:
    Disk.objects.filter(pk=disk.pk).update(
        mirror="/srv/x.qcow2", mirror_job="copy", mirror_kind="file"
    )
    disk.refresh_from_db()
    address = reverse("disk-adopt", args=[disk.pk])
    assert "⟦The copy of vda of web to /srv/x.qcow2 becomes a job" in text_of(
        speaking(olga, "de").get(address)
    )
    page = assert_one_record(post(address, sight=Stranger(disk).sight), olga)
    assert "⟦The copy was adopted as job" in page


def test_a_retry(olga: User, disk: Disk, pool: StoragePool) -> None:
    job = job_in(State.FAILED, disk, destination_format="qcow2")
    act = post(reverse("jobs-bulk"), act="retry", jobs=str(job.pk))
    assert_one_record(act, olga)


def test_a_leftover_s_removal(ada: User, disk: Disk) -> None:
    left = add_leftover(disk)
    address = reverse("leftover-act", args=[left.pk, "remove"])
    page = text_of(speaking(ada, "de").get(address))
    assert "⟦/srv/images/old-0.qcow2, ⟦3 GiB⟧, is deleted on alder for good.⟧" in page
    page = assert_one_record(post(address), ada)
    assert "⟦The removal of /srv/images/old-0.qcow2 was asked for.⟧" in page


def test_a_host(ada: User, host: Host) -> None:
    for name in ("host-sync", "host-test"):
        assert_one_record(post(reverse(name, args=[host.pk])), ada)
    Host.objects.update(enabled=False)
    page = assert_one_record(post(reverse("host-sync", args=[host.pk])), ada)
    assert "⟦alder is disabled; enable it first.⟧" in page


# --- Findings of preflight ---------------------------------------------------------


def test_what_a_worker_found_is_told_in_the_reader_s_language(
    olga: User, disk: Disk, redis: None
) -> None:
    """They come through Redis and stay with the job, in English."""
    found = preflight(
        CopyRequest(disk, Destination("file", disk.source, "qcow2"), CopyOptions())
    )
    kept = json.loads(json.dumps(findings_to_json(found)))
    assert BEGIN not in json.dumps(kept, ensure_ascii=False)
    assert findings_from_json(kept) == found
    checks.keep("key", found)
    again = checks.result("key")
    assert again is not None
    stop = next(each for each in again.findings if each.level == Level.STOP)
    job = job_in(State.FAILED, disk, findings=findings_to_json(found))
    page = text_of(speaking(olga, "de").get(reverse("job", args=[job.pk])))
    assert f"{BEGIN}{stop.cause}{END}" in page
    assert stop.cause == "/srv/images/web.qcow2 is the source itself."


def test_findings_of_an_earlier_release_are_told_as_they_were_kept() -> None:
    kept = {"rule": "there_is_room", "level": "warn", "cause": "It is full."}
    (found,) = findings_from_json([{**kept, "remedy": "", "field": "", "evidence": ""}])
    assert (found.cause, found.level) == ("It is full.", Level.WARN)


# --- Forms ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", [CopyForm, SeveralForm, HostForm])
def test_every_field_has_a_name_to_be_translated(form: Any) -> None:
    fields = form.base_fields.items()
    assert {name for name, field in fields if not field.label} <= LABELS.keys()


def test_a_mistake_is_told_by_the_name_of_its_field(olga: User, disk: Disk) -> None:
    address = f"{reverse('disk-copy', args=[disk.pk])}?bandwidth=viel"
    page = text_of(speaking(olga, "de").get(address))
    assert "“⟦Bandwidth⟧”" in page
    assert "⟦“viel” is no size: write for example 100MiB" in page


# --- Django's own models -------------------------------------------------------------


def test_signing_in(olga: User) -> None:
    """Users are called something else in each language."""
    kept = []
    for language in LANGUAGES:
        client = Client(headers={"accept-language": language})
        page = client.post("/login/", {"username": "olga", "password": PASSWORD})
        assert page.status_code == 302
        entry = AuditEntry.objects.latest("pk")
        kept.append((entry.action, entry.object_type, entry.object_text))
    assert kept == [("sign in", "user", "olga")] * 2


def test_users_and_groups_in_the_administration(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_superuser=True)
    address = reverse("admin:auth_group_add")
    page = assert_one_record(post(address, name="night watch"), ada)
    assert "night watch" in page
