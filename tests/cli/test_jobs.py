"""`blockcopy job …`: what starts, what is refused, what is waited for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import live
from jobs.actor import SYSTEM
from jobs.commandline.waiting import WakeUps
from jobs.hypervisor import Progress
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host
from jobs.transition import move
from tests.cli.conftest import Run, Script

TO = "/srv/images/web-copy.qcow2"
pytestmark = pytest.mark.usefixtures("redis")


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    """A job that copies."""
    return CopyJob.objects.create(
        host=disk.domain.host,
        domain=disk.domain,
        host_name="alder",
        domain_name="web",
        domain_uuid=disk.domain.uuid,
        disk="vda",
        source=disk.source,
        destination=TO,
        destination_format="qcow2",
        destination_xml="<disk/>",
        requested_by_name="olga",
        capacity=disk.capacity,
        state=State.COPYING,
        libvirt_id=7,
        started_at=timezone.now(),
    )


def the_job() -> CopyJob:
    return CopyJob.objects.latest("pk")


def becomes(*states: State, **fields: Any) -> Any:
    """Return a step in which the newest job goes through `states`."""

    def step() -> None:
        job = the_job()
        for state in states:
            assert move(job, state, f"It is {state.label}.", actor=SYSTEM, **fields)

    return step


def mirroring(job: CopyJob) -> CopyJob:
    move(job, State.MIRRORING, "In sync.", actor=SYSTEM, ready_at=timezone.now())
    return job


# --- start ---------------------------------------------------------------------------


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


START = ("job", "start", "alder", "web", "vda")


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


# --- waiting -------------------------------------------------------------------------


def test_start_waits_until_it_mirrors(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(
        becomes(State.STARTING, State.COPYING),
        becomes(State.MIRRORING, ready_at=timezone.now()),
    )

    done = blockcopy(*START, "--to", TO, "--wait")

    assert done.status == 0
    assert f"Decide: blockcopy job pivot|finish|cancel {the_job().pk}" in done.out
    lines = done.err.splitlines()
    assert [line.split(": ")[1].split()[0] for line in lines] == [
        *("queued", "copying", "mirroring"),
    ]


def test_start_waits_for_what_the_policy_asks(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(
        becomes(State.STARTING, State.MIRRORING),
        becomes(State.PIVOTING),
        becomes(State.PIVOTED, left_behind="The old source stays."),
    )

    done = blockcopy(*START, "--to", TO, "--when-ready", "pivot", "--wait", "--json")

    assert (done.status, done.err) == (0, "")
    assert done.json["state"] == "pivoted"
    assert done.json["left_behind"] == "The old source stays."


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("wait", (State.STARTING, State.FAILED)),
        ("wait", (State.STARTING, State.COPYING, State.LOST)),
        ("wait", (State.STARTING, State.COPYING, State.CANCELLING)),
        ("pivot", (State.STARTING, State.MIRRORING, State.FINISHING, State.COPIED)),
        ("finish", (State.STARTING, State.MIRRORING, State.PIVOTING, State.PIVOTED)),
    ],
)
def test_another_end_than_the_one_asked_for_is_a_failure(
    blockcopy: Run,
    disk: Disk,
    meanwhile: Script,
    policy: str,
    states: tuple[State, ...],
) -> None:
    words = (*START, "--to", TO, "--when-ready", policy, "--wait", "--json")
    meanwhile(becomes(*states))

    done = blockcopy(*words)

    assert done.status == 1
    assert done.json["state"] == states[-1]
    assert done.json["error"] == done.err.strip()


def test_a_failure_names_cause_remedy_and_what_stays(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(
        becomes(
            State.STARTING,
            State.FAILED,
            failure="The destination cannot be used.",
            remedy="Check the path.",
            left_behind="A partial file stays.",
        )
    )

    done = blockcopy(*START, "--to", TO, "--wait", "--json")

    assert done.json["failure"] == "The destination cannot be used."
    assert done.json["error"] == (
        f"Job {the_job().pk} is failed: The destination cannot be used. "
        "Check the path. A partial file stays."
    )


def test_a_timeout_ends_the_waiting_and_never_the_job(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    meanwhile(becomes(State.STARTING, State.COPYING), lambda: time.sleep(0.3))

    done = blockcopy(*START, "--to", TO, "--wait", "--timeout", "0.2", "--json")

    assert done.status == 3
    assert "it goes on" in done.json["error"]
    assert done.json["state"] == "copying"
    assert the_job().state == State.COPYING
    assert not AuditEntry.objects.filter(action="cancel").exists()


def test_ctrl_c_ends_the_waiting_and_never_the_job(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    meanwhile(becomes(State.STARTING, State.COPYING), interrupt)

    done = blockcopy(*START, "--to", TO, "--wait")

    assert done.status == 130
    assert "it goes on" in done.err
    assert the_job().state == State.COPYING


def test_a_wake_up_ends_the_wait_at_once(job: CopyJob) -> None:
    with WakeUps() as wake_ups:
        wake_ups.wait(0.2)  # for the subscription itself
        live.wake(job)
        began = time.monotonic()
        wake_ups.wait(10)

    assert time.monotonic() - began < 1


def test_without_redis_waiting_is_only_slower(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    live.client.cache_clear()
    with WakeUps() as wake_ups:
        wake_ups.wait(0.01)
    live.client.cache_clear()


# --- verbs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "asked", "end"),
    [
        ("pivot", State.PIVOTING, State.PIVOTED),
        ("finish", State.FINISHING, State.COPIED),
        ("cancel", State.CANCELLING, State.CANCELLED),
    ],
)
def test_a_verb_writes_the_intent_and_waits_for_its_end(
    blockcopy: Run,
    job: CopyJob,
    meanwhile: Script,
    verb: str,
    asked: State,
    end: State,
) -> None:
    mirroring(job)
    states: list[str] = []
    meanwhile(lambda: states.append(the_job().state), becomes(end))

    done = blockcopy("job", verb, job.pk, "--reason", "tonight", "--wait", "--json")

    assert (done.status, done.json["state"]) == (0, end)
    assert states == [asked]
    entry = AuditEntry.objects.get(action=verb)
    assert (entry.outcome, entry.reason) == ("asked", "tonight")


def test_a_verb_without_wait_tells_the_consequence(
    blockcopy: Run, job: CopyJob
) -> None:
    mirroring(job)

    done = blockcopy("job", "pivot", job.pk)

    assert done.status == 0
    assert f"web will run from {TO}" in done.out
    assert the_job().state == State.PIVOTING


@pytest.mark.parametrize(
    ("verb", "asked"), [("pivot", "pivoting"), ("finish", "finishing")]
)
def test_a_verb_that_the_host_refuses_is_a_failure(
    blockcopy: Run, job: CopyJob, meanwhile: Script, verb: str, asked: str
) -> None:
    mirroring(job)
    meanwhile(becomes(State.MIRRORING))

    done = blockcopy("job", verb, job.pk, "--wait")

    assert done.status == 1
    assert f"Job {job.pk} is mirroring: It is mirroring." in done.err


@pytest.mark.parametrize("verb", ["pivot", "finish"])
def test_a_verb_before_ready_changes_nothing(
    blockcopy: Run, job: CopyJob, verb: str
) -> None:
    done = blockcopy("job", verb, job.pk, "--json")

    assert done.status == 1
    assert "in sync" in done.json["error"]
    assert the_job().state == State.COPYING
    assert AuditEntry.objects.get(action=verb).outcome == "refused"


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
def test_a_viewer_may_not(
    blockcopy: Run, job: CopyJob, victor: User, verb: str
) -> None:
    mirroring(job)

    done = blockcopy("job", verb, job.pk, "--as", "victor")

    assert done.status == 1
    assert f"Your role does not allow you to {verb}" in done.err
    assert the_job().state == State.MIRRORING


@pytest.mark.parametrize("verb", ["pivot", "finish", "cancel"])
def test_an_ended_job_stays_ended(blockcopy: Run, job: CopyJob, verb: str) -> None:
    move(job, State.LOST, "Gone.", actor=SYSTEM)

    done = blockcopy("job", verb, job.pk)

    assert done.status == 1
    assert "has ended" in done.err


@pytest.mark.parametrize(
    "words",
    [
        *(("job", act, 4711) for act in ("show", "watch", "pivot", "finish", "cancel")),
        ("job", "speed", 4711, "1MiB"),
    ],
)
def test_a_job_that_is_not_there(blockcopy: Run, words: tuple[object, ...]) -> None:
    done = blockcopy(*words, "--json")

    assert done.status == 1
    assert done.json["error"] == "There is no job 4711."


def test_a_queued_job_is_cancelled_at_once(
    blockcopy: Run, disk: Disk, meanwhile: Script
) -> None:
    blockcopy(*START, "--to", TO)
    meanwhile()

    done = blockcopy("job", "cancel", the_job().pk, "--wait", "--json")

    assert (done.status, done.json["state"]) == (0, "cancelled")


# --- speed ---------------------------------------------------------------------------


def test_speed_is_asked_for_in_bytes(blockcopy: Run, job: CopyJob) -> None:
    done = blockcopy("job", "speed", job.pk, "1.5MiB/s", "--reason", "lunch", "--json")

    assert done.status == 0
    assert done.json["asked_bandwidth"] == 1572864
    entry = AuditEntry.objects.get(action="speed")
    assert (entry.outcome, entry.reason) == ("asked", "lunch")
    assert "1572864" in entry.intent


@pytest.mark.parametrize(("word", "status"), [("-5", 2), ("fast", 2), ("99999PiB", 1)])
def test_a_speed_that_makes_no_sense(
    blockcopy: Run, job: CopyJob, word: str, status: int
) -> None:
    assert blockcopy("job", "speed", job.pk, word).status == status
    assert not AuditEntry.objects.filter(outcome="asked").exists()


def test_the_speed_of_an_ended_job_stays(blockcopy: Run, job: CopyJob) -> None:
    move(job, State.LOST, "Gone.", actor=SYSTEM)

    done = blockcopy("job", "speed", job.pk, "1MiB")

    assert done.status == 1
    assert "does not run" in done.err


def test_a_viewer_may_not_change_the_speed(
    blockcopy: Run, job: CopyJob, victor: User
) -> None:
    done = blockcopy("job", "speed", job.pk, "1MiB", "--as", "victor")

    assert done.status == 1
    assert "does not allow" in done.err


# --- looking -------------------------------------------------------------------------


def test_list_filters_and_says_what_it_left_out(
    blockcopy: Run, job: CopyJob, disk: Disk
) -> None:
    move(job, State.LOST, "Gone.", actor=SYSTEM, ended_at=timezone.now())
    blockcopy(*START, "--to", TO)
    queued = the_job()

    def listed(*words: str) -> list[int]:
        return [one["job"] for one in blockcopy("job", "list", *words, "--json").json]

    assert listed() == [queued.pk, job.pk]
    assert listed("--active") == [queued.pk]
    assert listed("--state", "lost") == [job.pk]
    assert listed("--state", "lost", "--state", "queued") == [queued.pk, job.pk]
    assert listed("--host", "alder") == [queued.pk, job.pk]
    assert "… and 1 older ones" in blockcopy("job", "list", "--limit", "1").out
    assert blockcopy("job", "list", "--state", "dreaming").status == 2
    assert blockcopy("job", "list", "--host", "elm").status == 1


def test_list_of_nothing(blockcopy: Run) -> None:
    assert blockcopy("job", "list", "--json").json == []
    assert blockcopy("job", "list").out == "none\n"


def test_show_has_progress_and_history(blockcopy: Run, job: CopyJob) -> None:
    live.store_progress(
        {job.pk: Progress(current=3 * 2**20, end=4 * 2**20, bandwidth=0)}
    )
    mirroring(job)

    shown = blockcopy("job", "show", job.pk, "--json").json

    assert shown["progress"]["percent"] == 75
    assert [event["message"] for event in shown["events"]] == ["In sync."]
    assert shown["destination_xml"] == "<disk/>"
    text = blockcopy("job", "show", job.pk).out
    assert "In sync." in text
    assert "3 MiB of 4 MiB" in text


def test_watch_follows_to_a_good_end(
    blockcopy: Run, job: CopyJob, meanwhile: Script
) -> None:
    meanwhile(becomes(State.MIRRORING), becomes(State.FINISHING, State.COPIED))

    done = blockcopy("job", "watch", job.pk)

    assert done.status == 0
    assert f"Job {job.pk} is copied." in done.out


def test_watch_until_ready(blockcopy: Run, job: CopyJob, meanwhile: Script) -> None:
    meanwhile(becomes(State.MIRRORING))

    assert blockcopy("job", "watch", job.pk, "--until", "ready").status == 0


def test_watch_of_a_copy_that_came_to_nothing_is_a_failure(
    blockcopy: Run, job: CopyJob, meanwhile: Script
) -> None:
    meanwhile(becomes(State.CANCELLING, State.CANCELLED))

    assert blockcopy("job", "watch", job.pk).status == 1


@pytest.mark.parametrize(
    "words",
    [
        *(("job", "list"), ("host", "list"), ("domain", "list"), ("audit", "list")),
        *(("host", "show", "alder"), ("domain", "show", "alder", "web")),
        ("user", "list"),
    ],
)
def test_an_outsider_sees_nothing(
    blockcopy: Run, job: CopyJob, otto: User, words: tuple[str, ...]
) -> None:
    done = blockcopy(*words, "--as", "otto")

    assert (done.status, done.out) == (1, "")
    assert "does not allow to see this" in done.err


def test_hostile_names_do_not_reach_the_terminal(
    blockcopy: Run, job: CopyJob, host: Host
) -> None:
    CopyJob.objects.update(domain_name="web\x1b[2J\nalder  fine")

    out = blockcopy("job", "list").out

    assert "\x1b" not in out
    assert len(out.splitlines()) == 2
