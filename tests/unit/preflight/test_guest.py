"""Rules about the host, the domain and the disk, each both ways."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone, translation

from jobs import actions
from jobs.hypervisor import Destination, DiskFacts, Mirror
from jobs.lifecycle import State, WhenReady
from jobs.models import CopyJob, Disk, Host
from jobs.preflight import Level
from jobs.preflight.guest import (
    checkpoints_survive,
    definitions_agree,
    disk_can_be_copied,
    disk_has_no_job,
    disk_is_written_to,
    domain_is_running,
    guest_can_do_less,
    lun_stays_lun,
    no_backup_runs,
    shareable_stays_shareable,
    snapshots_stay_valid,
)
from jobs.preflight.host import (
    all_users_were_seen,
    everything_was_seen,
    host_answers,
    host_is_new_enough,
)
from jobs.said import localized
from tests.conftest import actor_of
from tests.unit.preflight.cases import (
    DISK,
    HOST,
    NEW,
    POOL,
    REUSED,
    case,
    domain_facts,
    evidence,
    request,
    to_file,
)

# --- The host -------------------------------------------------------------------------


def test_host_answers(disk: Disk) -> None:
    host = disk.domain.host
    assert host_answers(case(disk)).level == Level.PASS
    host.error = "No route to host"
    assert host_answers(case(disk)).cause == "alder does not answer: No route to host"
    host.error = "The host does not answer. (No route to host)"
    assert host_answers(case(disk)).cause == "alder does not answer. (No route to host)"
    assert host_answers(case(disk, seen=evidence())).level == Level.PASS, "it did now"
    host.enabled = False
    assert "disabled" in host_answers(case(disk, seen=evidence())).cause


@pytest.mark.parametrize(
    ("version", "level"),
    [(5_010_000, Level.STOP), (6_000_000, Level.PASS), (12_005_000, Level.PASS)],
)
def test_host_is_new_enough(disk: Disk, version: int, level: Level) -> None:
    seen = evidence(host=replace(HOST, libvirt_version=version))
    told = host_is_new_enough(case(disk, seen=seen))
    assert told is not None
    assert told.level == level
    disk.domain.host.libvirt_version = version
    known = host_is_new_enough(case(disk))
    assert known is not None
    assert known.level == level


def test_a_host_that_was_never_read_is_not_judged(disk: Disk) -> None:
    disk.domain.host.libvirt_version = None
    assert host_is_new_enough(case(disk)) is None


def test_everything_was_seen(disk: Disk) -> None:
    seen = evidence()
    assert everything_was_seen(case(disk, seen=seen), seen).level == Level.PASS
    half = evidence(unknown=("The host's secrets could not be read: x",))
    told = everything_was_seen(case(disk, seen=half), half)
    assert (told.level, told.cause) == (Level.WARN, half.unknown[0])


def test_a_source_on_a_network_is_no_warning(disk: Disk) -> None:
    facts = replace(DISK, source="rbd://ceph:6789/vms/web", source_kind="network")
    seen = evidence(facts, unknown=(f"What {facts.source} is can't be looked up.",))
    assert everything_was_seen(case(disk, seen=seen), seen).level == Level.PASS


UNREAD = ("The disks of domain mail could not be read: x",)


@pytest.mark.parametrize(
    ("there", "options", "level"),
    [
        (REUSED, {"reuse_external": True}, Level.STOP),
        (REUSED, {}, Level.WARN),
        (replace(REUSED, exists=False), {}, Level.NOTICE),
    ],
)
def test_all_users_were_seen(
    disk: Disk, there: Any, options: dict[str, Any], level: Level
) -> None:
    seen = evidence(destination=there, uses_unknown=UNREAD)
    told = all_users_were_seen(case(disk, seen=seen, **options), seen)
    assert told.level == level
    assert UNREAD[0] in told.cause
    clear = replace(seen, uses_unknown=())
    told = all_users_were_seen(case(disk, seen=clear, **options), clear)
    assert told.level == Level.PASS


def test_a_device_that_nobody_could_compare_is_a_warning(disk: Disk) -> None:
    device = Destination("block", "/dev/sdb", "raw")
    there = replace(REUSED, location="/dev/sdb", kind="block")
    seen = evidence(destination=there, uses_unknown=UNREAD)
    told = all_users_were_seen(case(disk, device, seen), seen)
    assert told.level == Level.WARN


def test_what_is_not_known_of_the_destination_itself_is_said_once(disk: Disk) -> None:
    device = Destination("block", "/dev/sdb", "raw")
    sentence = ("No storage pool has the device /dev/sdb.",)
    there = replace(REUSED, location="/dev/sdb", exists=None)
    seen = evidence(destination=there, unknown=sentence, uses_unknown=sentence)
    judged = case(disk, device, seen)
    assert everything_was_seen(judged, seen).level == Level.PASS
    assert all_users_were_seen(judged, seen).level == Level.PASS


# --- The domain -----------------------------------------------------------------------


def test_domain_is_running(disk: Disk) -> None:
    assert domain_is_running(case(disk)).level == Level.PASS
    disk.domain.libvirt_id = None
    told = domain_is_running(case(disk))
    assert (told.level, told.cause) == (Level.STOP, "web is not running.")
    seen = evidence()
    told = domain_is_running(case(disk, seen=seen))
    assert told.level == Level.PASS, "the host's word goes before the inventory's"


def test_a_paused_domain_can_be_copied(disk: Disk) -> None:
    paused = evidence(domain=domain_facts(state="paused"))
    assert domain_is_running(case(disk, seen=paused)).level == Level.PASS


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "web is no longer on alder."),
        (domain_facts(domain_id=None, state="shutoff"), "web is not running."),
    ],
)
def test_a_domain_that_changed_since(disk: Disk, seen: Any, words: str) -> None:
    told = domain_is_running(case(disk, seen=evidence(domain=seen)))
    assert (told.level, told.cause) == (Level.STOP, words)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(DISK, device="cdrom", source=""), "vda is a cdrom without a medium."),
        (replace(DISK, device="cdrom"), "vda is a cdrom."),
        (replace(DISK, device="floppy"), "vda is a floppy."),
        (replace(DISK, source_kind="vhostuser"), "of the kind vhostuser"),
        (None, "web has no disk vda any more."),
    ],
)
def test_disk_can_be_copied(disk: Disk, facts: DiskFacts | None, words: str) -> None:
    told = disk_can_be_copied(case(disk, seen=evidence(facts)))
    assert told.level == Level.STOP
    assert words in told.cause
    assert disk_can_be_copied(case(disk, seen=evidence())).level == Level.PASS


def test_disk_is_written_to(disk: Disk) -> None:
    assert disk_is_written_to(case(disk, seen=evidence())) is None
    told = disk_is_written_to(case(disk, seen=evidence(replace(DISK, read_only=True))))
    assert told is not None
    assert (told.level, told.cause) == (Level.WARN, "vda is read-only for web.")


LUN = replace(DISK, device="lun", format="raw")


@pytest.mark.parametrize(
    ("destination", "field"),
    [
        (to_file(format_="raw"), "destination_kind"),
        (Destination("network", protocol="nbd", format="raw"), "destination_kind"),
        (Destination("volume", pool="images", format="raw"), "destination_kind"),
        (Destination("block", "/dev/sdb", "qcow2"), "format"),
        (Destination("block", "/dev/sdb", "raw", slice_size=512), "slice_size"),
    ],
)
def test_a_lun_that_would_be_none(disk: Disk, destination: Any, field: str) -> None:
    told = lun_stays_lun(case(disk, destination, evidence(LUN)))
    assert told is not None
    assert (told.level, told.field) == (Level.STOP, field)


@pytest.mark.parametrize(
    "destination",
    [
        Destination("block", "/dev/sdb", "raw"),
        Destination("network", protocol="iscsi", name="iqn/1", format="raw"),
        Destination("volume", pool="vg", volume="web", format="raw"),
    ],
)
def test_lun_stays_lun(disk: Disk, destination: Destination) -> None:
    seen = evidence(LUN, pool=replace(POOL, kind="logical"))
    told = lun_stays_lun(case(disk, destination, seen))
    assert told is not None
    assert told.level == Level.PASS
    assert lun_stays_lun(case(disk, destination, evidence())) is None, "no LUN"


def test_shareable_stays_shareable(disk: Disk) -> None:
    shared = evidence(replace(DISK, shareable=True))
    told = shareable_stays_shareable(case(disk, seen=shared))
    assert told is not None
    assert (told.level, told.field) == (Level.STOP, "format")
    raw = shareable_stays_shareable(case(disk, to_file(format_="raw"), shared))
    assert raw is not None
    assert raw.level == Level.PASS
    assert shareable_stays_shareable(case(disk, seen=evidence())) is None


# --- Jobs -----------------------------------------------------------------------------


def test_our_own_job_is_in_the_way_of_others_only(disk: Disk, olga: User) -> None:
    assert disk_has_no_job(case(disk)).level == Level.PASS
    job = actions.request_copy(request(disk), actor_of(olga))
    told = disk_has_no_job(case(disk))
    assert told.cause == f"Job {job.pk} is active on this disk (queued)."
    assert disk_has_no_job(case(disk, job=job.pk)).level == Level.PASS
    CopyJob.objects.update(state=State.COPIED)
    assert disk_has_no_job(case(disk)).level == Level.PASS


def test_a_strangers_copy(disk: Disk) -> None:
    theirs = evidence(replace(DISK, mirror=Mirror("copy", "", "/srv/x", "raw")))
    told = disk_has_no_job(case(disk, seen=theirs))
    assert told.level == Level.STOP
    assert "/srv/x" in told.cause
    unnamed = evidence(replace(DISK, mirror=Mirror("", "", "", "")))
    assert "somewhere" in disk_has_no_job(case(disk, seen=unnamed)).cause


def test_a_strangers_job_of_another_kind(disk: Disk) -> None:
    told = disk_has_no_job(case(disk, seen=evidence(job="pull")))
    assert told.level == Level.STOP
    assert told.cause == "A block pull runs on vda; it was not started here."


def test_an_old_inventory_shows_a_copy_of_ours_that_ended(
    disk: Disk, olga: User
) -> None:
    job = actions.request_copy(request(disk), actor_of(olga))
    later = timezone.now() + timedelta(seconds=5)
    CopyJob.objects.filter(pk=job.pk).update(state=State.CANCELLED, ended_at=later)
    disk.mirror = NEW
    assert disk_has_no_job(case(disk)).level == Level.PASS
    disk.mirror = "/srv/elsewhere"
    assert disk_has_no_job(case(disk)).level == Level.STOP


def test_no_backup_runs(disk: Disk) -> None:
    for backup, level in ((True, Level.STOP), (False, Level.PASS)):
        seen = evidence(backup=backup)
        assert no_backup_runs(case(disk, seen=seen), seen).level == level


# --- What a pivot would do ------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "format_", "when_ready", "level"),
    [
        (0, "raw", WhenReady.PIVOT, Level.PASS),
        (2, "raw", WhenReady.PIVOT, Level.WARN),
        (2, "raw", WhenReady.WAIT, Level.WARN),
        (2, "raw", WhenReady.FINISH, Level.NOTICE),
        (1, "qcow2", WhenReady.PIVOT, Level.NOTICE),
    ],
)
def test_checkpoints_survive(
    disk: Disk, count: int, format_: str, when_ready: WhenReady, level: Level
) -> None:
    seen = evidence(checkpoints=count)
    judged = case(disk, to_file(format_=format_), seen, when_ready=when_ready)
    assert checkpoints_survive(judged, seen).level == level


@pytest.mark.parametrize(
    ("names", "when_ready", "level", "words"),
    [
        ((), WhenReady.PIVOT, Level.PASS, "no snapshots"),
        (("one",), WhenReady.WAIT, Level.WARN, "1 snapshot: one."),
        (tuple("abcdefg"), WhenReady.PIVOT, Level.WARN, "a, b, c, d, e and 2 more."),
        (("one",), WhenReady.FINISH, Level.NOTICE, "not in the copy"),
    ],
)
def test_snapshots_stay_valid(
    disk: Disk, names: tuple[str, ...], when_ready: WhenReady, level: Level, words: str
) -> None:
    seen = evidence(snapshots=names)
    told = snapshots_stay_valid(case(disk, seen=seen, when_ready=when_ready), seen)
    assert told.level == level
    assert words in told.cause


@pytest.mark.parametrize(
    ("persistent", "words"),
    [
        ("/srv/images/tomorrow.qcow2", "names /srv/images/tomorrow.qcow2 for vda"),
        ("", "names no medium for vda"),
        (None, "has no vda"),
    ],
)
def test_definitions_disagree(disk: Disk, persistent: str | None, words: str) -> None:
    seen = evidence(replace(DISK, persistent_source=persistent))
    told = definitions_agree(case(disk, seen=seen))
    assert told is not None
    assert told.level == Level.WARN
    assert words in told.cause
    assert "next boot" in told.remedy
    with translation.override("de"):
        assert "persistente Definition von web" in localized(told.cause)
        assert "nächste" in localized(told.remedy)
    finished = definitions_agree(case(disk, seen=seen, when_ready=WhenReady.FINISH))
    assert finished is not None
    assert finished.level == Level.NOTICE


def test_definitions_agree(disk: Disk) -> None:
    assert definitions_agree(case(disk, seen=evidence())) is None
    transient = evidence(
        domain=domain_facts(replace(DISK, persistent_source=None), persistent=False)
    )
    assert definitions_agree(case(disk, seen=transient)) is None


def test_guest_can_do_less(disk: Disk) -> None:
    told = guest_can_do_less(case(disk))
    assert told.level == Level.NOTICE
    for word in ("save", "migration", "snapshot", "detach", "resize", "backup"):
        assert word in told.cause


def test_hosts_of_other_names(disk: Disk, host: Host) -> None:
    """Words carry whatever names people gave, and nothing of them is interpreted."""
    disk.domain.host.name = "<script>alert(1)</script>"
    assert "<script>" in host_answers(case(disk)).cause
