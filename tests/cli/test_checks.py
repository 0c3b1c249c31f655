"""`blockcopy job check`, and what `job start` does with what the host says."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs.commandline import starting
from jobs.models import AuditEntry, CopyJob, Disk, Domain
from jobs.preflight import Finding, Level
from tests.cli.conftest import Run, Says
from tests.cli.copies import START, TO, the_job

pytestmark = pytest.mark.usefixtures("redis")

CHECK = ("job", "check", "alder", "web", "vda", "--to", TO)
ROOM = Finding(
    "there_is_room",
    Level.WARN,
    "The copy of vda can grow to 10 GiB; images has 9 GiB free.",
    "It needs 4 GiB for now.",
    "destination",
)
SNAPSHOTS = Finding("snapshots_stay_valid", Level.WARN, "web has 1 snapshot: before.")
LESS = Finding("guest_can_do_less", Level.NOTICE, "libvirt refuses a save meanwhile.")
IN_USE = Finding(
    "destination_is_nobodys", Level.STOP, f"{TO} is the source of vda of db.", "Choose."
)
FINE = Finding("host_answers", Level.PASS, "alder answers.")
ACCEPT = ("--accept", "there_is_room", "--reason", "thin on purpose")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a worker that does not answer."""
    monkeypatch.setattr(starting, "LOOK_FIRST", 0.05)
    monkeypatch.setattr(starting, "CHECK_EXPIRES", 0.05)


# --- Checking ------------------------------------------------------------------------


@pytest.mark.parametrize("words", [CHECK, (*START, "--to", TO, "--dry-run")])
def test_a_check_that_finds_nothing_grave_is_a_success(
    blockcopy: Run, disk: Disk, host_says: Says, words: tuple[str, ...]
) -> None:
    host_says(FINE, LESS)

    done, as_json = blockcopy(*words), blockcopy(*words, "--json").json

    assert (done.status, done.err) == (0, "")
    assert "notice  guest_can_do_less  libvirt refuses a save" in done.out
    assert "1 rule passed" in done.out
    assert (as_json["ok"], as_json["destination"]) == (True, TO)
    assert as_json["xml"].startswith("<disk")
    assert as_json["check"]["at"]
    assert [found["rule"] for found in as_json["check"]["findings"]] == [
        *("host_answers", "guest_can_do_less"),
    ]
    assert not CopyJob.objects.exists()


@pytest.mark.parametrize("grave", [ROOM, IN_USE])
def test_a_check_with_a_stop_or_an_open_warning_is_a_failure(
    blockcopy: Run, disk: Disk, host_says: Says, grave: Finding
) -> None:
    host_says(FINE, LESS, grave)

    done, as_json = blockcopy(*CHECK), blockcopy(*CHECK, "--json")

    assert done.status == as_json.status == 1
    assert f"would be refused: {grave.rule}." in done.err
    assert done.out.splitlines()[1].startswith(str(grave.level))  # the gravest first
    assert ("--accept there_is_room --reason TEXT" in done.err) == (grave is ROOM)
    assert as_json.json["ok"] is False
    assert as_json.json["error"] == done.err.strip()
    assert not CopyJob.objects.exists()


def test_an_accepted_warning_does_not_fail_a_check(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(ROOM)

    done, as_json = blockcopy(*CHECK, *ACCEPT), blockcopy(*CHECK, *ACCEPT, "--json")

    assert done.status == as_json.status == 0
    assert "accepted  there_is_room" in done.out
    assert as_json.json["check"]["findings"][0]["accepted"] is True


def test_a_stop_is_not_overridden_by_accepting_it(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(IN_USE)
    words = ("--accept", IN_USE.rule, "--reason", "please")

    assert blockcopy(*CHECK, *words).status == 1
    assert blockcopy(*START, "--to", TO, *words).status == 1
    assert not CopyJob.objects.exists()


def test_without_an_answer_a_check_fails_after_its_time(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(None)

    done = blockcopy(*CHECK, "--timeout", "0.05", "--json")

    assert done.status == 3
    assert "Is a worker running" in done.json["error"]
    assert (done.json["ok"], done.json["check"]) == (False, None)


def test_what_the_database_refuses_is_told_without_an_answer_too(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(None)
    Domain.objects.update(libvirt_id=None, state="shutoff")

    done = blockcopy(*CHECK, "--json")

    assert done.status == 1
    assert done.json["check"]["at"] is None
    levels = {found["rule"]: found["level"] for found in done.json["check"]["findings"]}
    assert levels["domain_is_running"] == "stop"
    assert levels["destination_is_free"] == "pass"


def test_a_check_is_for_those_who_may_start(
    blockcopy: Run, disk: Disk, victor: User
) -> None:
    done = blockcopy(*CHECK, "--as", "victor")

    assert done.status == 1
    assert "Your role does not allow you to start a copy" in done.err


def test_hostile_words_of_a_host_stay_in_their_cell(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(Finding("host_answers", Level.NOTICE, "fine\x1b[2J\nstop  x  y"))

    out = blockcopy(*CHECK).out

    assert "\x1b" not in out
    assert not any(line.startswith("stop") for line in out.splitlines())


# --- Starting ------------------------------------------------------------------------


def test_a_start_shows_what_should_be_known_and_starts(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(FINE, LESS)

    done = blockcopy(*START, "--to", TO)

    assert done.status == 0
    assert "guest_can_do_less" in done.err
    assert "host_answers" not in done.err
    assert done.out == f"Job {the_job().pk} copies {disk.source} to {TO}.\n"


def test_a_start_as_json_has_the_findings_and_nothing_beside_it(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(FINE, LESS)

    done = blockcopy(*START, "--to", TO, "--json")

    assert (done.status, done.err) == (0, "")
    assert len(done.json["check"]["findings"]) == 2


def test_warnings_refuse_and_say_how_to_accept_them(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(ROOM, SNAPSHOTS)

    done = blockcopy(*START, "--to", TO, *ACCEPT)
    as_json = blockcopy(*START, "--to", TO, *ACCEPT, "--json").json

    assert done.status == 1
    assert "web has 1 snapshot" in done.err
    assert "Accept with: --accept snapshots_stay_valid --reason TEXT" in done.err
    assert [problem["rule"] for problem in as_json["problems"]] == [SNAPSHOTS.rule]
    assert not CopyJob.objects.exists()
    assert AuditEntry.objects.filter(action="request", outcome="refused").exists()


def test_accepted_warnings_start_and_are_kept_with_the_reason(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(ROOM, SNAPSHOTS)

    done = blockcopy(*START, "--to", TO, *ACCEPT, "--accept", SNAPSHOTS.rule)

    assert done.status == 0
    assert set(the_job().accepted) == {ROOM.rule, SNAPSHOTS.rule}
    assert the_job().reason == "thin on purpose"
    entry = AuditEntry.objects.get(action="request")
    assert "there_is_room" in entry.intent + entry.detail
    assert entry.reason == "thin on purpose"


def test_without_an_answer_a_start_says_so_and_goes_on(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(None)

    done = blockcopy(*START, "--to", TO)

    assert done.status == 0
    assert "Nothing came back from alder" in done.err
    assert "looked at again" in done.err
    assert the_job().destination == TO


def test_without_an_answer_the_json_says_so(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(None)

    done = blockcopy(*START, "--to", TO, "--json")

    assert (done.status, done.err, done.json["check"]) == (0, "", None)


def test_what_the_database_refuses_waits_for_nobody(
    blockcopy: Run, disk: Disk, host_says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "LOOK_FIRST", 600)
    host_says(None)
    Domain.objects.update(libvirt_id=None, state="shutoff")

    done = blockcopy(*START, "--to", TO)

    assert done.status == 1
    assert "web is not running" in done.err


def test_limits_endings_and_flags_are_kept_with_the_job(
    blockcopy: Run, disk: Disk
) -> None:
    done = blockcopy(
        *(*START, "--to", TO, "--when-ready", "finish", "--consistent"),
        *("--stall-limit", "10m", "--total-limit", "2h", "--at-limit", "cancel"),
        "--json",
    )

    assert done.status == 0, done.err
    job = the_job()
    assert (job.stall_limit, job.total_limit, job.at_limit) == (600, 7200, "cancel")
    assert job.consistent
    assert done.json["stall_limit"] == 600
    shown = blockcopy("job", "show", job.pk).out
    assert "10m" in shown
    assert "2h" in shown
