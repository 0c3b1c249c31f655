"""`blockcopy job foreign|adopt`: copies that somebody began with virsh."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk
from tests.cli.conftest import Run, Script
from tests.cli.copies import becomes, the_job

pytestmark = pytest.mark.usefixtures("redis")

THERE = "/srv/images/by-virsh.qcow2"
ADOPT = ("job", "adopt", "alder", "web", "vda")


@pytest.fixture
def stranger(disk: Disk) -> Disk:
    """A disk with a copy that was begun elsewhere."""
    shown = {"mirror_job": "copy", "mirror_kind": "file", "mirror_format": "qcow2"}
    Disk.objects.update(mirror=THERE, **shown)
    disk.refresh_from_db()
    return disk


def test_foreign_lists_what_the_console_did_not_start(
    blockcopy: Run, stranger: Disk
) -> None:
    [told] = blockcopy("job", "foreign", "--json").json

    assert told == {
        "host": "alder",
        "domain": "web",
        "disk": "vda",
        "what": "copy",
        "source": stranger.source,
        "destination": THERE,
    }
    assert THERE in blockcopy("job", "foreign", "--host", "alder").out
    assert blockcopy("job", "foreign", "--host", "elm").status == 1


def test_a_copy_of_ours_is_not_foreign(blockcopy: Run, job: CopyJob) -> None:
    Disk.objects.update(mirror=job.destination, mirror_job="copy")

    assert blockcopy("job", "foreign", "--json").json == []


def test_adopt_makes_it_a_job(blockcopy: Run, stranger: Disk, olga: User) -> None:
    done = blockcopy(*ADOPT, "--reason", "ours now", "--as", "olga")

    assert done.status == 0
    assert f"It is job {the_job().pk}." in done.out
    assert "Nothing changes on alder" in done.out
    job = the_job()
    assert (job.state, job.destination) == (State.COPYING, THERE)
    assert job.adopted_at is not None
    entry = AuditEntry.objects.get(action="adopt")
    assert (entry.actor, entry.channel, entry.reason) == ("olga", "cli", "ours now")
    assert blockcopy("job", "foreign", "--json").json == []


def test_adopt_follows_until_it_mirrors(
    blockcopy: Run, stranger: Disk, meanwhile: Script
) -> None:
    meanwhile(becomes(State.MIRRORING))

    done = blockcopy(*ADOPT, "--wait", "--json")

    assert (done.status, done.json["state"]) == (0, "mirroring")


def test_without_a_copy_there_is_nothing_to_adopt(blockcopy: Run, disk: Disk) -> None:
    done = blockcopy(*ADOPT)

    assert done.status == 1
    assert "shows no copy on vda" in done.err
    assert not CopyJob.objects.exists()


@pytest.mark.parametrize("who", ["victor", "otto"])
def test_adopting_is_for_operators(
    blockcopy: Run, stranger: Disk, who: str, victor: User, otto: User
) -> None:
    assert blockcopy(*ADOPT, "--as", who).status == 1
    assert not CopyJob.objects.exists()
