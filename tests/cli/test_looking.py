"""`blockcopy job list|show|watch`, and who may look at anything."""

from __future__ import annotations

from datetime import timedelta
from datetime import timezone as dt_timezone

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import live
from jobs.actor import SYSTEM
from jobs.hypervisor import Progress
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Host, Leftover
from jobs.preflight import Finding, Level, findings_to_json
from jobs.transition import move
from tests.cli.conftest import Run, Script
from tests.cli.copies import START, TO, becomes, mirroring, the_job

pytestmark = pytest.mark.usefixtures("redis")


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


def test_list_says_when_a_copy_is_to_start(blockcopy: Run, disk: Disk) -> None:
    at = (timezone.now() + timedelta(days=3)).replace(second=0, microsecond=0)
    east = at.astimezone(dt_timezone(timedelta(hours=9)))
    blockcopy(*START, "--to", TO, "--at", east.isoformat(timespec="minutes"))
    job = the_job()
    headings, row = blockcopy("job", "list").out.splitlines()
    assert "STARTS (UTC)" in headings
    planned = f"{at:%Y-%m-%d %H:%M}:00"
    assert row.split()[:5] == [str(job.pk), "requested", "-", *planned.split()]
    move(job, State.CANCELLED, "Withdrawn.", actor=SYSTEM, ended_at=timezone.now())
    assert planned not in blockcopy("job", "list").out


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


def test_show_has_all_that_belongs_to_a_job(blockcopy: Run, leftover: Leftover) -> None:
    room = Finding("there_is_room", Level.WARN, "It can grow to 10 GiB.")
    fine = Finding("host_answers", Level.PASS, "alder answers.")
    CopyJob.objects.update(
        findings=findings_to_json([fine, room]),
        accepted=["there_is_room"],
        stall_limit=600,
        at_limit="cancel",
        flagged="No progress for 10 minutes.",
        bandwidth=1234567,
        qemu_text="No space left on device",
        likely_cause="The pool images is full.",
        libvirt_code=9,
        created_volume={"pool": "images", "name": "web-copy", "path": TO},
    )

    text = blockcopy("job", "show", leftover.job_id).out
    shown = blockcopy("job", "show", leftover.job_id, "--json").json

    for words in (
        *("accepted  there_is_room  It can grow to 10 GiB.", "1 rule passed."),
        *("10m", "No progress for 10 minutes.", "No space left on device"),
        *("1.18 MiB/s (1234567 bytes/s)", "The pool images is full."),
        *("images/web-copy", "partial", "3 GiB"),
    ):
        assert words in text
    assert "host_answers" not in text
    flagged = blockcopy("job", "list", "--flagged", "--json").json
    assert [one["job"] for one in flagged] == [leftover.job_id]
    assert shown["created_volume"]["name"] == "web-copy"
    assert [left["leftover"] for left in shown["leftovers"]] == [leftover.pk]
    assert [(found["rule"], found["accepted"]) for found in shown["findings"]] == [
        *(("host_answers", False), ("there_is_room", True)),
    ]
    assert (shown["qemu_text"], shown["libvirt_code"]) == ("No space left on device", 9)


def test_watch_follows_to_a_good_end(
    blockcopy: Run, job: CopyJob, meanwhile: Script
) -> None:
    meanwhile(becomes(State.MIRRORING), becomes(State.FINISHING, State.COPIED))

    done = blockcopy("job", "watch", job.pk)

    assert done.status == 0
    assert f"Job {job.pk}: copied." in done.out


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
