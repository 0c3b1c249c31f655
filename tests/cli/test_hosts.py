"""`blockcopy host …`: by fields, never by a URI."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.models import AuditEntry, Domain, Host, Site, StoragePool
from tests.cli.conftest import Run, Script

pytestmark = pytest.mark.usefixtures("redis")


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (("--transport", "local"), {"mode": "system"}),
        (
            ("--transport", "ssh", "--host-name", "elm.example.org", "--user", "root"),
            {"host_name": "elm.example.org", "user": "root", "port": None},
        ),
        (
            ("--transport", "tls", "--host-name", "elm", "--port", "16514"),
            {"host_name": "elm", "port": 16514},
        ),
        (
            ("--transport", "socket", "--socket", "/run/libvirt/libvirt-sock"),
            {"socket": "/run/libvirt/libvirt-sock"},
        ),
    ],
)
def test_add_a_host_by_its_fields(
    blockcopy: Run, words: tuple[str, ...], fields: dict[str, Any], settings: Any
) -> None:
    settings.BLOCKCOPY_SOCKET_PREFIXES = ["/run/libvirt"]

    done = blockcopy("host", "add", "elm", *words, "--reason", "new rack", "--json")

    assert (done.status, done.err) == (0, "")
    host = Host.objects.get(name="elm")
    assert {name: getattr(host, name) for name in fields} == fields
    assert done.json["host"] == "elm"
    assert done.json["reachable"] is None
    entry = AuditEntry.objects.get(action="add host")
    assert (entry.object_text, entry.outcome) == ("elm", "done")
    assert (entry.channel, entry.reason) == ("cli", "new rack")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("elm", "--transport", "ssh"), "host_name"),
        (
            ("elm", "--transport", "local", "--host-name", "x"),
            "does not use this field",
        ),
        (("elm", "--transport", "tls", "--host-name=-oProxy"), "not a host name"),
        (("elm", "--transport", "ssh", "--host-name", "a?b=c"), "not a host name"),
        (
            ("elm", "--transport", "ssh", "--host-name", "a", "--port", "0"),
            "1 to 65535",
        ),
        (("elm", "--transport", "ssh", "--host-name", "a", "--user", "a b"), "user"),
        (("elm", "--transport", "socket", "--socket", "/etc/passwd"), "not allow"),
        (("a b", "--transport", "local"), "letters, digits"),
        (("alder", "--transport", "local"), "already exists"),
        (("elm", "--transport", "local", "--site", "moon"), "no site moon; known: d"),
    ],
)
def test_a_host_that_makes_no_sense_is_not_added(
    blockcopy: Run, host: Host, words: tuple[str, ...], says: str
) -> None:
    done = blockcopy("host", "add", *words, "--json")

    assert done.status == 1
    assert says in done.json["error"]
    assert Host.objects.count() == 1
    assert not AuditEntry.objects.filter(outcome="done").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("elm",),
        ("elm", "--transport", "ext"),
        ("elm", "--transport", "local", "--mode", "embed"),
        ("elm", "--transport", "ssh", "--host-name", "a", "--port", "ssh"),
        ("elm", "--uri", "qemu+ext:///system?command=/x"),
    ],
)
def test_a_wrong_command_line_adds_nothing(
    blockcopy: Run, db: None, words: tuple[str, ...]
) -> None:
    assert blockcopy("host", "add", *words).status == 2
    assert not Host.objects.exists()


def test_edit_changes_what_is_given(blockcopy: Run, host: Host, site: Site) -> None:
    far = Site.objects.create(name="far")
    words = ("--production", "--site", "far", "--reason", "sold", "--json")

    done = blockcopy("host", "edit", "alder", *words)

    assert (done.status, done.json["production"]) == (0, True)
    host.refresh_from_db()
    assert (host.production, host.site, host.transport) == (True, far, "local")
    entry = AuditEntry.objects.get(action="change host")
    assert entry.intent == "site: default → far, production: False → True"
    assert entry.reason == "sold"
    blockcopy("host", "edit", "alder", "--no-production", "--name", "elder")
    host.refresh_from_db()
    assert (host.production, host.name) == (False, "elder")


def test_edit_to_another_transport_leaves_nothing_of_the_old_one(
    blockcopy: Run, host: Host
) -> None:
    ssh = ("--transport", "ssh", "--host-name", "elm", "--port", "2222", "--user", "x")
    assert blockcopy("host", "edit", "alder", *ssh).status == 0
    assert blockcopy("host", "edit", "alder", "--user", "y").status == 0
    host.refresh_from_db()
    assert (host.host_name, host.port, host.user) == ("elm", 2222, "y")

    assert blockcopy("host", "edit", "alder", "--transport", "local").status == 0

    host.refresh_from_db()
    assert (host.host_name, host.port, host.user) == ("", None, "")


def test_edit_of_what_is_not_there_or_makes_no_sense(
    blockcopy: Run, host: Host, olga: User
) -> None:
    assert blockcopy("host", "edit", "elm", "--production").status == 1
    assert "host_name" in blockcopy("host", "edit", "alder", "--transport", "tls").err
    words = ("host", "edit", "alder", "--production", "--as", "olga")
    assert blockcopy(*words).status == 1
    host.refresh_from_db()
    assert (host.production, host.transport) == (False, "local")


def test_a_host_is_added_as_production(blockcopy: Run, db: None) -> None:
    blockcopy("host", "add", "elm", "--transport", "local", "--production")
    assert Host.objects.get(name="elm").production


def test_only_administrators_add_hosts(
    blockcopy: Run, olga: User, ada: User, db: None
) -> None:
    words = ("host", "add", "elm", "--transport", "local", "--as")

    assert blockcopy(*words, "olga").status == 1
    assert not Host.objects.exists()
    assert AuditEntry.objects.get(action="add host").outcome == "refused"
    assert blockcopy(*words, "ada").status == 0


def test_show_tells_which_options_a_host_lacks(blockcopy: Run, host: Host) -> None:
    Host.objects.update(libvirt_version=7_000_000)

    lacks = blockcopy("host", "show", "alder", "--json").json["lacks"]

    assert lacks.keys() == {"synchronous_writes", "target_zeroed"}
    assert "libvirt 8.0.0" in lacks["synchronous_writes"]
    assert lacks["synchronous_writes"] in blockcopy("host", "show", "alder").out
    Host.objects.update(libvirt_version=None)
    assert blockcopy("host", "show", "alder", "--json").json["lacks"] == {}


def test_list_and_show(
    blockcopy: Run, host: Host, pool: StoragePool, domain: Domain
) -> None:
    [listed] = blockcopy("host", "list", "--json").json
    shown = blockcopy("host", "show", "alder", "--json").json

    assert (listed["host"], listed["reachable"], listed["running"]) == (
        "alder",
        True,
        1,
    )
    assert listed["libvirt_version"] == "9.0.0"
    assert shown["pools"] == [
        {
            "name": "images",
            "kind": "dir",
            "active": True,
            "path": "/srv/images",
            "capacity": 100 * 2**30,
            "allocation": 40 * 2**30,
            "available": 60 * 2**30,
        }
    ]
    assert "60 GiB" in blockcopy("host", "show", "alder").out
    assert blockcopy("host", "show", "elm").status == 1


def test_list_says_why_a_host_does_not_answer(blockcopy: Run, host: Host) -> None:
    Host.objects.update(error="The host does not answer.", error_at=timezone.now())

    assert "no: The host does not answer." in blockcopy("host", "list").out


def test_sync_asks_and_returns(blockcopy: Run, host: Host) -> None:
    done = blockcopy("host", "sync", "alder")

    assert done.status == 0
    assert "asked for" in done.out
    assert AuditEntry.objects.get(action="sync").outcome == "asked"


def test_sync_waits_for_the_inventory(
    blockcopy: Run, domain: Domain, meanwhile: Script
) -> None:
    meanwhile(
        lambda: None,
        lambda: Host.objects.update(synced_at=timezone.now()),
    )

    done = blockcopy("host", "sync", "alder", "--wait", "--json")

    assert (done.status, done.json["domains"]) == (0, 1)


def test_sync_of_a_host_that_does_not_answer_fails(
    blockcopy: Run, host: Host, meanwhile: Script
) -> None:
    meanwhile(
        lambda: Host.objects.update(
            error="The host does not answer.",
            error_remedy="Check that it is up.",
            error_at=timezone.now(),
        )
    )

    done = blockcopy("host", "sync", "alder", "--wait", "--json")

    assert done.status == 1
    assert done.json["error"] == "The host does not answer. Check that it is up."


def test_sync_without_a_worker_says_so(blockcopy: Run, host: Host) -> None:
    done = blockcopy("host", "sync", "alder", "--wait", "--timeout", "0.1")

    assert done.status == 3
    assert "Is a worker running that serves the site default?" in done.err


def test_a_disabled_host_is_neither_synced_nor_tested(
    blockcopy: Run, host: Host
) -> None:
    Host.objects.update(enabled=False)

    for act in ("sync", "test"):
        done = blockcopy("host", act, "alder")
        assert done.status == 1
        assert "disabled" in done.err


def test_a_viewer_neither_syncs_nor_tests(
    blockcopy: Run, host: Host, victor: User
) -> None:
    for act in ("sync", "test"):
        assert blockcopy("host", act, "alder", "--as", "victor").status == 1


@pytest.mark.parametrize(("outcome", "status"), [("done", 0), ("failed", 1)])
def test_a_test_tells_what_came_of_it(
    blockcopy: Run, host: Host, meanwhile: Script, outcome: str, status: int
) -> None:
    # An earlier test's answer must not be taken for this one's.
    audit.record(SYSTEM, "test connection", host, audit.Outcome.DONE, detail="old")
    meanwhile(
        lambda: audit.record(
            SYSTEM, "test connection", host, audit.Outcome(outcome), detail="alder said"
        )
    )

    done = blockcopy("host", "test", "alder", "--wait")

    assert done.status == status
    assert "alder said" in (done.out if status == 0 else done.err)


def test_without_a_database_it_says_so(
    blockcopy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OperationalError("no such table: jobs_host")

    monkeypatch.setattr(Site.objects, "filter", broken)
    done = blockcopy("host", "add", "elm", "--transport", "local", "--json")

    assert done.status == 1
    assert "no such table: jobs_host" in done.json["error"]
    assert "migrate" in done.json["error"]
