"""Sites and hosts: through the actions, with an audit entry, errors at the fields."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import AuditEntry, CopyJob, Domain, Host, Site
from tests.conftest import signed_in

ADD = "/admin/jobs/host/add/"


def fields(where: Site, **others: object) -> dict[str, object]:
    return {
        **{"name": "elm", "site": where.pk, "enabled": "on", "transport": "tls"},
        **{"host_name": "elm.example.org", "mode": "system", "reason": "new rack"},
        **others,
    }


def test_a_host_is_added_and_audited(administration: Client, site: Site) -> None:
    response = administration.post(ADD, fields(site))

    assert response.status_code == 302
    host = Host.objects.get(name="elm")
    entry = AuditEntry.objects.get(action="add host")
    assert (entry.actor, entry.channel, entry.outcome) == ("ada", "admin", "done")
    assert (entry.object_id, entry.object_text) == (str(host.pk), "elm")
    assert entry.reason == "new rack"
    assert "host_name=elm.example.org" in entry.intent
    assert entry.address == "127.0.0.1"


def test_adding_a_host_asks_for_its_inventory(
    administration: Client,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("jobs.dispatch.sync_host", lambda site, pk: asked.append(site))

    administration.post(ADD, fields(site))

    assert asked == ["default"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"host_name": ""}, "host_name"),
        ({"host_name": "-oProxyCommand=x"}, "host_name"),
        ({"host_name": "elm/system?command=/x"}, "host_name"),
        ({"port": "70000"}, "port"),
        ({"transport": "ssh", "user": "a b"}, "user"),
        ({"transport": "ext"}, "transport"),
        ({"transport": "local"}, "host_name"),
        (
            {"transport": "socket", "host_name": "", "socket": "/etc/passwd"},
            "socket",
        ),
        ({"name": "a b"}, "name"),
        ({"name": "alder"}, "name"),
        ({"mode": "embed"}, "mode"),
        ({"site": "4711"}, "site"),
    ],
)
def test_what_can_not_be_is_told_beside_its_field(
    administration: Client,
    host: Host,
    site: Site,
    changed: dict[str, object],
    field: str,
) -> None:
    response = administration.post(ADD, fields(site, **changed))

    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert Host.objects.count() == 1
    assert not AuditEntry.objects.filter(action="add host").exists()


def test_a_change_tells_what_was_before(
    administration: Client, host: Host, site: Site
) -> None:
    page = reverse("admin:jobs_host_change", args=[host.pk])
    given = fields(site, name="alder", transport="local", host_name="", mode="session")

    assert administration.post(page, given).status_code == 302

    entry = AuditEntry.objects.get(action="change host")
    assert entry.intent == "mode: system → session"


def test_what_the_host_said_is_not_typed(
    administration: Client, host: Host, site: Site
) -> None:
    page = reverse("admin:jobs_host_change", args=[host.pk])

    administration.post(
        page,
        fields(
            site,
            name="alder",
            transport="local",
            host_name="",
            uuid="forged",
            listener="forged",
            error="forged",
        ),
    )

    host.refresh_from_db()
    assert (host.uuid, host.listener, host.error) == ("", "", "")


def test_a_host_with_a_running_copy_stays_in_sight(
    administration: Client, job: CopyJob, site: Site
) -> None:
    page = reverse("admin:jobs_host_change", args=[job.host_id])
    given = fields(site, name="alder", transport="local", host_name="")
    given.pop("enabled")

    assert administration.post(page, given).status_code == 200
    assert Host.objects.get(pk=job.host_id).enabled


@pytest.mark.parametrize(
    ("action", "audited"),
    [("test_connection", "test connection"), ("sync_now", "sync")],
)
def test_the_actions_ask_a_worker_and_say_so(
    administration: Client, host: Host, action: str, audited: str
) -> None:
    disabled = Host.objects.create(
        name="birch", site=host.site, transport="local", enabled=False
    )

    response = administration.post(
        reverse("admin:jobs_host_changelist"),
        {"action": action, "_selected_action": [host.pk, disabled.pk]},
        follow=True,
    )

    told = [str(message) for message in response.context["messages"]]
    assert [line.split(":")[0] for line in told] == ["alder", "birch"]
    assert "asked for" in told[0]
    assert "disabled" in told[1]
    outcomes = AuditEntry.objects.filter(action=audited).order_by("id")
    assert list(outcomes.values_list("object_text", "outcome")) == [
        *(("alder", "asked"), ("birch", "refused")),
    ]


def test_an_administrator_deletes_no_host(administration: Client, host: Host) -> None:
    page = reverse("admin:jobs_host_delete", args=[host.pk])

    assert administration.post(page, {"post": "yes"}).status_code == 403
    assert Host.objects.exists()


def test_a_superuser_deletes_a_host_that_never_had_anything(
    sue: User, host: Host
) -> None:
    page = reverse("admin:jobs_host_delete", args=[host.pk])

    assert signed_in(sue).post(page, {"post": "yes"}).status_code == 302

    assert not Host.objects.exists()
    entry = AuditEntry.objects.get(action="delete host")
    assert (entry.actor, entry.object_id) == ("sue", str(host.pk))


def test_even_a_superuser_deletes_no_host_with_domains(
    sue: User, host: Host, domain: Domain
) -> None:
    page = reverse("admin:jobs_host_delete", args=[host.pk])

    assert signed_in(sue).post(page, {"post": "yes"}).status_code == 403

    assert Domain.objects.exists()
    assert not AuditEntry.objects.filter(action="delete host").exists()


# --- Sites ---------------------------------------------------------------------------


def test_a_site_is_added_changed_and_audited(administration: Client, db: None) -> None:
    given = {"name": "north", "description": "rack 1"}
    administration.post(reverse("admin:jobs_site_add"), given)
    site = Site.objects.get(name="north")
    page = reverse("admin:jobs_site_change", args=[site.pk])
    administration.post(page, {**given, "description": "rack 2"})
    administration.post(page, {**given, "description": "rack 2"})

    entries = AuditEntry.objects.filter(object_type="site").order_by("id")
    assert list(entries.values_list("action", "intent")) == [
        ("add site", "name:  → north, description:  → rack 1"),
        ("change site", "description: rack 1 → rack 2"),
    ]


def test_a_site_whose_entry_can_not_be_written_is_not_added(
    administration: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr("jobs.audit.record", broken)

    with pytest.raises(RuntimeError):
        administration.post(reverse("admin:jobs_site_add"), {"name": "north"})

    assert not Site.objects.filter(name="north").exists()


def test_a_site_name_that_makes_no_queue_is_refused(
    administration: Client, db: None
) -> None:
    response = administration.post(reverse("admin:jobs_site_add"), {"name": "a b"})

    assert "name" in response.context["adminform"].form.errors
