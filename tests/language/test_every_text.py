"""Every text of every page goes through gettext: read in a language that marks them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs import actions
from jobs.actions import BULK_ACTS
from jobs.console.urls import urlpatterns
from jobs.lifecycle import State
from jobs.models import Disk, Domain, Host, StoragePool
from tests.conftest import signed_in
from tests.console.fleet_rows import add_disk
from tests.language.marks import marking
from tests.language.reading import GERMAN, read
from tests.language.world import World, furnish

pytestmark = pytest.mark.usefixtures("redis")

# They show nothing to read, or lead to a page that is read.
SILENT = {
    *("stream", "texts", "logout", "preferences", "host-sync", "host-test"),
    *("job-events", "job-speed", "view-act"),
    "styleguide",  # for those who make the pages; in English
}


WRONG_HOSTS: tuple[dict[str, Any], ...] = (
    {},
    {"name": "!", "site": "!", "transport": "ssh", "host_name": "-", "port": 0},
    {"name": "x", "site": "x", "transport": "socket", "socket": "/etc", "mode": "x"},
    {"name": "alder", "site": "x", "transport": "local", "user": "!"},
)
WRONG_COPIES: tuple[dict[str, Any], ...] = (
    {},
    {"destination": "x", "device": "x", "volume": "/", "servers": "!", "xml": "<"},
    {"bandwidth": "x", "granularity": "1000", "buf_size": "1", "stall_limit": "x"},
    {"destination": "/srv/images/web.qcow2", "format": "raw", "shallow": "on"},
    {"destination": "/srv/images/n-1.raw", "format": "qcow2", "when_ready": "pivot"},
    {"device": "/n-1", "format": "raw", "when_ready": "finish", "consistent": "on"},
    {"volume": "n-1", "pool": "images", "format": "raw", "when_ready": "finish"},
    {"xml": "<disk/>", "servers": "h-1", "name": "n-1", "protocol": "nbd"},
)


@pytest.fixture(autouse=True)
def _marked() -> Iterator[None]:
    with marking():
        yield


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker answers here, so nobody waits for one."""
    monkeypatch.setattr("jobs.console.views.copy.ANSWER_SECONDS", 0)
    monkeypatch.setattr("jobs.console.views.copy_several.ANSWER_SECONDS", 0)


@pytest.fixture
def world(ada: User, disk: Disk, pool: StoragePool) -> World:
    return furnish(ada, disk, pool)


def lists() -> dict[str, str]:
    return {
        "overview": reverse("overview"),
        "jobs": reverse("jobs"),
        "no jobs": reverse("jobs") + "?q=nothing",
        "jobs by filters": reverse("jobs")
        + "?state=failed-or-lost&host=alder&within=24h&q=w&sort=-host",
        "jobs by a wrong filter": reverse("jobs") + "?colour=red&state=blue",
        "views": reverse("views"),
        "hosts": reverse("hosts"),
        "hosts by filters": reverse("hosts") + "?reach=silent&q=b",
        "hosts by a wrong filter": reverse("hosts") + "?reach=x&colour=red",
        "host-add": reverse("host-add"),
        "domains": reverse("domains"),
        "domains by filters": reverse("domains") + "?state=running&q=w&host=alder",
        "domains by a wrong filter": reverse("domains") + "?state=x&colour=red",
        "copy-new": reverse("copy-new"),
        "no copy-new": reverse("copy-new") + "?q=nothing",
        "storage": reverse("storage"),
        "storage by filters": reverse("storage") + "?host=alder&q=i",
        "leftovers": reverse("leftovers"),
        "leftovers that were removed": reverse("leftovers") + "?state=removed",
        "no leftovers": reverse("leftovers") + "?q=nothing",
        "audit": reverse("audit"),
        "audit by filters": reverse("audit") + "?outcome=failed&since=2026-01-01",
        "audit of an object": reverse("audit") + "?object_type=copyjob&object_id=1",
        "audit by a wrong filter": reverse("audit") + "?since=yesterday",
        "account": reverse("account"),
        "password": reverse("password"),
        "a page that is not there": "/nothing/",
        "jobs-bulk": reverse("jobs-bulk") + "?act=pivot",
        "audit-export": reverse("audit-export", args=["jsonl"]) + "?since=yesterday",
    }


@pytest.mark.parametrize("place", lists())
def test_lists_and_forms_with_nothing_in_them(ada: User, place: str) -> None:
    read(signed_in(ada).get(lists()[place], headers=GERMAN))


@pytest.mark.parametrize("place", lists())
def test_lists_and_forms_with_a_fleet(world: World, place: str) -> None:
    read(signed_in(world.reader).get(lists()[place], headers=GERMAN))


# --- Jobs ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_a_job_in_each_state(world: World, state: State) -> None:
    address = reverse("job", args=[world.jobs[state].pk])
    read(signed_in(world.reader).get(address, headers=GERMAN))


def test_other_jobs(world: World) -> None:
    client = signed_in(world.reader)
    for job in world.more:
        read(client.get(reverse("job", args=[job.pk]), headers=GERMAN))


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel", "start"])
@pytest.mark.parametrize("state", [State.REQUESTED, State.MIRRORING, State.COPIED])
def test_a_verb_before_it_is_carried_out(world: World, verb: str, state: State) -> None:
    address = reverse("job-verb", args=[world.jobs[state].pk, verb])
    read(signed_in(world.reader).get(address, headers=GERMAN))


@pytest.mark.parametrize("act", BULK_ACTS)
def test_an_act_on_many(world: World, act: str) -> None:
    client = signed_in(world.reader)
    address = reverse("jobs-bulk")
    query = {"act": act, "all": "9"}
    read(client.get(address, query, headers=GERMAN))
    jobs = ",".join(str(job.pk) for job in world.jobs.values())
    wrong = {"act": act, "jobs": jobs, "typed": "x", "bandwidth": "x"}
    read(client.post(address, wrong, headers=GERMAN))
    able = [world.jobs[State.MIRRORING], world.jobs[State.COPYING]]
    typed = actions.to_type_for_many(BULK_ACTS[act], able)
    pks = ",".join(str(job.pk) for job in able)
    done = {"act": act, "jobs": pks, "typed": typed, "bandwidth": "1 MiB"}
    read(client.post(address, done, headers=GERMAN))


def test_what_a_speed_may_not_be(world: World) -> None:
    address = reverse("job-speed", args=[world.jobs[State.COPYING].pk])
    read(signed_in(world.reader).post(address, {"bandwidth": "x"}, headers=GERMAN))


# --- Hosts, domains, disks -----------------------------------------------------------


def test_hosts(world: World) -> None:
    client = signed_in(world.reader)
    for host in Host.objects.all():
        read(client.get(reverse("host", args=[host.pk]), headers=GERMAN))
    client.post(reverse("host-test", args=[world.host.pk]), headers=GERMAN)
    read(client.get(reverse("host", args=[world.host.pk]), headers=GERMAN))


def test_a_host_that_is_wrong(world: World) -> None:
    client = signed_in(world.reader)
    for address in (
        reverse("host-edit", args=[world.silent.pk]),
        reverse("host-add"),
    ):
        read(client.get(address, headers=GERMAN))
        for wrong in WRONG_HOSTS:
            read(client.post(address, wrong, headers=GERMAN))


def test_domains(world: World) -> None:
    client = signed_in(world.reader)
    for disk in (world.disk, world.stranger, world.odd):
        address = reverse("domain", args=[disk.domain_id])
        read(client.get(address, headers=GERMAN))
    for domain in Domain.objects.exclude(gone_at=None):
        read(client.get(reverse("domain", args=[domain.pk]), headers=GERMAN))


def test_an_adoption(world: World) -> None:
    client = signed_in(world.reader)
    for disk in (world.stranger, world.disk):
        read(client.get(reverse("disk-adopt", args=[disk.pk]), headers=GERMAN))


@pytest.mark.parametrize("kind", ["file", "block", "volume", "network", "xml"])
def test_a_new_copy(world: World, kind: str) -> None:
    client = signed_in(world.reader)
    address = reverse("disk-copy", args=[world.disk.pk])
    read(client.get(address, {"destination_kind": kind}, headers=GERMAN))
    for wrong in WRONG_COPIES:
        typed = {"destination_kind": kind, "check": "1", **wrong}
        read(client.post(address, typed, headers=GERMAN))


def test_a_copy_once_more(world: World) -> None:
    client = signed_in(world.reader)
    address = reverse("disk-copy", args=[world.disk.pk])
    job = world.jobs[State.PIVOTED]
    for query in ({"repeats": job.pk}, {"back": job.pk}):
        read(client.get(address, query, headers=GERMAN))


def test_several_disks(world: World) -> None:
    client = signed_in(world.reader)
    disks = [world.disk, add_disk(world.disk.domain, "vdb")]
    address = reverse("domain-copy", args=[world.disk.domain_id])
    chosen = {"disk": [disk.pk for disk in disks]}
    read(client.get(address, chosen, headers=GERMAN))
    for wrong in ({"check": "1"}, {"bandwidth": "x", "pattern": "/"}):
        read(client.post(address, chosen | wrong, headers=GERMAN))


# --- The rest ------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["remove", "withdraw"])
def test_an_act_on_a_leftover(world: World, act: str) -> None:
    client = signed_in(world.reader)
    for leftover in world.leftovers:
        address = reverse("leftover-act", args=[leftover.pk, act])
        read(client.get(address, headers=GERMAN))


def test_whoever_may_not(victor: User, otto: User, disk: Disk) -> None:
    for user in (victor, otto):
        client = signed_in(user)
        for address in ("/", "/hosts/add/", reverse("disk-copy", args=[disk.pk])):
            read(client.get(address, headers=GERMAN))


def test_whoever_is_not_signed_in(db: None) -> None:
    address = reverse("login")
    for page in (address, f"{address}?next=/jobs/"):
        read(Client().get(page, headers=GERMAN))
    wrong = {"username": "x", "password": "x"}
    read(Client().post(address, wrong, headers=GERMAN))
    strict = Client(enforce_csrf_checks=True)
    read(strict.post(address, wrong, headers=GERMAN))


def test_what_was_chosen_wrongly(world: World) -> None:
    client = signed_in(world.reader)
    read(client.post(reverse("account"), {"time_zone": "x"}, headers=GERMAN))
    read(client.post(reverse("password"), {"old_password": "x"}, headers=GERMAN))
    view = {"name": "", "query": "state=failed"}
    read(client.post(reverse("views"), view, headers=GERMAN))


def test_mistakes_of_the_console(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("jobs.console.views.overview.at_work", fails)
    client = signed_in(world.reader)
    client.raise_request_exception = False
    read(client.get("/", headers=GERMAN))


def test_no_address_is_left_out() -> None:
    """A page that is new is read here too, or named as one without texts."""
    source = Path(__file__).read_text("utf-8")
    for pattern in urlpatterns:
        assert f'"{pattern.name}"' in source, f"{pattern.name} is not read"
