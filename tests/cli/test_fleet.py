"""`blockcopy host|domain|audit|user …`."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from jobs import audit
from jobs.actor import SYSTEM
from jobs.models import AuditEntry, Disk, Domain, Host, Site, StoragePool
from jobs.roles import OPERATOR, VIEWER, role_of
from tests.cli.conftest import Run, Script

pytestmark = pytest.mark.usefixtures("redis")


# --- host ----------------------------------------------------------------------------


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


def test_only_administrators_add_hosts(
    blockcopy: Run, olga: User, ada: User, db: None
) -> None:
    words = ("host", "add", "elm", "--transport", "local", "--as")

    assert blockcopy(*words, "olga").status == 1
    assert not Host.objects.exists()
    assert AuditEntry.objects.get(action="add host").outcome == "refused"
    assert blockcopy(*words, "ada").status == 0


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


# --- domain --------------------------------------------------------------------------


def test_domains_are_listed_without_those_gone(blockcopy: Run, domain: Domain) -> None:
    Domain.objects.create(
        host=domain.host,
        uuid="00000000-0000-4000-8000-000000000001",
        name="old",
        state="shutoff",
        persistent=True,
        seen_at=timezone.now(),
        gone_at=timezone.now(),
    )

    listed = blockcopy("domain", "list", "--host", "alder", "--json").json

    assert [one["domain"] for one in listed] == ["web"]
    assert "web" in blockcopy("domain", "list").out
    assert blockcopy("domain", "list", "--host", "elm").status == 1


def test_a_domain_is_shown_with_disks_and_chains(blockcopy: Run, disk: Disk) -> None:
    shown = blockcopy("domain", "show", "alder", "web", "--json").json
    by_uuid = blockcopy("domain", "show", "alder", shown["uuid"], "--json").json

    assert shown == by_uuid
    [shown_disk] = shown["disks"]
    assert shown_disk["disk"] == "vda"
    assert [link["location"] for link in shown_disk["chain"]] == [
        *("/srv/images/web.qcow2", "/srv/images/base.qcow2"),
    ]
    assert shown_disk["job"] is None
    assert (
        "└ /srv/images/base.qcow2 (qcow2)"
        in blockcopy("domain", "show", "alder", "web").out
    )


def test_of_two_domains_of_one_name_the_present_one_is_meant(
    blockcopy: Run, domain: Domain
) -> None:
    Domain.objects.filter(pk=domain.pk).update(gone_at=timezone.now())
    Domain.objects.create(
        host=domain.host,
        uuid="00000000-0000-4000-8000-000000000002",
        name="web",
        state="running",
        persistent=True,
        seen_at=timezone.now(),
    )

    shown = blockcopy("domain", "show", "alder", "web", "--json").json

    assert shown["uuid"].endswith("2")


# --- audit ---------------------------------------------------------------------------


def test_the_audit_log_is_listed_newest_last(blockcopy: Run, host: Host) -> None:
    for number in range(3):
        audit.record(SYSTEM, f"act {number}", host, audit.Outcome.DONE)
    audit.record(SYSTEM, "act 3", host, audit.Outcome.FAILED)

    def listed(*words: str) -> list[str]:
        entries = blockcopy("audit", "list", *words, "--json").json
        return [entry["action"] for entry in entries]

    assert listed() == ["act 0", "act 1", "act 2", "act 3"]
    assert listed("--limit", "2") == ["act 2", "act 3"]
    assert listed("--outcome", "failed") == ["act 3"]
    assert listed("--action", "act 1") == ["act 1"]
    assert listed("--actor", "olga") == []
    assert "act 3" in blockcopy("audit", "list").out


def test_the_audit_log_of_one_job(blockcopy: Run, disk: Disk) -> None:
    blockcopy("job", "start", "alder", "web", "vda", "--to", "/srv/images/c.qcow2")
    job = blockcopy("job", "list", "--json").json[0]["job"]
    blockcopy("host", "sync", "alder")

    entries = blockcopy("audit", "list", "--job", job, "--json").json

    assert [entry["action"] for entry in entries] == ["request"]


# --- user ----------------------------------------------------------------------------

GOOD = "correct horse battery"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put something on standard input."""
    monkeypatch.delenv("BLOCKCOPY_PASSWORD", raising=False)

    def type_(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    type_("")
    return type_


def test_a_user_is_added_with_a_password_from_the_environment(
    blockcopy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", GOOD)

    done = blockcopy("user", "add", "olga", "--role", "operator", "--json")

    assert done.status == 0
    assert done.json["role"] == "operator"
    assert GOOD not in done.out + done.err
    user = authenticate(username="olga", password=GOOD)
    assert user is not None
    assert role_of(user) == OPERATOR
    acts = AuditEntry.objects.order_by("id").values_list("action", "intent")
    assert list(acts) == [("add user", ""), ("change role", "added operator")]


def test_or_from_standard_input(blockcopy: Run, typed: Any) -> None:
    typed(f"{GOOD}\nnot this\n")

    assert blockcopy("user", "add", "olga", "--role", "operator").status == 0
    assert authenticate(username="olga", password=GOOD)


def test_doing_it_twice_changes_nothing(
    blockcopy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", GOOD)
    words = ("user", "add", "olga", "--role", "operator")
    blockcopy(*words)
    before = (AuditEntry.objects.count(), User.objects.get().password)

    assert blockcopy(*words).status == 0

    assert (AuditEntry.objects.count(), User.objects.get().password) == before


def test_another_role_replaces_the_first(
    blockcopy: Run, olga: User, typed: Any
) -> None:
    password = olga.password

    assert blockcopy("user", "add", "olga", "--role", "viewer").status == 0

    olga.refresh_from_db()
    assert role_of(olga) == VIEWER
    assert olga.password == password
    entry = AuditEntry.objects.get(action="change role")
    assert entry.intent == "added viewer, removed operator"


def test_another_password_is_set_and_audited(
    blockcopy: Run, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", "another horse battery")

    assert blockcopy("user", "add", "olga", "--role", "operator").status == 0

    assert authenticate(username="olga", password="another horse battery")
    assert AuditEntry.objects.get().action == "change password"


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("olga", "", "no password"),
        ("olga", "short", "too short"),
        ("olga", "password", "too common"),
        ("olga-k", "olga-k99", "too similar"),
        ("ol ga", GOOD, "valid username"),
        ("o" * 151, GOOD, "at most 150"),
    ],
)
def test_a_bad_user_is_not_added(
    blockcopy: Run, typed: Any, name: str, password: str, says: str
) -> None:
    typed(password)

    done = blockcopy("user", "add", name, "--role", "operator", "--json")

    assert done.status == 1
    assert says in done.json["error"]
    assert not User.objects.exists()
    assert not AuditEntry.objects.exists()


def test_an_unknown_role_is_a_usage_error(blockcopy: Run, db: None) -> None:
    assert blockcopy("user", "add", "olga", "--role", "king").status == 2
    assert not User.objects.exists()


def test_an_administrator_does_not_take_over_a_superuser(
    blockcopy: Run, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = User.objects.create_superuser("root", password=GOOD)
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", "another horse battery")

    done = blockcopy("user", "add", "root", "--role", "viewer", "--as", "ada")

    assert done.status == 1
    root.refresh_from_db()
    assert root.check_password(GOOD)
    assert AuditEntry.objects.get(action="change user").outcome == "refused"


@pytest.mark.parametrize("name", ["olga", "victor"])
def test_others_add_no_users(
    blockcopy: Run, olga: User, victor: User, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("BLOCKCOPY_PASSWORD", GOOD)

    done = blockcopy("user", "add", "eve", "--role", "administrator", "--as", name)

    assert done.status == 1
    assert not User.objects.filter(username="eve").exists()
    assert AuditEntry.objects.get(action="add user").outcome == "refused"


def test_users_are_listed_with_roles(blockcopy: Run, olga: User, otto: User) -> None:
    listed = blockcopy("user", "list", "--json").json

    assert [(one["user"], one["role"]) for one in listed] == [
        *(("olga", "operator"), ("otto", "")),
    ]
    assert not any("password" in one for one in listed)


# --- everything ----------------------------------------------------------------------


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
