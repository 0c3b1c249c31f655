"""Rules about the destination's name, its place and whose it is, each both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions
from jobs.hypervisor import Destination, DirectoryFacts, ImageFacts, Secret, Use
from jobs.models import CopyJob, Disk, Domain, Host, Leftover, Site, StoragePool
from jobs.preflight import Level
from jobs.preflight.place import (
    destination_is_absent,
    destination_is_free,
    destination_is_no_leftover,
    destination_is_nobodys,
    destination_makes_sense,
    directory_is_there,
    pool_can_take_it,
)
from tests.conftest import actor_of
from tests.console.fleet_rows import add_disk
from tests.unit.preflight.cases import (
    BASE,
    NEW,
    POOL,
    REUSED,
    SOURCE,
    case,
    evidence,
    request,
    to_file,
)

VOLUME = Destination("volume", pool="images", volume="copy.qcow2")
DEVICE = Destination("block", "/dev/vg/copy", "raw")


@pytest.mark.parametrize(
    ("destination", "field"),
    [
        (to_file("relative"), "destination"),
        (to_file(""), "destination"),
        (to_file("/srv/../etc/passwd"), "destination"),
        (to_file("/srv/a\nb"), "destination"),
        (to_file(format_="vmdk"), "format"),
        (Destination("volume", volume="x"), "pool"),
        (Destination("volume", pool="images", volume="../x"), "volume"),
        (Destination("network", protocol="nbd", name="x"), "servers"),
    ],
)
def test_a_malformed_destination(disk: Disk, destination: Any, field: str) -> None:
    told = destination_makes_sense(case(disk, destination))
    assert (told.level, told.field) == (Level.STOP, field)


@pytest.mark.parametrize("destination", [to_file(), DEVICE, VOLUME])
def test_destination_makes_sense(disk: Disk, destination: Destination) -> None:
    assert destination_makes_sense(case(disk, destination)).level == Level.PASS


# --- Who uses it, as the inventory knows ----------------------------------------------


def level_of_free(
    disk: Disk, destination: Destination | None = None, **more: Any
) -> Any:
    told = destination_is_free(case(disk, destination, **more))
    assert told is not None
    return told.level


def test_destination_is_free(disk: Disk) -> None:
    assert level_of_free(disk) == Level.PASS
    for path in (SOURCE, BASE):
        assert level_of_free(disk, to_file(path)) == Level.STOP


@pytest.fixture
def elsewhere(disk: Disk, site: Site) -> Disk:
    """A disk of another host, at the destination."""
    birch = Host.objects.create(name="birch", site=site, transport="local")
    domain = Domain.objects.create(
        host=birch,
        uuid="0e1f2a3b-8b86-4011-b42d-00cf4fc964ff",
        name="shop",
        state="shutoff",
        persistent=True,
        seen_at=timezone.now(),
    )
    return Disk.objects.create(domain=domain, target="vda", persistent_source=NEW)


def test_another_hosts_disk_on_storage_that_may_be_shared(
    disk: Disk, elsewhere: Disk
) -> None:
    """Fatal for what is overwritten; a new file would exist on shared storage."""
    assert level_of_free(disk, reuse_external=True) == Level.STOP
    assert level_of_free(disk) == Level.NOTICE, "not known before somebody looked"
    absent = evidence()
    assert level_of_free(disk, seen=absent) == Level.PASS
    there = evidence(destination=REUSED)
    assert level_of_free(disk, seen=there, reuse_external=True) == Level.STOP


def test_many_users_elsewhere_hide_none_on_its_own_host(
    disk: Disk, elsewhere: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.preflight.known.MOST_USERS", 1)
    own = add_disk(disk.domain, "vdb", source=NEW)
    assert own.pk > elsewhere.pk
    assert level_of_free(disk) == Level.STOP


def test_a_volume_is_known_by_its_path_too(disk: Disk, pool: StoragePool) -> None:
    volume = replace(VOLUME, volume="web.qcow2")
    assert level_of_free(disk, volume) == Level.STOP
    assert level_of_free(disk, VOLUME) == Level.PASS


def test_promised_to_a_job(disk: Disk, olga: User) -> None:
    job = actions.request_copy(request(disk), actor_of(olga))
    told = destination_is_free(case(disk))
    assert told is not None
    assert told.cause == f"{NEW} is the destination of job {job.pk}."
    assert level_of_free(disk, job=job.pk) == Level.PASS
    CopyJob.objects.update(state="cancelled")
    assert level_of_free(disk) == Level.PASS


def test_of_two_jobs_that_wait_the_older_one_wins(disk: Disk, olga: User) -> None:
    """Asked for at the same moment, neither saw the other."""
    younger = actions.request_copy(request(disk), actor_of(olga))
    older = -1  # any number below the other one
    assert level_of_free(disk, job=older) == Level.PASS
    assert level_of_free(disk, job=younger.pk + 1) == Level.STOP
    CopyJob.objects.update(state="starting")
    assert level_of_free(disk, job=older) == Level.STOP


def test_pools_of_one_name_on_two_hosts(
    disk: Disk, elsewhere: Disk, olga: User
) -> None:
    job = actions.request_copy(request(disk, VOLUME), actor_of(olga))
    assert level_of_free(disk, VOLUME) == Level.STOP
    CopyJob.objects.filter(pk=job.pk).update(host=elsewhere.domain.host)
    assert level_of_free(disk, VOLUME) == Level.PASS


# --- Who uses it, as the host says ----------------------------------------------------


def use(**changes: Any) -> Use:
    facts = Use("other", "mail", "vdb", "source", NEW, True)
    return replace(facts, **changes)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (use(), f"{NEW} is the source of vdb of mail."),
        (use(running=False), "of mail, which is shut off."),
        (use(how="backing file"), "is the backing file of vdb of mail."),
        (use(location="/srv/x"), "of mail, by the name of /srv/x."),
        (
            use(domain_uuid="6f9619ff-8b86-4011-b42d-00cf4fc964ff", target="vda"),
            f"{NEW} is the source itself.",
        ),
    ],
)
def test_somebodys(disk: Disk, found: Use, words: str) -> None:
    seen = evidence(uses=(found,))
    told = destination_is_nobodys(case(disk, seen=seen), seen)
    assert told.level == Level.STOP
    assert told.cause.endswith(words)
    assert found.domain_name in told.evidence


def test_destination_is_nobodys(disk: Disk) -> None:
    seen = evidence()
    assert destination_is_nobodys(case(disk, seen=seen), seen).level == Level.PASS


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("file source", f"is the source {SOURCE} itself, by another name or link."),
        ("file base", f"is the backing file {BASE} of vda, by another name or link."),
    ],
)
def test_the_disks_own_files_by_another_name(disk: Disk, mark: str, words: str) -> None:
    seen = evidence(destination=replace(REUSED, fingerprint=mark))
    told = destination_is_nobodys(case(disk, seen=seen), seen)
    assert told.level == Level.STOP
    assert told.cause.endswith(words)


def test_files_that_nobody_could_tell_apart_are_not_called_the_same(
    disk: Disk,
) -> None:
    unknown = replace(REUSED, fingerprint="")
    seen = evidence(destination=unknown, source=unknown)
    assert destination_is_nobodys(case(disk, seen=seen), seen).level == Level.PASS


# --- Leftovers ------------------------------------------------------------------------


@pytest.fixture
def leftover(disk: Disk, olga: User) -> Leftover:
    job = actions.request_copy(request(disk), actor_of(olga))
    CopyJob.objects.filter(pk=job.pk).update(state="cancelled")
    return Leftover.objects.create(
        host=job.host,
        job=job,
        host_name="alder",
        domain_name=job.domain_name,
        kind=Leftover.Kind.PARTIAL,
        location=NEW,
        storage_kind="file",
    )


@pytest.mark.parametrize(
    ("there", "options", "level"),
    [
        (None, {}, Level.NOTICE),
        (REUSED, {}, Level.STOP),
        (replace(REUSED, exists=None), {}, Level.WARN),
        (REUSED, {"reuse_external": True}, Level.NOTICE),
    ],
)
def test_a_leftover(
    disk: Disk,
    leftover: Leftover,
    there: ImageFacts | None,
    options: dict[str, Any],
    level: Level,
) -> None:
    seen = evidence(destination=there) if there else None
    told = destination_is_no_leftover(case(disk, seen=seen, **options))
    assert told is not None
    assert told.level == level
    assert f"leftover of job {leftover.job_id} (partial copy)" in told.cause


def test_destination_is_no_leftover(disk: Disk, leftover: Leftover) -> None:
    assert destination_is_no_leftover(case(disk, seen=evidence())) is None, "it is gone"
    other = to_file("/srv/images/other.qcow2")
    assert destination_is_no_leftover(case(disk, other)) is None
    Leftover.objects.update(removed_at=timezone.now())
    assert destination_is_no_leftover(case(disk)) is None


# --- What is there --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "there", "level", "words"),
    [
        (to_file(), ImageFacts(NEW, False), Level.PASS, "does not exist yet"),
        (to_file(), ImageFacts(NEW, None), Level.WARN, "could not be looked up"),
        (to_file(), REUSED, Level.STOP, "exists already"),
        (to_file(), replace(REUSED, capacity=0), Level.NOTICE, "is empty"),
        (to_file(), replace(REUSED, kind="dir"), Level.STOP, "is a directory"),
        (to_file(), replace(REUSED, kind="block"), Level.STOP, "is a block device"),
        (VOLUME, REUSED, Level.STOP, "has a volume copy.qcow2 already"),
        (VOLUME, ImageFacts(NEW, False), Level.PASS, "does not exist yet"),
    ],
)
def test_destination_is_absent(
    disk: Disk, destination: Destination, there: Any, level: Level, words: str
) -> None:
    seen = evidence(destination=there)
    told = destination_is_absent(case(disk, destination, seen), seen)
    assert told is not None
    assert told.level == level
    assert words in told.cause


def test_what_is_overwritten_need_not_be_absent(disk: Disk) -> None:
    seen = evidence(destination=REUSED)
    reused = case(disk, seen=seen, reuse_external=True)
    assert destination_is_absent(reused, seen) is None
    assert destination_is_absent(case(disk, DEVICE, seen), seen) is None


@pytest.mark.parametrize(
    ("exists", "writable", "level", "words"),
    [
        (True, True, Level.PASS, "is there"),
        (True, None, Level.PASS, "is there"),
        (True, False, Level.WARN, "does not seem to be allowed to write"),
        (False, None, Level.STOP, "alder has no directory /srv/images."),
        (None, None, Level.WARN, "could not be looked up"),
    ],
)
def test_directory_is_there(
    disk: Disk, exists: Any, writable: Any, level: Level, words: str
) -> None:
    folder = DirectoryFacts("/srv/images", exists, writable=writable)
    seen = evidence(directory=folder)
    told = directory_is_there(case(disk, seen=seen), seen)
    assert told is not None
    assert told.level == level
    assert words in told.cause
    assert directory_is_there(case(disk, VOLUME, seen), seen) is None


@pytest.mark.parametrize(
    ("pool", "destination", "field"),
    [
        (None, VOLUME, "pool"),
        (replace(POOL, active=False), VOLUME, "pool"),
        (replace(POOL, kind="rbd"), VOLUME, "pool"),
        (replace(POOL, kind="logical"), VOLUME, "format"),
        (
            replace(POOL, kind="logical"),
            replace(VOLUME, format="raw", encryption=Secret(usage="x")),
            "encryption",
        ),
    ],
)
def test_a_pool_that_can_not_take_it(
    disk: Disk, pool: Any, destination: Destination, field: str
) -> None:
    seen = evidence(pool=pool)
    told = pool_can_take_it(case(disk, destination, seen), seen)
    assert told is not None
    assert (told.level, told.field) == (Level.STOP, field)


def test_pool_can_take_it(disk: Disk) -> None:
    seen = evidence()
    told = pool_can_take_it(case(disk, VOLUME, seen), seen)
    assert told is not None
    assert told.level == Level.PASS
    assert pool_can_take_it(case(disk, seen=seen), seen) is None
