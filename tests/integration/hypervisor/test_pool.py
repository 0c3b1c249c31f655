"""Connections: kept, not shared, thrown away when dead, never across fork."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from jobs.hypervisor import (
    Address,
    AddressError,
    AddressPolicy,
    DomainNotFound,
    HostUnreachable,
    Hypervisor,
    close_all,
    connection,
    opening,
)
from jobs.hypervisor.deadline import left_behind
from lab.host import PrivateHost
from tests.integration.conftest import address_of, policy_for
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The URIs that were really opened, beginning without a connection at rest."""
    close_all()
    uris: list[str] = []
    really_open = opening._open

    def count(uri: str) -> object:
        uris.append(uri)
        return really_open(uri)

    monkeypatch.setattr("jobs.hypervisor.opening._open", count)
    yield uris
    close_all()


def ask(host: PrivateHost) -> str:
    with connection(address_of(host), policy_for(host)) as hypervisor:
        return hypervisor.facts().hostname


def test_a_connection_is_used_again(alder: PrivateHost, opened: list[str]) -> None:
    assert [ask(alder), ask(alder), ask(alder)] == ["alder"] * 3
    assert len(opened) == 1


def test_each_host_has_its_own(
    alder: PrivateHost, birch: PrivateHost, opened: list[str]
) -> None:
    assert [ask(alder), ask(birch), ask(alder)] == ["alder", "birch", "alder"]
    assert len(opened) == 2


def test_two_at_a_time_never_share(alder: PrivateHost, opened: list[str]) -> None:
    together = threading.Barrier(2, timeout=10)
    links: list[object] = []

    def work() -> None:
        with connection(address_of(alder), policy_for(alder)) as hypervisor:
            together.wait()
            links.append(hypervisor._link._connection)  # type: ignore[attr-defined]
            together.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 2
    assert links[0] is not links[1]


def test_close_all(alder: PrivateHost, opened: list[str]) -> None:
    with connection(address_of(alder), policy_for(alder)) as hypervisor:
        close_all()
        assert hypervisor.facts().hostname == "alder", "it is closed when given back"
    ask(alder)
    assert len(opened) == 2


def test_rested_for_long_is_closed(
    alder: PrivateHost, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(alder)
    monkeypatch.setattr("jobs.hypervisor.pool.IDLE_SECONDS", -1.0)
    ask(alder)
    assert len(opened) == 2


def test_killed_daemon_is_unreachable_and_back_when_it_is(
    birch: PrivateHost, opened: list[str]
) -> None:
    with connection(address_of(birch), policy_for(birch)) as hypervisor:
        birch.kill()
        with pytest.raises(HostUnreachable) as broken:
            hypervisor.facts()
        assert broken.value.retryable
        with pytest.raises(HostUnreachable):
            ask(birch)
        birch.start()
    assert ask(birch) == "birch"


@pytest.mark.parametrize("trusted", [0.0, 60.0])
def test_daemon_restarted_between_two_uses(
    birch: PrivateHost,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    trusted: float,
) -> None:
    monkeypatch.setattr("jobs.hypervisor.pool.TRUSTED_SECONDS", trusted)
    ask(birch)
    birch.kill()
    birch.start()
    assert ask(birch) == "birch"
    assert len(opened) == 2


@pytest.fixture
def impatient(birch: PrivateHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bounds of seconds instead of tens; birch is thawed afterwards."""
    close_all()
    monkeypatch.setattr("jobs.hypervisor.opening.KEEPALIVE_INTERVAL", 1)
    monkeypatch.setattr("jobs.hypervisor.opening.KEEPALIVE_COUNT", 2)
    monkeypatch.setattr("jobs.hypervisor.opening.OPEN_SECONDS", 1.0)
    yield
    birch.thaw()
    until(lambda: left_behind(birch.uri) == 0)
    close_all()


@pytest.mark.usefixtures("impatient")
def test_frozen_daemon_is_unreachable_within_the_keepalive(birch: PrivateHost) -> None:
    with connection(address_of(birch), policy_for(birch)) as hypervisor:
        hypervisor.facts()
        birch.freeze()
        before = time.monotonic()
        with pytest.raises(HostUnreachable):
            hypervisor.facts()
        assert 1 < time.monotonic() - before < 15


@pytest.mark.usefixtures("impatient")
def test_opening_a_frozen_daemon_is_bounded_and_leaves_one_thread(
    birch: PrivateHost,
) -> None:
    birch.freeze()
    before = time.monotonic()
    for _ in range(5):
        with pytest.raises(HostUnreachable):
            ask(birch)
    assert time.monotonic() - before < 4, "only the first one waits its second"
    assert left_behind(birch.uri) == 1
    birch.thaw()
    until(lambda: left_behind(birch.uri) == 0)
    assert ask(birch) == "birch"


def test_what_opened_too_late_is_there_for_the_next(
    birch: PrivateHost, impatient: None, opened: list[str]
) -> None:
    birch.freeze()
    with pytest.raises(HostUnreachable):
        ask(birch)
    birch.thaw()
    until(lambda: left_behind(birch.uri) == 0)
    assert ask(birch) == "birch"
    assert len(opened) == 1


def test_many_threads_at_a_frozen_daemon_leave_one(
    birch: PrivateHost, impatient: None
) -> None:
    birch.freeze()
    answers: list[bool] = []

    def work() -> None:
        try:
            ask(birch)
        except HostUnreachable:
            answers.append(False)

    threads = [threading.Thread(target=work) for _ in range(6)]
    before = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 6
    assert time.monotonic() - before < 4
    assert left_behind(birch.uri) == 1


def test_a_frozen_host_does_not_delay_another(
    alder: PrivateHost, birch: PrivateHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing talks to the host as well: until its keepalive ends, after 20 s."""
    ask(birch)
    monkeypatch.setattr("jobs.hypervisor.pool.IDLE_SECONDS", -1.0)
    birch.freeze()
    try:
        before = time.monotonic()
        assert ask(alder) == "alder"
        close_all()
        assert time.monotonic() - before < 10
    finally:
        birch.thaw()


def test_no_socket_there(alder: PrivateHost) -> None:
    nowhere = Address("socket", mode="session", socket=f"{alder.socket}-not")
    with (
        pytest.raises(HostUnreachable) as wrong,
        connection(nowhere, policy_for(alder)),
    ):
        pytest.fail("It must not open.")
    assert wrong.value.code == 38


def test_other_mode_is_named(alder: PrivateHost) -> None:
    other = Address("socket", mode="system", socket=str(alder.socket))
    with pytest.raises(HostUnreachable) as wrong, connection(other, policy_for(alder)):
        pytest.fail("It must not open.")
    assert "mode" in wrong.value.cause
    assert not wrong.value.retryable


def test_rows_that_the_policy_no_longer_allows(alder: PrivateHost) -> None:
    with (
        pytest.raises(AddressError),
        connection(address_of(alder), AddressPolicy()),
    ):
        pytest.fail("It must not open.")


FORK = """
import os, sys
from jobs.hypervisor import Address, AddressPolicy, connection

address = Address("socket", mode="session", socket=sys.argv[1])
policy = AddressPolicy(socket_prefixes=(os.path.dirname(sys.argv[1]),))

def ask():
    with connection(address, policy) as hypervisor:
        return hypervisor.facts().hostname

kept = connection(address, policy)
hypervisor = kept.__enter__()
ask()
child = os.fork()
if child == 0:
    try:
        ask()
    except RuntimeError as error:
        print("refused:", error, flush=True)
    sys.exit(7)  # the interpreter ends as it always does
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("used", hypervisor.facts().hostname, "resting", ask())
"""


def test_a_fork_is_refused_and_does_not_harm_its_parent(alder: PrivateHost) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(alder.socket)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    refused, child, parent = done.stdout.splitlines()
    assert refused.startswith("refused: This process was forked")
    assert (child, parent) == ("child 7", "used alder resting alder")


def test_libvirt_prints_nothing(
    hypervisor: Hypervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its client library would write every error to stderr."""
    with pytest.raises(DomainNotFound):
        hypervisor.observe("6b6e6f77-6e2d-4e6f-8768-657265000000")
    assert capfd.readouterr() == ("", "")
