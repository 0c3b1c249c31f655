"""Copies that somebody began elsewhere: told on every page that they concern, adopted
after a question, and shown as what they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs import live
from jobs.actions import adoption_consequence
from jobs.console.strangers import Stranger
from jobs.hypervisor import Progress
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain, add_job
from tests.console.rows import job_in, queries_of, text_of

THERE = "/srv/images/by-virsh.qcow2"
SHOWN = {"mirror_job": "copy", "mirror_kind": "file", "mirror_format": "qcow2"}
ROLE = "Your role does not allow you to adopt a copy."
COMMIT = "It is no copy but a job of another kind (active-commit)."
DIALOG = {"HX-Request": "true", "HX-Target": "dialog-body"}


@pytest.fixture
def stranger(disk: Disk) -> Disk:
    """A disk with a copy that was begun elsewhere."""
    Disk.objects.filter(pk=disk.pk).update(mirror=THERE, **SHOWN)
    disk.refresh_from_db()
    return disk


def pages(disk: Disk) -> dict[str, str]:
    """The pages that tell of a foreign copy on `disk`."""
    domain = disk.domain
    return {
        "overview": reverse("overview"),
        "domain": reverse("domain", args=[domain.pk]),
        "host": reverse("host", args=[domain.host_id]),
    }


def at(disk: Disk) -> str:
    return reverse("disk-adopt", args=[disk.pk])


def sight(disk: Disk) -> str:
    """What the form sends back of what its reader saw."""
    return Stranger(disk).sight


# --- Where it is told ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["overview", "domain", "host"])
class TestPages:
    def test_tells_and_offers(self, where: str, olga: User, stranger: Disk) -> None:
        text = text_of(signed_in(olga).get(pages(stranger)[where]))
        assert THERE in text
        assert "block copy" in text
        assert f'href="{at(stranger)}" hx-get="{at(stranger)}"' in text

    def test_role_greys_it(self, where: str, victor: User, stranger: Disk) -> None:
        text = text_of(signed_in(victor).get(pages(stranger)[where]))
        assert THERE in text
        assert ROLE in text
        assert f'aria-describedby="why-adopt-{stranger.pk}"' in text
        assert at(stranger) not in text

    def test_so_does_another_kind(self, where: str, olga: User, stranger: Disk) -> None:
        Disk.objects.update(mirror_job="active-commit")
        text = text_of(signed_in(olga).get(pages(stranger)[where]))
        assert "active commit" in text
        assert COMMIT in text
        assert at(stranger) not in text

    def test_so_does_a_job_of_ours(
        self, where: str, olga: User, stranger: Disk
    ) -> None:
        job = add_job(stranger)
        text = text_of(signed_in(olga).get(pages(stranger)[where]))
        assert f"Job {job.pk} is on this disk already." in text
        assert at(stranger) not in text

    def test_our_own_is_no_stranger(
        self, where: str, olga: User, stranger: Disk
    ) -> None:
        add_job(stranger, destination=THERE)
        text = text_of(signed_in(olga).get(pages(stranger)[where]))
        assert "not started here" not in text
        assert "adopt" not in text

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_names_are_text(
        self, where: str, name: str, olga: User, stranger: Disk
    ) -> None:
        Domain.objects.update(name=name)
        Disk.objects.update(mirror=f"/srv/{name}")
        text = signed_in(olga).get(pages(stranger)[where]).content.decode()
        assert escape(f"/srv/{name}") in text
        assert f"vda of {escape(name)}</span></a>" in text
        assert "<img" not in text

    def test_more_of_them_take_no_more_queries(
        self, where: str, olga: User, stranger: Disk
    ) -> None:
        client, address = signed_in(olga), pages(stranger)[where]
        job_in(State.COPYING, add_disk(stranger.domain, "vdx"))
        one = queries_of(client, address)
        for letter in "bcde":
            add_disk(stranger.domain, f"vd{letter}", mirror=f"/{letter}", **SHOWN)
            job_in(State.COPYING, Disk.objects.latest("pk"))
        assert queries_of(client, address) == one


def test_the_overview_tells_of_it_first(olga: User, stranger: Disk) -> None:
    job_in(State.COPYING, add_disk(add_domain(stranger.domain.host)))
    text = text_of(signed_in(olga).get("/"))
    assert text.index('id="foreign"') < text.index('id="running"')


def test_also_before_the_first_job(olga: User, stranger: Disk) -> None:
    text = text_of(signed_in(olga).get("/"))
    assert text.index('id="foreign"') < text.index("First steps")


def test_the_overview_shows_some(
    olga: User, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.console.views.overview.MOST_STRANGERS", 2)
    for number in range(3):
        add_disk(add_domain(host, f"web-{number}"), mirror=f"/{number}", **SHOWN)
    text = text_of(signed_in(olga).get("/"))
    assert text.count(">Adopt<span") == 2
    assert "There are more" in text


def test_a_host_shows_its_own(olga: User, host: Host, stranger: Disk) -> None:
    birch = Host.objects.create(name="birch", site=host.site, transport="local")
    text = text_of(signed_in(olga).get(reverse("host", args=[birch.pk])))
    assert THERE not in text


def test_a_silent_host_is_said(olga: User, host: Host, stranger: Disk) -> None:
    Host.objects.update(error="No route.")
    assert "no answer, last seen" in text_of(signed_in(olga).get("/"))


# --- Adopting ------------------------------------------------------------------------


class TestAdopting:
    def test_ladder(self, otto: User, victor: User, olga: User, stranger: Disk) -> None:
        assert Client().get(at(stranger)).status_code == 302
        assert signed_in(otto).get(at(stranger)).status_code == 403
        for method in ("get", "post"):
            refused = getattr(signed_in(victor), method)(at(stranger))
            assert refused.status_code == 403
            assert ROLE in text_of(refused)
        assert signed_in(olga).get("/disks/4711/adopt/").status_code == 404
        assert signed_in(olga).put(at(stranger)).status_code == 405
        assert not CopyJob.objects.exists()
        assert AuditEntry.objects.get(action="adopt").outcome == "refused"

    def test_asks_with_the_consequence(self, olga: User, stranger: Disk) -> None:
        text = text_of(signed_in(olga).get(at(stranger)))
        assert escape(adoption_consequence(stranger)) in text
        assert f'value="{sight(stranger)}"' in text
        assert 'name="reason"' in text
        assert not CopyJob.objects.exists()

    def test_ends_on_the_job_s_page(self, olga: User, stranger: Disk) -> None:
        answer = {"sight": sight(stranger), "reason": "it was mine"}
        done = signed_in(olga).post(at(stranger), answer, follow=True)
        job = CopyJob.objects.get()
        assert done.redirect_chain == [(reverse("job", args=[job.pk]), 302)]
        assert f"The copy was adopted as job {job.pk}." in text_of(done)
        assert (job.destination, job.reason) == (THERE, "it was mine")
        entry = AuditEntry.objects.get(action="adopt")
        assert (entry.actor, entry.outcome) == ("olga", "done")
        assert (entry.channel, entry.reason) == ("console", "it was mine")

    def test_the_dialog_ends_there_too(self, olga: User, stranger: Disk) -> None:
        client = signed_in(olga)
        dialog = client.get(at(stranger), headers=DIALOG)
        assert dialog["X-Fragment"] == "true"
        assert "<html" not in text_of(dialog)
        answer = {"sight": sight(stranger)}
        done = client.post(at(stranger), answer, headers=DIALOG)
        job = CopyJob.objects.get()
        assert done["HX-Redirect"] == reverse("job", args=[job.pk])
        assert "was adopted as job" in text_of(client.get(done["HX-Redirect"]))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"mirror_job": "active-commit"}, COMMIT),
            ({"mirror": ""}, "web shows no copy on vda any more."),
            ({"gone_at": timezone.now()}, "web shows no copy on vda any more."),
        ],
    )
    def test_refusals(
        self, change: dict[str, Any], said: str, olga: User, stranger: Disk
    ) -> None:
        answer = {"sight": sight(stranger)}
        Disk.objects.update(**change)
        client = signed_in(olga)
        for refused in (client.get(at(stranger)), client.post(at(stranger), answer)):
            assert refused.status_code == 409
            assert said in text_of(refused)
        assert not CopyJob.objects.exists()

    def test_only_what_was_confirmed(self, olga: User, stranger: Disk) -> None:
        """Somebody ends that copy and begins another while the question stands."""
        answer = {"sight": sight(stranger)}
        Disk.objects.update(mirror="/srv/images/elsewhere.qcow2")
        refused = signed_in(olga).post(at(stranger), answer, headers=DIALOG)
        assert refused.status_code == 409
        assert refused["X-Fragment"] == "true"
        assert "The host shows another copy by now." in text_of(refused)
        assert not CopyJob.objects.exists()

    def test_once(self, olga: User, victor: User, stranger: Disk) -> None:
        client, answer = signed_in(olga), {"sight": sight(stranger)}
        client.post(at(stranger), answer)
        again = client.post(at(stranger), answer)
        assert again.status_code == 409
        assert "is on this disk already." in text_of(again)
        assert CopyJob.objects.count() == 1


# --- What it is afterwards -----------------------------------------------------------


@pytest.fixture
def adopted(olga: User, stranger: Disk) -> CopyJob:
    signed_in(olga).post(at(stranger), {"sight": sight(stranger)})
    return CopyJob.objects.get()


def job_page(user: User, job: CopyJob) -> str:
    return text_of(signed_in(user).get(reverse("job", args=[job.pk])))


class TestAdoptedJob:
    def test_says_so_and_invents_nothing(
        self, redis: None, victor: User, adopted: CopyJob
    ) -> None:
        text = job_page(victor, adopted)
        assert "the copy was begun elsewhere." in text
        assert "adopted by olga" in text
        assert "asked for by" not in text
        assert "Sent to libvirt" not in text
        assert "<dt>Flags</dt><dd>not known</dd>" in text
        assert "<dt>Granularity</dt><dd>not known</dd>" in text
        assert "unlimited" not in text

    def test_a_bandwidth_that_was_seen_is_told(
        self, redis: None, olga: User, adopted: CopyJob
    ) -> None:
        assert "not known yet" in job_page(olga, adopted)
        live.store_progress({adopted.pk: Progress(1, 100, 0)})
        assert 'value="unlimited"' in job_page(olga, adopted)

    def test_how_long_it_took_is_not_known(self, olga: User, adopted: CopyJob) -> None:
        now = timezone.now()
        CopyJob.objects.update(state=State.PIVOTED, ready_at=now, ended_at=now)
        text = job_page(olga, adopted)
        assert "Was in sync for at least" in text
        assert "<dt>Took</dt>" not in text

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("block", "block device"),
            ("network", "network"),
            ("volume", "volume"),
            ("nvme", "nvme"),
        ],
    )
    def test_goes_wherever_it_goes(
        self, kind: str, said: str, olga: User, adopted: CopyJob
    ) -> None:
        CopyJob.objects.update(destination_kind=kind, destination_format="")
        assert f"format unknown, {said}, 10 GiB" in job_page(olga, adopted)

    def test_any_other_job_says_nothing_of_it(self, olga: User, disk: Disk) -> None:
        text = job_page(olga, job_in(State.COPYING, disk))
        assert "begun elsewhere" not in text
        assert "Sent to libvirt" in text
