"""An act whose audit entry can't be written does not happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from jobs import accounts, actions, audit, live
from jobs.actor import SYSTEM
from jobs.audit import NotRecorded
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host, Site
from jobs.preflight import CopyRequest
from jobs.transition import move
from tests.conftest import PASSWORD, actor_of, signed_in
from tests.unit.audit.tampering import KEY, TABLE, append, execute
from tests.workers import Workers, workers

__all__ = ["workers"]

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[[User, Client], None]
GOOD_PASSWORD = "seventeen purple elephants"


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    """A copy in its mirroring phase."""
    return CopyJob.objects.create(
        host=disk.domain.host,
        domain=disk.domain,
        host_name="alder",
        domain_name="web",
        domain_uuid=disk.domain.uuid,
        disk="vda",
        source=disk.source,
        destination="/srv/images/copy.qcow2",
        destination_format="qcow2",
        destination_xml="<disk/>",
        requested_by_name="olga",
        state=State.MIRRORING,
        libvirt_id=7,
        started_at=timezone.now(),
    )


@pytest.fixture
def client(ada: User) -> Client:
    """The browser of ada, who may do everything and signed in when all was well."""
    ada.is_staff = ada.is_superuser = True
    ada.save()
    return signed_in(ada)


# --- The acts -------------------------------------------------------------------------


def _verb(name: str) -> Act:
    def act(user: User, client: Client) -> None:
        verb = actions.VERBS[name]
        actions.perform(verb, CopyJob.objects.get(), actor_of(user), "a reason")

    return act


def _request(user: User, client: Client) -> None:
    other = Destination("file", "/srv/images/other.qcow2", "qcow2")
    actions.request_copy(CopyRequest(Disk.objects.get(), other), actor_of(user))


def _speed(user: User, client: Client) -> None:
    actions.set_speed(CopyJob.objects.get(), 2**20, actor_of(user))


def _change_host(user: User, client: Client) -> None:
    host = Host.objects.get()
    host.name = "birch"
    actions.save_host(host, actor_of(user))


def _add_host(user: User, client: Client) -> None:
    host = Host(name="cedar", site=Site.objects.get(), transport="local")
    actions.save_host(host, actor_of(user))


def _sync_host(user: User, client: Client) -> None:
    actions.sync_host(Host.objects.get(), actor_of(user))


def _test_host(user: User, client: Client) -> None:
    actions.test_host(Host.objects.get(), actor_of(user))


def _add_user(user: User, client: Client) -> None:
    accounts.set_up_user("oskar", "operator", GOOD_PASSWORD, actor_of(user))


def _change_site_in_admin(user: User, client: Client) -> None:
    _admin(client, f"/admin/jobs/site/{Site.objects.get().pk}/change/", name="south")


def _add_site_in_admin(user: User, client: Client) -> None:
    _admin(client, "/admin/jobs/site/add/", name="south")


def _admin(client: Client, address: str, **fields: str) -> None:
    client.post(address, fields)


def _sign_in(user: User, client: Client) -> None:
    client.cookies.clear()
    client.post("/login/", {"username": user.username, "password": PASSWORD})


def _move(user: User, client: Client) -> None:
    job = CopyJob.objects.get()
    said = {"action": "pivot", "outcome": audit.Outcome.DONE}
    move(job, State.PIVOTING, "Pivoting.", actor=SYSTEM, audited=said)


def _careless() -> None:
    """Swallow the error, as nobody should."""
    with transaction.atomic():
        Domain.objects.update(name="before")
        with suppress(DatabaseError):
            audit.record(SYSTEM, "rename", None, audit.Outcome.DONE)


ACTS = [
    *(_verb("pivot"), _verb("finish"), _verb("cancel")),
    *(_request, _speed, _change_host, _add_host, _sync_host, _test_host),
    *(_add_user, _change_site_in_admin, _add_site_in_admin, _sign_in, _move),
]


# --- The ways in which it can't be written --------------------------------------------


@pytest.fixture(params=["full", "unsealed"])
def unwritable(request: pytest.FixtureRequest, settings: Any) -> Iterator[None]:
    """A log that takes no entry: when it is appended, or only at the commit."""
    if request.param == "full":
        _refuse_every_entry()
        yield
        return
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    append(1)
    settings.BLOCKCOPY_AUDIT_KEY = ""
    yield


@pytest.fixture(autouse=True)
def _take_new_entries_again() -> Iterator[None]:
    yield
    if connection.vendor == "postgresql":
        execute("DROP FUNCTION IF EXISTS full_log() CASCADE")
    else:
        execute("DROP TRIGGER IF EXISTS full_log")


def _refuse_every_entry() -> None:
    if connection.vendor == "sqlite":
        execute(
            f"CREATE TRIGGER full_log BEFORE INSERT ON {TABLE} "
            "BEGIN SELECT RAISE(ABORT, 'no space left'); END"
        )
        return
    execute(
        "CREATE FUNCTION full_log() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"
    )
    execute(
        f"CREATE TRIGGER full_log BEFORE INSERT ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION full_log()"
    )


# --- What stands ----------------------------------------------------------------------


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table; a session, and when it began, is no act yet."""
    return {
        model._meta.label: [
            {name: value for name, value in row.items() if name != "last_login"}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_models()
        if model._meta.app_label in ("jobs", "auth", "admin")
    }


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What pages were told."""
    told: list[object] = []
    monkeypatch.setattr(live, "_publish", told.append)
    return told


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__.strip("_"))
def test_an_act_without_its_entry_does_not_happen(
    act: Act,
    job: CopyJob,
    ada: User,
    client: Client,
    workers: Workers,
    woken: list[object],
    unwritable: None,
) -> None:
    if act is _request:
        CopyJob.objects.update(state=State.FAILED)
    before = everything()
    with pytest.raises(NotRecorded):
        act(ada, client)
    assert everything() == before
    assert workers.inbox == []
    assert woken == []


def test_nobody_is_signed_in_without_an_entry(
    ada: User, host: Host, unwritable: None
) -> None:
    browser = Client(raise_request_exception=False)
    sent = {"username": "ada", "password": PASSWORD}
    assert browser.post("/login/", sent).status_code == 500
    assert browser.get("/").status_code == 302


def test_nor_when_somebody_swallows_the_error(domain: Domain, unwritable: None) -> None:
    with suppress(NotRecorded):
        _careless()
    domain.refresh_from_db()
    assert domain.name == "web"


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__.strip("_"))
def test_with_its_entry_it_happens(
    act: Act, job: CopyJob, ada: User, client: Client, workers: Workers
) -> None:
    """Otherwise the test above would pass for acts that never do anything."""
    if act is _request:
        CopyJob.objects.update(state=State.FAILED)
    before = everything()
    act(ada, client)
    assert everything() != before
    assert AuditEntry.objects.exists()
