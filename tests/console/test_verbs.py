"""Verbs and bandwidth from a page: confirmed by GET, done by POST, refused in words."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs.actions import VERBS
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Host
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk
from tests.console.rows import job_in, text_of

HOUR = timedelta(hours=1)
DIALOG = {"HX-Request": "true", "HX-Target": "dialog-body"}


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    """A job that waits for a decision."""
    return job_in(State.MIRRORING, disk)


def scheduled(disk: Disk) -> CopyJob:
    """A job that waits for its start time."""
    return job_in(
        State.REQUESTED, disk, start_at=timezone.now() + timedelta(hours=2, minutes=14)
    )


def at(job: CopyJob, verb: str = "pivot") -> str:
    return reverse("job-verb", args=[job.pk, verb])


def acts() -> Any:
    """Return the audit entries, apart from that of signing in."""
    return AuditEntry.objects.exclude(action="sign in")


def state_of(job: CopyJob) -> str:
    return CopyJob.objects.get(pk=job.pk).state


# --- The ladder ----------------------------------------------------------------------


@pytest.mark.parametrize("verb", list(VERBS))
def test_a_verb_works(olga: User, disk: Disk, verb: str) -> None:
    job = scheduled(disk) if verb == "start" else job_in(State.MIRRORING, disk)
    before, client = job.state, signed_in(olga)
    question = client.get(at(job, verb))
    assert question.status_code == 200
    assert escape(VERBS[verb].consequence(job)) in text_of(question)
    assert state_of(job) == before
    done = client.post(at(job, verb), {"reason": "quiet hour"}, follow=True)
    assert done.redirect_chain == [(reverse("job", args=[job.pk]), 302)]
    assert state_of(job) == VERBS[verb].intended
    assert "was asked for" in text_of(done)
    entry = AuditEntry.objects.get(action=verb)
    assert (entry.actor, entry.outcome, entry.reason) == ("olga", "asked", "quiet hour")
    assert entry.channel == "console"
    told = job.events.get().message
    assert told == f"{VERBS[verb].label} asked for by olga: “quiet hour”."


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_only_a_post_acts(olga: User, job: CopyJob, method: str) -> None:
    getattr(signed_in(olga), method)(at(job))
    assert state_of(job) == State.MIRRORING
    assert not acts().exists()


def test_who_is_not_signed_in_acts_on_nothing(job: CopyJob) -> None:
    assert Client().post(at(job)).status_code == 302
    assert state_of(job) == State.MIRRORING


def test_a_viewer_may_not(victor: User, job: CopyJob) -> None:
    client = signed_in(victor)
    assert client.get(at(job)).status_code == 403
    assert not acts().exists()
    refused = client.post(at(job))
    assert refused.status_code == 403
    assert "Your role does not allow you to pivot a copy." in text_of(refused)
    assert state_of(job) == State.MIRRORING
    assert acts().get().outcome == "refused"


def test_who_has_no_role_may_not_even_look(otto: User, job: CopyJob) -> None:
    assert signed_in(otto).post(at(job)).status_code == 403
    assert state_of(job) == State.MIRRORING
    assert not acts().exists()


def test_what_is_not_there(olga: User, job: CopyJob) -> None:
    client = signed_in(olga)
    assert client.post(reverse("job-verb", args=[10**6, "pivot"])).status_code == 404
    assert client.post(at(job, "explode")).status_code == 404
    assert client.get(at(job, "explode")).status_code == 404


# --- Not possible now ----------------------------------------------------------------


def test_pivot_before_ready(olga: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    client = signed_in(olga)
    for answer in (client.get(at(job)), client.post(at(job))):
        assert answer.status_code == 409
        assert "Possible once source and destination are in sync" in text_of(answer)
        assert "</svg>copying</span>" in text_of(answer)
    assert state_of(job) == State.COPYING


def test_a_second_click_does_no_harm(olga: User, job: CopyJob) -> None:
    client = signed_in(olga)
    client.post(at(job))
    again = client.post(at(job))
    assert again.status_code == 409
    assert "It is pivoting already." in text_of(again)
    assert AuditEntry.objects.filter(action="pivot", outcome="asked").count() == 1


def test_who_comes_second_sees_the_fresh_state(
    olga: User, job: CopyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody cancels between the read and the conditional update."""

    def cancelled_meanwhile(*args: Any, **kwargs: Any) -> bool:
        CopyJob.objects.update(state=State.CANCELLING)
        return False

    monkeypatch.setattr("jobs.actions.verbs.move", cancelled_meanwhile)
    answer = signed_in(olga).post(at(job))
    assert answer.status_code == 409
    assert "Somebody was first: the job is cancelling now." in text_of(answer)
    assert "</svg>cancelling</span>" in text_of(answer)


def test_an_ended_job(olga: User, disk: Disk) -> None:
    job = job_in(State.PIVOTED, disk)
    answer = signed_in(olga).post(at(job, "cancel"))
    assert answer.status_code == 409
    assert "The job has ended: pivoted." in text_of(answer)


# --- A finish, and a host that does not answer ---------------------------------------


def test_a_finish_says_what_it_does_for_either_choice(olga: User, job: CopyJob) -> None:
    """The box decides which of the two is seen, without JavaScript too."""
    page = text_of(signed_in(olga).get(at(job, "finish")))
    as_it_is = "is kept as it is at that moment, "
    frozen = f"{as_it_is}with the guest&#x27;s file systems frozen if its agent answers"
    assert re.search(f'<p class="text-break if-guest">[^<]*{frozen}', page)
    crash = f"{as_it_is}as after a power cut.</p>"
    assert re.search(f'<p class="text-break if-crash">[^<]*{crash}', page)
    assert "if-guest" not in text_of(signed_in(olga).get(at(job, "pivot")))


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
@pytest.mark.parametrize(
    "silence", [{"error": "No route."}, {"last_seen_at": timezone.now() - HOUR}]
)
def test_a_verb_that_has_to_wait_for_its_host_says_so(
    olga: User, job: CopyJob, verb: str, silence: dict[str, Any]
) -> None:
    waits = "There is no word from alder now: this is written down"
    client = signed_in(olga)
    assert waits not in text_of(client.get(at(job, verb)))
    Host.objects.update(**silence)
    assert waits in text_of(client.get(at(job, verb)))
    CopyJob.objects.update(state=State.QUEUED, libvirt_id=None)
    assert waits not in text_of(client.get(at(job, "cancel")))


# --- On a host in production ---------------------------------------------------------


@pytest.fixture
def production(job: CopyJob) -> CopyJob:
    """The same job, on a host that is marked as production."""
    Host.objects.update(production=True)
    return CopyJob.objects.get(pk=job.pk)


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
@pytest.mark.parametrize("headers", [{}, DIALOG])
def test_in_production_the_domain_s_name_is_typed(
    olga: User, production: CopyJob, verb: str, headers: dict[str, str]
) -> None:
    client, address = signed_in(olga), at(production, verb)
    question = text_of(client.get(address, headers=headers))
    assert 'Type <bdi class="to-type">web</bdi> to confirm' in question
    assert "alder is marked as production." in question
    for typed in ("", "Web", "webb"):
        post = {"typed": typed, "reason": "tonight"}
        refused = client.post(address, post, headers=headers)
        assert refused.status_code == 422
        assert "type “web” to confirm." in text_of(refused)
        for kept in ("tonight", typed):
            assert f'value="{kept}"' in text_of(refused)
        assert ("X-Fragment" in refused) == bool(headers)
    assert state_of(production) == State.MIRRORING
    assert not acts().exists()
    done = client.post(address, {"typed": " web"}, headers=headers)
    assert done.status_code == (204 if headers else 302)
    assert state_of(production) == VERBS[verb].intended


def test_elsewhere_nothing_is_typed(olga: User, job: CopyJob) -> None:
    assert 'name="typed"' not in text_of(signed_in(olga).get(at(job)))


def test_nor_before_what_reaches_no_host(olga: User, disk: Disk) -> None:
    Host.objects.update(production=True)
    job = job_in(State.QUEUED, disk)
    client = signed_in(olga)
    assert 'name="typed"' not in text_of(client.get(at(job, "cancel")))
    later = scheduled(add_disk(job.domain, "vdb"))
    assert 'name="typed"' not in text_of(client.get(at(later, "start")))
    client.post(at(job, "cancel"))
    assert state_of(job) == State.CANCELLED


def test_who_may_not_is_told_that_first(victor: User, production: CopyJob) -> None:
    refused = signed_in(victor).post(at(production), {"typed": "no"})
    assert refused.status_code == 403
    assert acts().get().outcome == "refused"


def test_a_choice_survives_a_slip(olga: User, production: CopyJob) -> None:
    CopyJob.objects.update(consistent=True)
    post = {"typed": "wbe", "asks_consistent": "1"}
    refused = signed_in(olga).post(at(production, "finish"), post)
    assert 'name="consistent" checked' not in text_of(refused)
    post["consistent"] = "on"
    refused = signed_in(olga).post(at(production, "finish"), post)
    assert 'name="consistent" checked' in text_of(refused)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        (HOSTILE_NAMES[0], HOSTILE_NAMES[0]),
        (HOSTILE_NAMES[1], HOSTILE_NAMES[1]),
        ("\u202egnp.exe", "gnp.exe"),
        ("web  🦊 ne\u0301e", "web 🦊 n\u00e9e"),
        ("\u200b", "6f9619ff-8b86-4011-b42d-00cf4fc964ff"),
    ],
)
def test_any_name_can_be_typed(
    olga: User, production: CopyJob, name: str, typed: str
) -> None:
    CopyJob.objects.update(domain_name=name)
    client = signed_in(olga)
    page = client.get(at(production)).content.decode()
    assert f'<bdi class="to-type">{escape(typed)}</bdi>' in page
    assert "<img src=x" not in page
    client.post(at(production), {"typed": typed})
    assert state_of(production) == State.PIVOTING


def test_a_name_turns_no_sentence_around(olga: User, job: CopyJob) -> None:
    CopyJob.objects.update(
        domain_name="\u2069\u202egnp.exe", destination="/srv/\u202ea"
    )
    client = signed_in(olga)
    page = text_of(client.get(at(job)))
    assert "\u2068\u202egnp.exe\u2069 will run from \u2068/srv/\u202ea\u2069." in page
    done = text_of(client.post(at(job), follow=True))
    assert "Pivot of vda of \u2068\u202egnp.exe\u2069 was asked for." in done


# --- In the dialog -------------------------------------------------------------------


def test_the_dialog_gets_the_question_alone(olga: User, job: CopyJob) -> None:
    answer = signed_in(olga).get(at(job), headers=DIALOG)
    assert text_of(answer).startswith('<form class="confirm" method="post"')
    assert "<html" not in text_of(answer)


def test_the_dialog_is_told_what_was_done(olga: User, job: CopyJob) -> None:
    answer = signed_in(olga).post(at(job), headers=DIALOG)
    assert answer.status_code == 204
    told = json.loads(answer["HX-Trigger"])["done"]
    assert told["text"] == "Pivot of vda of web was asked for."
    assert told["url"] == reverse("job", args=[job.pk])


def test_a_refusal_is_shown_in_the_dialog(victor: User, olga: User, disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    for user, status in ((victor, 403), (olga, 409)):
        answer = signed_in(user).post(at(job), headers=DIALOG)
        assert answer.status_code == status
        assert answer["X-Fragment"] == "true"
        assert text_of(answer).startswith('<div class="confirm">')


# --- Bandwidth -----------------------------------------------------------------------


def speed(client: Client, job: CopyJob, typed: str, **headers: Any) -> Any:
    address = reverse("job-speed", args=[job.pk])
    return client.post(address, {"bandwidth": typed}, **headers)


@pytest.mark.parametrize(
    ("typed", "words"),
    [("50 MiB/s", "50 MiB/s"), ("0", "unlimited"), ("unlimited", "unlimited")],
)
def test_the_bandwidth_is_asked_for(
    olga: User, job: CopyJob, typed: str, words: str
) -> None:
    answer = speed(signed_in(olga), job, typed, follow=True)
    assert f"Bandwidth {words} was asked for." in text_of(answer)
    assert AuditEntry.objects.get(action="speed").intent.startswith(
        f"bandwidth {words}"
    )


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("77 elephants", "is no size"),
        ("-1", "is no size"),
        ("", "Write a bandwidth"),
        (str(2**63), "bandwidth must be a whole number"),
        ("9" * 39, "bandwidth must be a whole number"),
    ],
)
def test_a_bandwidth_that_makes_no_sense(
    olga: User, job: CopyJob, typed: str, words: str
) -> None:
    page = speed(signed_in(olga), job, typed)
    assert page.status_code == 422
    assert words in text_of(page)
    assert f'value="{typed}"' in text_of(page)
    assert 'aria-describedby="speed-hint speed-error" aria-invalid="true"' in text_of(
        page
    )
    fragment = speed(signed_in(olga), job, typed, headers=DIALOG)
    assert fragment["X-Fragment"] == "true"
    assert text_of(fragment).startswith('<p class="field-error">')
    assert not AuditEntry.objects.filter(outcome="asked").exists()


def test_a_bandwidth_may_have_a_reason(olga: User, job: CopyJob) -> None:
    client, address = signed_in(olga), reverse("job-speed", args=[job.pk])
    post = {"bandwidth": "fast", "reason": "backup window"}
    assert 'value="backup window"' in text_of(client.post(address, post))
    client.post(address, {**post, "bandwidth": "50 MiB/s"})
    entry = AuditEntry.objects.get(action="speed", outcome="asked")
    assert entry.reason == "backup window"
    told = job.events.get().message
    assert told == "Bandwidth 50 MiB/s asked for by olga: “backup window”."


def test_the_bandwidth_s_ladder(
    victor: User, otto: User, olga: User, disk: Disk
) -> None:
    job = job_in(State.COPYING, disk)
    address = reverse("job-speed", args=[job.pk])
    assert signed_in(olga).get(address).status_code == 405
    assert speed(Client(), job, "1M").status_code == 302
    assert speed(signed_in(otto), job, "1M").status_code == 403
    assert speed(signed_in(victor), job, "1M").status_code == 403
    assert signed_in(olga).post(reverse("job-speed", args=[10**6])).status_code == 404
    CopyJob.objects.update(state=State.PIVOTED)
    refused = speed(signed_in(olga), job, "1M")
    assert refused.status_code == 409
    assert not AuditEntry.objects.filter(outcome="asked").exists()
