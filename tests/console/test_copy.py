"""New copy: choosing a disk, the preview that starts nothing, and the start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs.console.job_xml import indented
from jobs.lifecycle import State
from jobs.models import AuditEntry, ChainLink, CopyJob, Disk, Domain, Host, StoragePool
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain, add_job
from tests.console.rows import queries_of, text_of

TYPED = {
    "destination": "/srv/images/new.qcow2",
    "destination_kind": "file",
    "format": "qcow2",
    "when_ready": "wait",
    "bandwidth": "100 MiB",
    "granularity": "64KiB",
    "buf_size": "",
    "reason": "the old pool is worn",
}
HTMX = {"HX-Request": "true", "HX-Target": "preview"}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker answers here, so nobody waits for one."""
    monkeypatch.setattr("jobs.console.views.copy.ANSWER_SECONDS", 0)


def address_of(disk: Disk) -> str:
    return reverse("disk-copy", args=[disk.pk])


def preview(client: Client, disk: Disk, **typed: str) -> str:
    """Return what the page refreshes while one types."""
    response = client.post(
        address_of(disk), {**TYPED, "check": "1", **typed}, headers=HTMX
    )
    assert response.status_code == 200
    return text_of(response)


# --- Choosing a disk ------------------------------------------------------------------


class TestChoosing:
    def choose(self, user: User, text: str = "", **headers: str) -> str:
        response = signed_in(user).get(
            reverse("copy-new"), {"q": text}, headers=headers or None
        )
        assert response.status_code == 200
        return text_of(response)

    def test_ladder(self, otto: User, victor: User, disk: Disk) -> None:
        address = reverse("copy-new")
        assert signed_in(otto).get(address).status_code == 403
        assert signed_in(victor).post(address).status_code == 405

    def test_finds_by_a_part_of_the_name(self, olga: User, disk: Disk) -> None:
        other = add_disk(add_domain(disk.domain.host, "mail"))
        text = self.choose(olga, "we")
        assert address_of(disk) in text
        assert address_of(other) not in text

    def test_leaves_out_what_is_off(self, olga: User, disk: Disk) -> None:
        Domain.objects.update(libvirt_id=None, state="shutoff")
        assert address_of(disk) not in self.choose(olga, "web")

    def test_says_why_a_disk_cannot_be_chosen(self, olga: User, disk: Disk) -> None:
        job = add_job(disk)
        text = self.choose(olga)
        assert f"Job {job.pk} is mirroring on this disk." in text
        assert address_of(disk) not in text

    def test_refreshes_only_the_list(self, olga: User, disk: Disk) -> None:
        headers = {"HX-Request": "true", "HX-Target": "choices"}
        text = self.choose(olga, "web", **headers)
        assert address_of(disk) in text
        assert "<html" not in text

    def test_needs_no_more_queries_for_more_domains(
        self, olga: User, disk: Disk
    ) -> None:
        client, address = signed_in(olga), reverse("copy-new")
        one = queries_of(client, address)
        for number in range(5):
            add_disk(add_domain(disk.domain.host, f"d{number}"))
        assert queries_of(client, address) == one <= 9


# --- The ladder of the form ----------------------------------------------------------


def test_starts_a_copy(olga: User, disk: Disk) -> None:
    response = signed_in(olga).post(address_of(disk), TYPED)
    job = CopyJob.objects.get()
    assert response.status_code == 302
    assert response.url == reverse("job", args=[job.pk])  # type: ignore[attr-defined]
    assert job.state == State.QUEUED
    assert job.destination == "/srv/images/new.qcow2"
    assert (job.bandwidth, job.granularity, job.buf_size) == (100 * 2**20, 65536, 0)
    assert (job.requested_by, job.reason) == (olga, "the old pool is worn")


def test_says_what_was_asked_for(olga: User, disk: Disk) -> None:
    page = signed_in(olga).post(address_of(disk), TYPED, follow=True)
    assert f"Job {CopyJob.objects.get().pk} was requested." in text_of(page)


@pytest.mark.parametrize("when_ready", ["wait", "pivot", "finish"])
def test_keeps_the_options(when_ready: str, olga: User, disk: Disk) -> None:
    chosen = {"shallow": "on", "reuse_external": "on", "synchronous_writes": "on"}
    signed_in(olga).post(
        address_of(disk), {**TYPED, **chosen, "when_ready": when_ready}
    )
    job = CopyJob.objects.get()
    assert job.when_ready == when_ready
    assert job.options.shallow
    assert job.options.reuse_external
    assert job.options.synchronous_writes


def test_a_get_starts_nothing(olga: User, disk: Disk) -> None:
    for headers in ({}, HTMX):
        signed_in(olga).get(address_of(disk), TYPED, headers=headers)
    assert not CopyJob.objects.exists()
    assert not AuditEntry.objects.filter(action="request").exists()


@pytest.mark.parametrize("button", ["check", "place"])
def test_check_and_place_start_nothing(button: str, olga: User, disk: Disk) -> None:
    typed = {**TYPED, button: "/srv/fast/new.qcow2", "synchronous_writes": "on"}
    response = signed_in(olga).post(address_of(disk), typed)
    assert response.status_code == 200
    assert not CopyJob.objects.exists()
    form = response.context["form"]
    placed = button == "place"
    expected = "/srv/fast/new.qcow2" if placed else TYPED["destination"]
    assert form["destination"].value() == expected
    assert form["synchronous_writes"].value()
    assert form["reason"].value() == TYPED["reason"]
    assert expected in response.context["preview"].xml


def test_pools_with_files_are_offered(
    olga: User, disk: Disk, pool: StoragePool
) -> None:
    text = text_of(signed_in(olga).get(address_of(disk)))
    assert 'name="place" value="/srv/images/web-vda-' in text
    StoragePool.objects.update(kind="logical")
    assert 'name="place"' not in text_of(signed_in(olga).get(address_of(disk)))


def test_the_viewer_sees_the_page_and_why_he_cannot_start(
    victor: User, disk: Disk
) -> None:
    text = text_of(signed_in(victor).get(address_of(disk)))
    assert "Your role does not allow you to start a copy." in text
    assert signed_in(victor).post(address_of(disk), TYPED).status_code == 403
    assert not CopyJob.objects.exists()
    entry = AuditEntry.objects.get(action="request")
    assert (entry.actor, entry.outcome) == ("victor", "refused")


def test_the_outsider_sees_nothing(otto: User, disk: Disk) -> None:
    assert signed_in(otto).get(address_of(disk)).status_code == 403
    assert signed_in(otto).post(address_of(disk), TYPED).status_code == 403


def test_no_such_disk(olga: User, db: None) -> None:
    address = reverse("disk-copy", args=[4711])
    assert signed_in(olga).get(address).status_code == 404
    assert signed_in(olga).post(address, TYPED).status_code == 404


# --- Bad input ------------------------------------------------------------------------

BACKING = "/srv/images/base.qcow2"
BAD_INPUT = [
    ("destination", "images/new.qcow2", "must be an absolute path"),
    ("destination", "", "has no path"),
    ("destination", "/srv/../etc/shadow", "without “..”"),
    ("destination", "/srv/images/web.qcow2", "is the source itself"),
    ("destination", BACKING, "is the source itself"),
    ("destination", "/srv/images/promised.qcow2", "is the destination of job"),
    ("destination", "/" + "x" * 300, "too long"),
    ("format", "vmdk", "not one of the available choices"),
    ("destination_kind", "nowhere", "not one of the available choices"),
    ("when_ready", "explode", "not one of the available choices"),
    ("granularity", "3", "power of two"),
    ("granularity", "256", "between 512 bytes and 64 MiB"),
    ("granularity", "128 MiB", "between 512 bytes and 64 MiB"),
    ("granularity", "-512", "is no size"),
    ("bandwidth", "-1", "is no size"),
    ("bandwidth", "fast", "is no size"),
    ("bandwidth", "0.2", "less than one byte"),
    ("bandwidth", "9000 PiB", "0 to 2⁶³ - 1"),
    ("bandwidth", "9" * 5000, "too long"),
    ("buf_size", "9999999 TiB", "0 to 2⁶³ - 1"),
    ("buf_size", "-1", "is no size"),
]


@pytest.fixture
def mail(disk: Disk) -> Disk:
    """A disk of another host with a backing file, and a job on it."""
    birch = Host.objects.create(
        name="birch", site=disk.domain.host.site, transport="local"
    )
    mail = add_disk(add_domain(birch, "mail"), source="/srv/images/mail.qcow2")
    ChainLink.objects.create(
        disk=mail, depth=1, location="/srv/images/mail-base.qcow2", kind="file"
    )
    add_job(mail, destination="/srv/images/promised.qcow2")
    return mail


@pytest.mark.parametrize(("field", "value", "said"), BAD_INPUT)
def test_bad_input_is_refused_beside_its_field(
    field: str, value: str, said: str, olga: User, disk: Disk, mail: Disk
) -> None:
    response = signed_in(olga).post(address_of(disk), {**TYPED, field: value})
    assert response.status_code == 422
    assert said in " ".join(response.context["form"].errors[field])
    assert escape(said) in text_of(response)
    assert CopyJob.objects.get().disk == mail.target  # nothing was added


@pytest.mark.parametrize(("field", "value", "said"), BAD_INPUT)
def test_bad_input_is_told_while_one_types(
    field: str, value: str, said: str, olga: User, disk: Disk, mail: Disk
) -> None:
    assert escape(said) in preview(signed_in(olga), disk, **{field: value})


@pytest.mark.parametrize("name", ["mail.qcow2", "mail-base.qcow2"])
def test_a_file_of_another_host_is_not_overwritten(
    name: str, olga: User, disk: Disk, mail: Disk
) -> None:
    """A new file may have the same name there; storage may be shared, too."""
    typed = {"destination": f"/srv/images/{name}"}
    assert "vda of mail on birch uses" in preview(signed_in(olga), disk, **typed)
    typed |= {"reuse_external": "on"}
    assert "is in use by vda of mail on birch" in preview(
        signed_in(olga), disk, **typed
    )
    response = signed_in(olga).post(address_of(disk), {**TYPED, **typed})
    assert response.status_code == 422


def test_a_warning_of_the_inventory_must_be_accepted_too(
    olga: User, disk: Disk
) -> None:
    Disk.objects.update(persistent_source="/srv/images/other.qcow2")
    client = signed_in(olga)
    response = client.post(address_of(disk), TYPED)
    assert response.status_code == 422
    verdict = response.context["verdict"]
    tokens = [shown.token for shown in verdict.open_warnings]
    assert tokens
    assert (
        client.post(address_of(disk), {**TYPED, "accepted": tokens}).status_code == 302
    )


def test_nothing_typed_is_lost(olga: User, disk: Disk) -> None:
    typed = {**TYPED, "granularity": "3", "synchronous_writes": "on"}
    response = signed_in(olga).post(address_of(disk), typed)
    text = text_of(response)
    for value in ("/srv/images/new.qcow2", "100 MiB", "3"):
        assert f'value="{value}"' in text
    assert "the old pool is worn" in text
    form = response.context["form"]
    assert form["synchronous_writes"].value() is True


def test_everything_wrong_is_said_at_once(olga: User, disk: Disk) -> None:
    typed = {**TYPED, "bandwidth": "fast", "destination": "relative"}
    errors = signed_in(olga).post(address_of(disk), typed).context["form"].errors
    assert set(errors) == {"bandwidth", "destination"}


def test_cause_and_remedy_are_told_apart(olga: User, disk: Disk) -> None:
    text = preview(signed_in(olga), disk, destination=disk.source)
    assert "/srv/images/web.qcow2 is the source itself." in text
    assert "Choose a path that no disk, backing chain or copy uses." in text


@pytest.mark.parametrize(
    ("shallow_format", "said"),
    [("raw", "needs a format with a backing file"), ("qcow2", "no backing file")],
)
def test_shallow_needs_a_chain_and_a_format(
    shallow_format: str, said: str, olga: User, disk: Disk
) -> None:
    plain = add_disk(disk.domain, "vdb")
    typed = {**TYPED, "shallow": "on", "format": shallow_format}
    response = signed_in(olga).post(address_of(plain), typed)
    assert said in " ".join(response.context["form"].errors["shallow"])


@pytest.mark.parametrize(
    ("model", "change", "said"),
    [
        (Domain, {"libvirt_id": None, "state": "shutoff"}, "web is not running."),
        (Domain, {"gone_at": timezone.now()}, "web is no longer on alder."),
        (Disk, {"gone_at": timezone.now()}, "web has no disk vda any more."),
        (Disk, {"mirror": "/by/hand"}, "it was not started here"),
        (Disk, {"device": "cdrom"}, "vda is a cdrom"),
        (Host, {"enabled": False}, "alder is disabled."),
    ],
)
def test_a_disk_that_cannot_be_copied(
    model: Any, change: dict[str, Any], said: str, olga: User, disk: Disk
) -> None:
    model.objects.update(**change)
    client = signed_in(olga)
    assert said in text_of(client.get(address_of(disk)))
    response = client.post(address_of(disk), TYPED)
    assert response.status_code == 422
    assert said in text_of(response)
    assert not CopyJob.objects.exists()


def test_a_disk_with_a_job(olga: User, disk: Disk) -> None:
    job = add_job(disk, State.COPYING)
    response = signed_in(olga).post(address_of(disk), TYPED)
    assert f"Job {job.pk} is active on this disk (copying)." in text_of(response)
    assert CopyJob.objects.count() == 1


# --- The preview ----------------------------------------------------------------------


class TestPreview:
    def test_shows_the_exact_xml(self, olga: User, disk: Disk) -> None:
        typed = {**TYPED, "check": "1"}
        response = signed_in(olga).post(address_of(disk), typed, headers=HTMX)
        xml = response.context["preview"].xml
        assert ElementTree.fromstring(xml).find("driver") is not None
        assert escape(indented(xml)) in response.content.decode()
        signed_in(olga).post(address_of(disk), TYPED)
        assert CopyJob.objects.get().destination_xml == xml

    def test_is_a_fragment(self, olga: User, disk: Disk) -> None:
        assert "<html" not in preview(signed_in(olga), disk)

    def test_echoes_exact_bytes(self, olga: User, disk: Disk) -> None:
        text = preview(signed_in(olga), disk, bandwidth="1.5 GB/s")
        assert "1500000000" in text

    def test_names_the_flags(self, olga: User, disk: Disk) -> None:
        text = preview(signed_in(olga), disk, shallow="on")
        assert "VIR_DOMAIN_BLOCK_COPY_SHALLOW" in text
        assert "VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB" in text
        Domain.objects.update(persistent=False)
        assert "TRANSIENT_JOB" not in preview(signed_in(olga), disk)

    @pytest.mark.parametrize(
        ("when_ready", "said"),
        [
            ("wait", "until a person pivots, finishes or cancels"),
            ("pivot", "/srv/images/web.qcow2 stays and goes stale"),
            ("finish", "as after a power cut"),
        ],
    )
    def test_states_the_consequence(
        self, when_ready: str, said: str, olga: User, disk: Disk
    ) -> None:
        assert said in preview(signed_in(olga), disk, when_ready=when_ready)

    def test_shows_the_room_of_the_pool(
        self, olga: User, disk: Disk, pool: StoragePool
    ) -> None:
        StoragePool.objects.update(available=2**30)
        text = preview(signed_in(olga), disk)
        assert '<bdi class="name">images</bdi>' in text
        assert "<strong>1 GiB</strong> free" in text

    def test_says_that_the_host_is_silent(self, olga: User, disk: Disk) -> None:
        text = preview(signed_in(olga), disk)
        assert "alder was not asked yet" in text or "asking alder" in text
        seen = timezone.now() - timedelta(minutes=2)
        Host.objects.update(
            error="The host does not answer. (no route)", last_seen_at=seen
        )
        text = preview(signed_in(olga), disk)
        assert "alder does not answer. (no route)" in text
        assert "The host does not answer" not in text
        assert "asked yet" not in text
        assert "asking" not in text
        assert "2 min ago" in text

    def test_a_state_that_is_old_looks_old(self, olga: User, disk: Disk) -> None:
        client = signed_in(olga)
        assert "state-green stale" not in text_of(client.get(address_of(disk)))
        Host.objects.update(error="The host does not answer.")
        assert "state-green stale" in text_of(client.get(address_of(disk)))

    def test_promises_nothing_while_something_is_wrong(
        self, olga: User, disk: Disk
    ) -> None:
        text = preview(signed_in(olga), disk, granularity="3")
        assert "Nothing would be started." in text
        assert "keeps running while" not in text

    def test_what_is_typed_is_never_in_an_address(self, olga: User, disk: Disk) -> None:
        """Addresses are in logs and histories; the form is sent in the body."""
        text = text_of(signed_in(olga).get(address_of(disk)))
        assert f'hx-post="{address_of(disk)}" hx-vals=\'{{"check": "1"}}\'' in text
        assert "hx-get" not in text.partition('id="copy-form"')[2].partition(">")[0]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_are_text(name: str, olga: User, disk: Disk) -> None:
    Domain.objects.update(name=name)
    Disk.objects.update(source=f"/{name}")
    StoragePool.objects.update(name=name)
    client = signed_in(olga)
    bad = client.post(address_of(disk), {**TYPED, "destination": name, "reason": name})
    pages = (
        client.get(reverse("copy-new")),
        client.get(address_of(disk)),
        client.get(address_of(disk), {"destination": "/new"}, headers=HTMX),
        bad,
    )
    for response in pages:
        html = response.content.decode()
        assert escape(name) in html
        assert "<img" not in html
