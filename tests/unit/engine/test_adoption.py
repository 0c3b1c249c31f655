"""An adopted copy holds its destination as one that was started here does."""

from __future__ import annotations

import pytest
from django.utils import timezone

from jobs import actions, preflight, starting, tasks
from jobs.actions import NotPossible
from jobs.actor import Actor
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host
from jobs.models.job import claim_of
from jobs.preflight import CopyRequest
from jobs.strangers import foreign_copies, note_mirrors
from tests.fakes import FakeCopy, FakeHypervisor
from tests.unit.engine.conftest import NEW, settled
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def foreign(alder: FakeHypervisor, web: str, workers: Workers, host: Host) -> Disk:
    """A disk with a copy to NEW that was begun elsewhere."""
    alder.add_domain("db")
    alder.put_copy(web, "vda", FakeCopy(NEW))
    tasks.sync_host(host.pk)
    return foreign_copies().get()


def another(operator: Actor) -> CopyJob:
    """A request for the same place, of another guest's disk."""
    disk = Disk.objects.get(domain__name="db")
    return actions.request_copy(
        CopyRequest(disk, Destination("file", NEW, "qcow2")), operator
    )


def test_it_claims_its_destination(foreign: Disk, operator: Actor) -> None:
    job = actions.adopt(foreign, operator)
    assert job.claim == claim_of(NEW)


def test_a_guest_that_was_started_since_the_inventory(
    alder: FakeHypervisor, web: str, workers: Workers, host: Host, operator: Actor
) -> None:
    """It was off by the inventory; an event tells of its copy before the next one."""
    alder.stop(web)
    tasks.sync_host(host.pk)
    run = alder.boot(web)
    alder.put_copy(web, "vda", FakeCopy(NEW))
    tasks.observe_domain(host.pk, web, "vda", "ready")
    disk = foreign_copies().get()
    assert disk.domain.state == "running"
    assert actions.stranger_why_not(disk, None, operator) == ""
    assert actions.adopt(disk, operator).libvirt_id == run


def test_an_inventory_that_came_meanwhile_knows_better(
    alder: FakeHypervisor, web: str, workers: Workers, host: Host
) -> None:
    alder.put_copy(web, "vda", FakeCopy(NEW))
    seen = alder.observe_many([web])
    asked_at = timezone.now()
    alder.stop(web)
    tasks.sync_host(host.pk)
    note_mirrors(host, seen, asked_at)
    assert Domain.objects.get(uuid=web).libvirt_id is None
    assert not foreign_copies().exists()


def test_no_start_gets_past_an_adopted_copy(
    foreign: Disk,
    operator: Actor,
    workers: Workers,
    alder: FakeHypervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where no rule sees it: the request came before it was adopted."""
    monkeypatch.setattr(preflight.known, "using", lambda _: Disk.objects.none())
    late = another(operator)
    adopted = actions.adopt(foreign, operator)
    monkeypatch.setattr(starting, "preflight", lambda request, evidence: [])
    workers.work()
    assert settled(late).state == State.FAILED
    assert f"the destination of job {adopted.pk}" in late.failure
    assert "start" not in alder.calls


def test_a_place_that_is_a_jobs_is_not_taken_over(
    foreign: Disk, operator: Actor, workers: Workers, alder: FakeHypervisor
) -> None:
    holder = actions.adopt(foreign, operator)
    db = Disk.objects.get(domain__name="db")
    alder.put_copy(db.domain.uuid, "vda", FakeCopy(NEW))
    tasks.observe_strangers(db.domain.host_id)
    with pytest.raises(NotPossible, match=f"the destination of job {holder.pk}"):
        actions.adopt(foreign_copies().get(), operator)
    assert CopyJob.objects.count() == 1
    assert AuditEntry.objects.filter(action="adopt", outcome="refused").count() == 1


def test_two_who_adopt_at_once(
    foreign: Disk, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the look before does not see, the database refuses."""
    actions.adopt(foreign, operator)
    monkeypatch.setattr("jobs.actions.adoption.adoption_why_not", lambda *_: "")
    with pytest.raises(NotPossible, match="Somebody was first"):
        actions.adopt(foreign, operator)
    assert CopyJob.objects.count() == 1
