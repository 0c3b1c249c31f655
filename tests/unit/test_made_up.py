"""A fleet that never was: as large as asked for, marked, whole, and never on top of a
real one."""

from __future__ import annotations

from io import StringIO
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from jobs.actor import SYSTEM
from jobs.audit import guard, log
from jobs.hypervisor import validate
from jobs.lifecycle import ACTIVE, State
from jobs.made_up import InUse, Size, make
from jobs.made_up.fleet import plan
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host, Site
from jobs.models.host import address_policy
from jobs.strangers import foreign_copies
from tests.conftest import signed_in

SIZE = Size(hosts=9, domains=30, disks=80, past=50, active=20, entries=400, people=5)


@pytest.fixture
def fleet(db: None) -> None:
    make(SIZE, SYSTEM, tell=lambda _: None)


@pytest.mark.usefixtures("fleet")
def test_it_is_as_large_as_asked_for() -> None:
    assert Host.objects.count() == 9
    assert Domain.objects.count() == 30
    assert Disk.objects.count() == 80
    assert CopyJob.objects.active().count() == 20
    assert CopyJob.objects.exclude(state__in=ACTIVE).count() == 50
    assert User.objects.count() == 5
    # And one entry that tells of all this.
    assert AuditEntry.objects.count() == 401


@pytest.mark.usefixtures("fleet")
def test_every_state_is_in_it() -> None:
    assert set(CopyJob.objects.values_list("state", flat=True)) == set(State)


@pytest.mark.django_db(transaction=True)
def test_the_audit_log_is_whole_and_guarded() -> None:
    make(SIZE, SYSTEM, tell=lambda _: None)
    found = log.verify()
    assert found.intact, found.sentence
    assert found.entries == 401
    assert guard.missing(connection) == set()


@pytest.mark.usefixtures("fleet")
def test_everything_says_that_it_is_made_up() -> None:
    assert all(host.name.endswith(".made-up") for host in Host.objects.all())
    sites = Site.objects.filter(hosts__isnull=False)
    assert all(site.name.startswith("made-up-") for site in sites)
    assert all(user.username.endswith(".made-up") for user in User.objects.all())


@pytest.mark.usefixtures("fleet")
def test_nobody_can_reach_its_hosts(settings: Any) -> None:
    """Nothing resolves their names, and no worker serves their sites."""
    served = set(settings.BLOCKCOPY_SITES)
    for host in Host.objects.select_related("site"):
        validate(host.address, address_policy())
        assert host.host_name.endswith(".invalid")
        assert host.site.name not in served


@pytest.mark.usefixtures("fleet")
def test_the_disks_show_the_active_copies_and_some_strangers() -> None:
    mirrors = CopyJob.objects.filter(state=State.MIRRORING)
    for job in mirrors:
        disk = Disk.objects.get(domain=job.domain, target=job.disk)
        assert disk.mirror == job.destination
    assert 0 < foreign_copies().count() <= 12


@pytest.mark.usefixtures("fleet")
def test_nobody_signs_in_without_a_password() -> None:
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_people_sign_in_with_the_password_that_was_given(db: None) -> None:
    make(SIZE, SYSTEM, "correct horse battery", tell=lambda _: None)
    assert all(
        user.check_password("correct horse battery") for user in User.objects.all()
    )


def test_the_same_seed_makes_the_same(db: None) -> None:
    now = timezone.now()
    first, again = (plan(SIZE, Random(1), now) for _ in range(2))
    assert first == again
    assert first != plan(SIZE, Random(2), now)


def test_nothing_goes_on_top_of_a_real_fleet(host: Host) -> None:
    with pytest.raises(InUse, match="holds 1 hosts"):
        make(SIZE, SYSTEM, tell=lambda _: None)
    assert list(Host.objects.all()) == [host]
    assert guard.missing(connection) == set()


def test_the_command_says_why_not_in_a_sentence(olga: User) -> None:
    signed_in(olga)
    with pytest.raises(CommandError, match="into an empty one only"):
        call_command("made_up_fleet", "--past", "1", stdout=StringIO())
    with pytest.raises(CommandError, match="at least one disk"):
        call_command("made_up_fleet", "--disks", "1", stdout=StringIO())
