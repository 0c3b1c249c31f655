"""The live check: asked once, kept for a while, heard by pages, used by the request."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import actions, checks, live, reconcile, tasks
from jobs.hypervisor import Evidence, HostUnreachable, HypervisorError, NoAnswer
from jobs.models import AuditEntry, CopyJob, Disk, Host
from jobs.preflight import CopyRequest, Finding, Level, digest, request_to_json
from tests.conftest import actor_of
from tests.fakes import FakeHypervisor
from tests.unit.preflight.cases import evidence, request, to_file
from tests.workers import Workers, workers

__all__ = ["workers"]

# Workers are asked when the transaction is committed.
pytestmark = pytest.mark.django_db(transaction=True)

WARNING = Finding("there_is_room", Level.WARN, "It is tight.", field="destination")
STOPPED = Finding("directory_is_there", Level.STOP, "No directory.", "Make it.")
FINE = Finding("host_answers", Level.PASS, "alder answers.")


@pytest.fixture
def wanted(disk: Disk, workers: Workers) -> CopyRequest:
    return request(disk)


class Examined:
    """A host that shows what a test says, and counts how often it was looked at."""

    def __init__(self) -> None:
        self.answer: Evidence | HypervisorError = evidence()
        self.looks: list[dict[str, Any]] = []

    def __enter__(self) -> Examined:
        return self

    def __exit__(self, *_: object) -> None: ...

    def examine(self, *about: Any, **how: Any) -> Evidence:
        self.looks.append({"about": about, **how})
        if isinstance(self.answer, HypervisorError):
            raise self.answer
        return self.answer


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Examined:
    made = Examined()
    monkeypatch.setattr(reconcile, "connect", lambda host: made)
    return made


# --- Asking ---------------------------------------------------------------------------


def test_a_check_is_asked_of_the_hosts_own_site(
    wanted: CopyRequest, olga: User, workers: Workers
) -> None:
    key = actions.ask_check(wanted, actor_of(olga))
    assert key == digest(wanted)
    assert workers.inbox == [("check_copy", (key, request_to_json(wanted)))]
    assert not AuditEntry.objects.exists(), "looking is no act"


def test_it_is_asked_once_until_it_was_answered_and_is_old(
    wanted: CopyRequest, olga: User, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = actions.ask_check(wanted, actor_of(olga))
    actions.ask_check(wanted, actor_of(olga))
    assert len(workers.inbox) == 1, "one is under way"
    checks.keep(key, [FINE])
    actions.ask_check(wanted, actor_of(olga))
    assert len(workers.inbox) == 1, "the result is fresh"
    monkeypatch.setattr(checks, "FRESH", timedelta(0))
    actions.ask_check(wanted, actor_of(olga))
    assert len(workers.inbox) == 2


def test_a_viewer_makes_no_host_work(
    wanted: CopyRequest, victor: User, workers: Workers
) -> None:
    with pytest.raises(actions.Denied):
        actions.ask_check(wanted, actor_of(victor))
    assert workers.inbox == []


def test_without_redis_there_is_no_check(
    disk: Disk, olga: User, settings: Any, tmp_path: Any
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none"
    live.client.cache_clear()
    try:
        key = actions.ask_check(request(disk), actor_of(olga))
        assert checks.result(key) is None
        assert actions.request_copy(request(disk), actor_of(olga)).pk
    finally:
        live.client.cache_clear()


# --- Looking --------------------------------------------------------------------------


def test_what_was_found_is_kept_and_pages_hear_of_it(
    wanted: CopyRequest, olga: User, workers: Workers, examined: Examined, settings: Any
) -> None:
    settings.BLOCKCOPY_TRANSIENT_POOLS = False
    client: Any = live.client()
    heard = client.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(live.CHANNEL)
    heard.get_message(timeout=1)
    key = actions.ask_check(wanted, actor_of(olga))
    workers.work()
    checked = checks.result(key)
    assert checked is not None
    assert checked.fresh
    assert "there_is_room" in {found.rule for found in checked.findings}
    message = heard.get_message(timeout=1)
    assert json.loads(message["data"]) == {"kind": "check", "key": key}
    domain = wanted.disk.domain.uuid
    assert examined.looks == [
        {"about": (domain, "vda", wanted.destination), "transient_pools": False}
    ]
    heard.close()


def test_a_result_is_forgotten_in_two_minutes(wanted: CopyRequest) -> None:
    checks.keep("key", [FINE])
    assert 110 < live.client().ttl("blockcopy:check:key") <= 120


def test_a_destination_that_makes_no_sense_is_not_looked_up(
    disk: Disk, olga: User, workers: Workers, examined: Examined
) -> None:
    key = actions.ask_check(request(disk, to_file("relative")), actor_of(olga))
    workers.work()
    checked = checks.result(key)
    assert checked is not None
    assert "destination_makes_sense" in {found.rule for found in checked.findings}
    assert examined.looks == []


def test_a_silent_host_is_a_stop_and_is_written_down(
    wanted: CopyRequest, olga: User, workers: Workers, examined: Examined
) -> None:
    examined.answer = HostUnreachable("No route to host")
    key = actions.ask_check(wanted, actor_of(olga))
    workers.work()
    checked = checks.result(key)
    assert checked is not None
    by_rule = {found.rule: found for found in checked.findings}
    assert by_rule["host_answers"].level == Level.STOP
    assert "No route to host" in Host.objects.get().error


def test_a_host_that_answers_again_is_no_longer_called_silent(
    wanted: CopyRequest, olga: User, workers: Workers, examined: Examined
) -> None:
    Host.objects.update(error="No route to host")
    key = actions.ask_check(wanted, actor_of(olga))
    workers.work()
    checked = checks.result(key)
    assert checked is not None
    assert Level.STOP not in {found.level for found in checked.findings}
    assert Host.objects.get().error == ""


def test_a_host_that_can_not_look_is_said_so(
    wanted: CopyRequest, olga: User, workers: Workers, examined: Examined
) -> None:
    examined.answer = NoAnswer("no reply in time")
    key = actions.ask_check(wanted, actor_of(olga))
    workers.work()
    checked = checks.result(key)
    assert checked is not None
    assert checked.findings[-1].rule == "host_was_asked"


def test_a_check_of_what_is_gone_does_nothing(
    wanted: CopyRequest, examined: Examined
) -> None:
    kept = request_to_json(wanted)
    Disk.objects.all().delete()
    tasks.check_copy("key", kept)
    assert checks.result("key") is None


def test_the_fake_host_of_the_engines_tests_can_be_checked(
    host: Host, disk: Disk, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeHypervisor()
    monkeypatch.setattr(reconcile, "connect", lambda host: fake.connection())
    tasks.check_copy("key", request_to_json(request(disk)))
    assert checks.result("key") is not None


# --- What a request makes of it -------------------------------------------------------


def refused(wanted: CopyRequest, olga: User) -> list[str]:
    with pytest.raises(actions.Invalid) as caught:
        actions.request_copy(wanted, actor_of(olga))
    assert not CopyJob.objects.exists()
    return [found.rule for found in caught.value.problems]


def test_stops_and_warnings_of_a_result_refuse(wanted: CopyRequest, olga: User) -> None:
    checks.keep(digest(wanted), [FINE, WARNING, STOPPED])
    assert refused(wanted, olga) == ["directory_is_there", "there_is_room"]


def test_an_accepted_warning_needs_a_reason(
    disk: Disk, wanted: CopyRequest, olga: User
) -> None:
    checks.keep(digest(wanted), [FINE, WARNING])
    accepted = request(disk, accepted=frozenset({"there_is_room"}))
    with pytest.raises(actions.Invalid) as caught:
        actions.request_copy(accepted, actor_of(olga))
    assert [found.field for found in caught.value.problems] == ["reason"]

    why = request(disk, accepted=frozenset({"there_is_room"}), reason="it shrinks")
    job = actions.request_copy(why, actor_of(olga))
    assert job.accepted == ["there_is_room"]
    entry = AuditEntry.objects.get(action="request", outcome="asked")
    assert "Warnings accepted: there_is_room (It is tight.)" in entry.intent
    assert entry.reason == "it shrinks"


def test_a_stop_can_not_be_accepted(
    disk: Disk, wanted: CopyRequest, olga: User
) -> None:
    checks.keep(digest(wanted), [STOPPED])
    accepted = request(disk, accepted=frozenset({STOPPED.rule}), reason="please")
    assert refused(accepted, olga) == ["directory_is_there"]


def test_accepting_beforehand_needs_a_reason_too(
    disk: Disk, workers: Workers, olga: User
) -> None:
    blind = request(disk, accepted=frozenset({"there_is_room"}))
    assert refused(blind, olga) == ["accepted_with_reason"]


def test_accepting_what_nobody_warned_of_needs_none(
    disk: Disk, wanted: CopyRequest, olga: User
) -> None:
    checks.keep(digest(wanted), [FINE])
    idle = request(disk, accepted=frozenset({"there_is_room"}))
    assert actions.request_copy(idle, actor_of(olga)).pk
