"""`blockcopy job start`: what starts, and what is refused before anything does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain
from tests.cli.conftest import Run
from tests.cli.copies import START, TO, the_job

pytestmark = pytest.mark.usefixtures("redis")


def test_start_records_the_job_with_everything_asked_for(
    blockcopy: Run, disk: Disk
) -> None:
    done = blockcopy(
        *("job", "start", "alder", "web", "vda", "--to", TO, "--format", "qcow2"),
        *("--shallow", "--reuse-external", "--synchronous-writes"),
        *("--bandwidth", "100MiB", "--granularity", "64KiB", "--buf-size", "16MiB"),
        *("--when-ready", "pivot", "--reason", "array 3 is full", "--json"),
    )

    assert (done.status, done.err) == (0, "")
    job = the_job()
    assert done.json["job"] == job.pk
    assert done.json["state"] == job.state == State.QUEUED
    assert job.options.bandwidth == 100 * 2**20
    assert job.options.granularity == 64 * 2**10
    assert job.options.buf_size == 16 * 2**20
    assert job.options.shallow
    assert job.options.reuse_external
    assert job.options.synchronous_writes
    assert (job.when_ready, job.reason) == ("pivot", "array 3 is full")


def test_the_json_of_a_job_has_what_scripts_rely_on(blockcopy: Run, disk: Disk) -> None:
    done = blockcopy("job", "start", "alder", "web", "vda", "--to", TO, "--json").json

    assert done.keys() >= {
        *("job", "state", "source", "destination", "seconds", "host", "domain"),
        *("disk", "failure", "remedy", "left_behind", "progress", "when_ready"),
    }
    assert (done["host"], done["domain"], done["disk"]) == ("alder", "web", "vda")
    assert (done["source"], done["destination"]) == (disk.source, TO)
    assert 0 <= done["seconds"] < 60


# --- At a time ------------------------------------------------------------------------


def test_start_at_a_time(blockcopy: Run, disk: Disk) -> None:
    done = blockcopy(
        *("job", "start", "alder", "web", "vda", "--to", TO, "--at", "02:00"),
    )

    job = the_job()
    assert job.state == State.REQUESTED
    assert job.start_at is not None
    assert (job.start_at.hour, job.start_at.minute) == (2, 0)
    assert timezone.now() < job.start_at <= timezone.now() + timedelta(days=1)
    told = f"{job.start_at:%Y-%m-%d} 02:00 UTC, in "
    assert (
        f"Job {job.pk} will copy {disk.source} to {TO}. It starts at {told}" in done.out
    )
    shown = blockcopy("job", "show", job.pk, "--json").json
    assert shown["start_at"] == job.start_at.isoformat()


def test_start_at_a_time_with_an_offset(blockcopy: Run, disk: Disk) -> None:
    day = f"{timezone.now() + timedelta(days=3):%Y-%m-%d}"
    words = ("job", "start", "alder", "web", "vda", "--to", TO)
    assert blockcopy(*words, "--at", f"{day}T02:00+01:00").status == 0
    assert the_job().start_at == datetime.fromisoformat(f"{day}T01:00+00:00")


@pytest.mark.parametrize(
    ("at", "status", "words"),
    [
        ("2020-01-01T02:00", 1, "The start time 2020-01-01 02:00 UTC has passed."),
        ("25:00", 2, "“25:00” is no time of a day."),
        ("soon", 2, "“soon” is no time"),
        ("9999-12-31T23:00-05:00", 2, "is no time"),
    ],
)
def test_a_start_time_that_is_refused(
    blockcopy: Run, disk: Disk, at: str, status: int, words: str
) -> None:
    words_before = ("job", "start", "alder", "web", "vda", "--to", TO)
    done = blockcopy(*words_before, "--at", at)
    assert done.status == status
    assert words in done.err
    assert not CopyJob.objects.exists()


def test_start_now(blockcopy: Run, disk: Disk) -> None:
    blockcopy("job", "start", "alder", "web", "vda", "--to", TO, "--at", "02:00")
    job = the_job()
    done = blockcopy("job", "start-now", job.pk, "--reason", "quiet", "--json")
    assert (done.status, done.json["state"]) == (0, State.QUEUED)
    entry = AuditEntry.objects.get(action="start")
    assert (entry.outcome, entry.reason) == ("asked", "quiet")
    again = blockcopy("job", "start-now", job.pk)
    assert (again.status, again.err.strip()) == (1, "It is queued already.")


@pytest.mark.parametrize("word", ["web", "6F9619FF-8B86-4011-B42D-00CF4FC964FF"])
@pytest.mark.parametrize("disk_word", ["vda", "/srv/images/web.qcow2"])
def test_a_domain_goes_by_name_or_uuid_a_disk_by_target_or_source(
    blockcopy: Run, disk: Disk, word: str, disk_word: str
) -> None:
    done = blockcopy("job", "start", "alder", word, disk_word, "--to", TO)

    assert done.status == 0
    assert f"Job {the_job().pk} copies /srv/images/web.qcow2 to {TO}." in done.out


def test_the_audit_log_names_the_account_and_the_channel(
    blockcopy: Run, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.commandline.caller.os_user", lambda: "oscar")
    monkeypatch.setenv("LOGNAME", "somebody else")

    blockcopy("job", "start", "alder", "web", "vda", "--to", TO)

    entry = AuditEntry.objects.get(action="request")
    assert (entry.actor, entry.channel, entry.actor_id) == ("oscar", "cli", None)
    assert entry.request_id.endswith("-oscar")


def test_as_a_console_user_it_is_that_users_act(
    blockcopy: Run, disk: Disk, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.commandline.caller.os_user", lambda: "oscar")

    done = blockcopy("job", "start", "alder", "web", "vda", "--to", TO, "--as", "olga")

    assert done.status == 0
    assert the_job().requested_by == olga
    entry = AuditEntry.objects.get(action="request")
    assert (entry.actor, entry.actor_id, entry.channel) == ("olga", olga.pk, "cli")
    assert "oscar" in entry.request_id  # who really sat there is not lost


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("job", "start", "elm", "web", "vda", "--to", TO),
            "no host elm; known: alder",
        ),
        (
            ("job", "start", "alder", "db", "vda", "--to", TO),
            "no domain db; known: web",
        ),
        (
            ("job", "start", "alder", "web", "vdz", "--to", TO),
            "no disk vdz; known: vda",
        ),
        ((*START, "--to", "copy.qcow2"), "absolute path"),
        ((*START, "--to", "/srv/../etc/x"), "without"),
        ((*START, "--to", "/srv/images/web.qcow2"), "is the source itself"),
        ((*START, "--to", "/srv/images/base.qcow2"), "is the source itself"),
        ((*START, "--to", TO, "--granularity", "1000"), "power of two"),
        ((*START, "--to", TO, "--granularity", "256"), "512 bytes"),
        ((*START, "--to", TO, "--granularity", "128MiB"), "64 MiB"),
        ((*START, "--to", TO, "--bandwidth", "9999999PiB"), "bandwidth must be"),
        ((*START, "--to", TO, "--shallow", "--format", "raw"), "backing file"),
        ((*START, "--to", TO, "--as", "nobody"), "no user nobody"),
    ],
)
def test_a_request_that_makes_no_sense_starts_nothing(
    blockcopy: Run, disk: Disk, words: tuple[str, ...], says: str
) -> None:
    done = blockcopy(*words)
    with_json = blockcopy(*words, "--json")

    assert (done.status, done.out) == (1, "")
    assert says in done.err
    assert done.err.count("\n") == 1  # one clear sentence
    assert with_json.status == 1
    assert with_json.json["error"] == with_json.err.strip() == done.err.strip()
    assert not CopyJob.objects.exists()


@pytest.mark.parametrize(
    "words",
    [
        (*START,),
        (*START, "--to", TO, "--bandwidth=-1"),
        (*START, "--to", TO, "--bandwidth", "fast"),
        (*START, "--to", TO, "--granularity=-512"),
        (*START, "--to", TO, "--format", "vmdk"),
        (*START, "--to", TO, "--kind", "network"),
        (*START, "--to", TO, "--when-ready", "never"),
        (*START, "--to", TO, "--wait", "--timeout", "0"),
        (*START, "--to", TO, "--wait", "--timeout", "nan"),
        (*START, "--to", TO, "--timeout", "5"),
        (*START, "--to", TO, "--fast"),
        ("job", "start", "alder", "web", "--to", TO),
        ("job", "pivot", "seven"),
        ("job", "eject", "7"),
        ("job",),
        (),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_starts_nothing(
    blockcopy: Run, disk: Disk, words: tuple[str, ...]
) -> None:
    done = blockcopy(*words)

    assert (done.status, done.out) == (2, "")
    assert done.err
    assert not CopyJob.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_wrong_command_line_is_json_too(blockcopy: Run, disk: Disk) -> None:
    done = blockcopy(*START, "--to", TO, "--fast", "--json")

    assert done.status == 2
    assert done.json == {"error": "unrecognized arguments: --fast"}


def test_problems_are_told_apart_in_json(blockcopy: Run, disk: Disk) -> None:
    done = blockcopy(*START, "--to", "copy", "--granularity", "1000", "--json")

    fields = {problem["field"] for problem in done.json["problems"]}
    assert fields == {"destination", "granularity"}


def test_a_domain_that_is_off_is_refused(blockcopy: Run, disk: Disk) -> None:
    Domain.objects.update(libvirt_id=None, state="shutoff")

    done = blockcopy(*START, "--to", TO)

    assert done.status == 1
    assert "web is not running" in done.err
    assert AuditEntry.objects.get(action="request").outcome == "refused"


def test_a_domain_that_is_gone_is_refused(blockcopy: Run, disk: Disk) -> None:
    Domain.objects.update(libvirt_id=None, gone_at=timezone.now())

    done = blockcopy(*START, "--to", TO)

    assert done.status == 1
    assert "no longer on alder" in done.err


def test_a_disk_with_a_job_is_refused(blockcopy: Run, job: CopyJob) -> None:
    done = blockcopy(*START, "--to", "/srv/images/second.qcow2")

    assert done.status == 1
    assert f"Job {job.pk} is active on this disk" in done.err
    assert CopyJob.objects.count() == 1


def test_a_viewer_starts_nothing(blockcopy: Run, disk: Disk, victor: User) -> None:
    done = blockcopy(*START, "--to", TO, "--as", "victor")

    assert done.status == 1
    assert "Your role does not allow you to start a copy" in done.err
    assert not CopyJob.objects.exists()
    assert AuditEntry.objects.get(action="request").outcome == "refused"


def test_a_disabled_user_can_do_nothing(blockcopy: Run, disk: Disk, olga: User) -> None:
    User.objects.update(is_active=False)

    done = blockcopy(*START, "--to", TO, "--as", "olga")

    assert done.status == 1
    assert "olga is disabled" in done.err


def test_print_xml_prints_what_would_be_sent_and_starts_nothing(
    blockcopy: Run, disk: Disk
) -> None:
    done = blockcopy(*START, "--to", TO, "--print-xml")
    as_json = blockcopy(*START, "--to", TO, "--print-xml", "--json")

    xml = f'<disk type="file"><source file="{TO}" /><driver type="qcow2" /></disk>'
    assert done.out.strip() == as_json.json["xml"] == xml
    assert not CopyJob.objects.exists()
    assert not AuditEntry.objects.exists()


def test_print_xml_of_what_would_be_refused_is_refused(
    blockcopy: Run, disk: Disk
) -> None:
    done = blockcopy(*START, "--to", "/srv/images/base.qcow2", "--print-xml")

    assert (done.status, done.out) == (1, "")
