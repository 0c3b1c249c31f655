"""The ledger: what each end leaves, who uses it, and what it takes to remove it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from jobs import actions, leftovers, live, removal, tasks
from jobs.actor import Actor
from jobs.hypervisor import (
    Address,
    ChainLink,
    CopyOptions,
    Destination,
    DestinationUnusable,
    HostUnreachable,
    ImageFacts,
    NoAnswer,
    Refused,
)
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Disk, Domain, Host, Leftover, Site
from jobs.preflight import CopyRequest
from jobs.resolve import Side
from tests.conftest import actor_of
from tests.fakes import FakeHypervisor
from tests.workers import Workers, workers

__all__ = ["workers"]

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "/images/web-vda.qcow2", "/images/new.qcow2"
Kind = Leftover.Kind


class Fleet:
    """Two hosts in memory, found by their names."""

    def __init__(self) -> None:
        self.alder, self.birch = FakeHypervisor("alder"), FakeHypervisor("birch")

    @contextmanager
    def connection(self, address: Address, _: object) -> Iterator[FakeHypervisor]:
        fake = self.birch if address.host_name == "birch" else self.alder
        with fake.connection() as opened:
            yield opened


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet()
    monkeypatch.setattr("jobs.reconcile.connection", made.connection)
    return made


@pytest.fixture
def alder(fleet: Fleet) -> FakeHypervisor:
    return fleet.alder


@pytest.fixture
def birch_host(site: Site) -> Host:
    return Host.objects.create(
        name="birch", site=site, transport="tls", host_name="birch"
    )


@pytest.fixture
def web(alder: FakeHypervisor) -> str:
    return alder.add_domain("web")


@pytest.fixture
def operator(olga: User) -> Actor:
    return actor_of(olga)


@pytest.fixture
def admin(ada: User) -> Actor:
    return actor_of(ada)


@pytest.fixture
def job(
    web: str, workers: Workers, host: Host, birch_host: Host, operator: Actor
) -> CopyJob:
    """A copy that runs."""
    tasks.sync_host(host.pk)
    wanted = CopyRequest(Disk.objects.get(), Destination("file", NEW, "qcow2"))
    requested = actions.request_copy(wanted, operator)
    workers.work()
    requested.refresh_from_db()
    assert requested.state == State.COPYING
    return requested


@pytest.fixture
def mirroring(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> CopyJob:
    alder.make_ready(web, "vda")
    workers.sweep()
    job.refresh_from_db()
    return job


def act(verb: actions.Verb, job: CopyJob, actor: Actor, workers: Workers) -> None:
    actions.perform(verb, job, actor)
    workers.work()
    workers.sweep()


def rows() -> list[tuple[str, str]]:
    return list(Leftover.objects.order_by("id").values_list("kind", "location"))


def only() -> Leftover:
    return Leftover.objects.select_related("job", "host").get()


def let_pass(seconds: float) -> None:
    """Make everything that the ledger says so much older."""
    gap = timedelta(seconds=seconds)
    times = ("noted_at", "measured_at", "removal_asked_at", "removing_at")
    Leftover.objects.update(**{name: F(name) - gap for name in times})
    Host.objects.update(inventory_began_at=F("inventory_began_at") - gap)


def outcomes() -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(object_type="leftover").order_by("id")
    return list(entries.values_list("action", "outcome", "actor"))


# --- What each end leaves ------------------------------------------------------------


def test_a_pivot_leaves_the_old_source(
    mirroring: CopyJob, workers: Workers, operator: Actor
) -> None:
    act(actions.PIVOT, mirroring, operator, workers)
    assert rows() == [(Kind.SOURCE, OLD)]
    left = only()
    assert (left.host_name, left.storage_kind, left.ours) == ("alder", "file", False)
    assert left.removal_asked_at is None, "nothing is removed by itself"


def test_a_finish_leaves_the_copy(
    mirroring: CopyJob, workers: Workers, operator: Actor
) -> None:
    act(actions.FINISH, mirroring, operator, workers)
    assert rows() == [(Kind.COPY, NEW)]


def test_a_cancel_leaves_a_part(
    job: CopyJob, workers: Workers, operator: Actor
) -> None:
    act(actions.CANCEL, job, operator, workers)
    assert rows() == [(Kind.PARTIAL, NEW)]


def test_a_failure_leaves_a_part(
    job: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    workers.sweep()
    assert rows() == [(Kind.PARTIAL, NEW)]
    workers.sweep()
    assert len(rows()) == 1


def test_a_guest_that_stopped_in_a_pivot_leaves_both(
    mirroring: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    actions.perform(actions.PIVOT, mirroring, operator)
    workers.inbox.clear()
    alder.stop(web)
    workers.sweep()
    mirroring.refresh_from_db()
    assert mirroring.state == State.LOST
    assert rows() == [(Kind.UNCERTAIN, OLD), (Kind.UNCERTAIN, NEW)]


def test_a_start_that_was_refused_leaves_nothing(
    web: str, workers: Workers, host: Host, operator: Actor, alder: FakeHypervisor
) -> None:
    tasks.sync_host(host.pk)
    wanted = CopyRequest(Disk.objects.get(), Destination("file", NEW, "qcow2"))
    requested = actions.request_copy(wanted, operator)
    alder.refuse("start", Refused("no", code=1))
    workers.work()
    requested.refresh_from_db()
    assert requested.state == State.FAILED
    assert rows() == []


def test_a_request_that_was_withdrawn_leaves_nothing(
    web: str, workers: Workers, host: Host, operator: Actor
) -> None:
    tasks.sync_host(host.pk)
    wanted = CopyRequest(Disk.objects.get(), Destination("file", NEW, "qcow2"))
    requested = actions.request_copy(wanted, operator)
    actions.perform(actions.CANCEL, requested, operator)
    assert rows() == []


def test_noting_twice_is_noting_once(
    job: CopyJob, workers: Workers, operator: Actor
) -> None:
    act(actions.CANCEL, job, operator, workers)
    job.refresh_from_db()
    leftovers.note(job, State.CANCELLED)
    leftovers.note(job, State.CANCELLED)
    assert len(rows()) == 1


def test_the_same_place_is_listed_once(
    job: CopyJob, workers: Workers, operator: Actor
) -> None:
    act(actions.CANCEL, job, operator, workers)
    again = CopyJob.objects.get(pk=job.pk)
    again.pk, again._state.adding = None, True
    again.save()
    leftovers.note(again, State.CANCELLED)
    first, second = Leftover.objects.order_by("id")
    assert first.closing == f"Job {again.pk} used the place again and is listed for it."
    assert second.removed_at is None


# --- Measuring -----------------------------------------------------------------------


@pytest.fixture
def part(job: CopyJob, workers: Workers, operator: Actor) -> Leftover:
    """The partial copy of a cancelled job, measured."""
    act(actions.CANCEL, job, operator, workers)
    let_pass(5)
    workers.sweep()
    left = only()
    assert left.measured_at is not None
    return left


def test_what_is_left_is_measured(part: Leftover) -> None:
    assert (part.bytes, part.fingerprint) == (8 * 2**20, f"file {NEW}")


def test_measured_once_more_when_all_is_written(
    part: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    """QEMU writes to a file when it closes it, a moment after the job has ended."""
    alder.put_image(NEW, allocation=9 * 2**20, fingerprint="closed")
    workers.sweep()
    assert only().fingerprint == part.fingerprint, "it was just looked at"
    let_pass(60)
    Leftover.objects.update(measured_at=F("noted_at") + timedelta(seconds=3))
    live.taken_up(f"measure:{part.pk}")
    workers.sweep()
    assert (only().bytes, only().fingerprint) == (9 * 2**20, "closed")


def test_what_is_gone_is_told_so(
    job: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    act(actions.CANCEL, job, operator, workers)
    alder.files.discard(NEW)
    let_pass(5)
    workers.sweep()
    assert only().removed_at is not None
    assert "already gone" in only().closing
    assert outcomes() == [], "nobody did anything"


def test_a_silent_host_is_asked_later(
    job: CopyJob, alder: FakeHypervisor, workers: Workers, operator: Actor
) -> None:
    act(actions.CANCEL, job, operator, workers)
    let_pass(5)
    alder.unreachable = True
    workers.sweep()
    assert only().measured_at is None
    assert only().removed_at is None


# --- Who uses it ---------------------------------------------------------------------


def test_users_are_found_in_a_fixed_number_of_queries(
    part: Leftover, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(3):
        assert leftovers.uses_of(Leftover.objects.all()) == {}
    Disk.objects.update(mirror=NEW)
    assert leftovers.uses_of([part]) == {
        part.pk: ["web on alder (vda: destination of a copy)"]
    }


# --- Asking --------------------------------------------------------------------------


def test_an_administrator_asks(part: Leftover, admin: Actor) -> None:
    actions.remove_leftover(part, admin, "ticket 17")
    left = only()
    assert (left.removal_asked_by, left.removal_reason) == ("ada", "ticket 17")
    assert outcomes() == [("remove leftover", "asked", "ada")]
    entry = AuditEntry.objects.get(action="remove leftover")
    assert NEW in entry.intent
    assert left.job.events.filter(message__contains="asked for by ada").exists()


def test_an_operator_may_not(part: Leftover, operator: Actor) -> None:
    with pytest.raises(actions.Denied):
        actions.remove_leftover(part, operator)
    assert only().removal_asked_at is None
    assert outcomes() == [("remove leftover", "refused", "olga")]


def test_a_second_asking_comes_second(part: Leftover, admin: Actor) -> None:
    same = only()
    actions.remove_leftover(part, admin)
    with pytest.raises(actions.NotPossible, match="asked for by ada already"):
        actions.remove_leftover(same, admin)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"storage_kind": "network"}, "on a server"),
        ({"measured_at": None}, "not told yet"),
        ({"removed_at": timezone.now(), "closing": "It is gone."}, "It is gone"),
    ],
)
def test_why_it_cannot_be_asked_for(
    part: Leftover, admin: Actor, change: dict[str, Any], words: str
) -> None:
    Leftover.objects.update(**change)
    with pytest.raises(actions.NotPossible, match=words):
        actions.remove_leftover(only(), admin)


def test_what_a_disk_uses_cannot_be_asked_for(part: Leftover, admin: Actor) -> None:
    Disk.objects.update(persistent_source=NEW)
    with pytest.raises(actions.NotPossible, match=r"web on alder .*persistent"):
        actions.remove_leftover(part, admin)


def test_with_a_silent_host_it_cannot_be_asked_for(
    part: Leftover, admin: Actor
) -> None:
    Host.objects.filter(name="birch").update(error="Connection refused")
    with pytest.raises(actions.NotPossible, match="birch does not answer"):
        actions.remove_leftover(part, admin)
    Host.objects.update(error="Connection refused")
    with pytest.raises(actions.NotPossible, match="alder, birch do not answer"):
        actions.remove_leftover(part, admin)


def test_a_destination_of_an_active_job_cannot_be_asked_for(
    part: Leftover, admin: Actor
) -> None:
    CopyJob.objects.update(state=State.QUEUED)
    with pytest.raises(actions.NotPossible, match="which is active"):
        actions.remove_leftover(part, admin)


def test_the_consequence_names_what_goes(part: Leftover) -> None:
    words = actions.removal_consequence(part)
    assert NEW in words
    assert "8 MiB" in words
    part.kind = Kind.SOURCE
    assert "before the pivot" in actions.removal_consequence(part)


def test_nothing_is_copied_to_what_is_to_be_removed(
    part: Leftover, admin: Actor, operator: Actor
) -> None:
    """The guest would end on a file that is then deleted."""
    actions.remove_leftover(part, admin)
    place = Destination("file", part.location, "qcow2")
    reuse = CopyRequest(Disk.objects.get(), place, CopyOptions(reuse_external=True))
    with pytest.raises(actions.Invalid, match="about to be removed"):
        actions.request_copy(reuse, operator)
    actions.withdraw_removal(part, admin)
    assert actions.request_copy(reuse, operator).state == State.QUEUED


def test_a_removal_can_be_withdrawn(
    part: Leftover, admin: Actor, alder: FakeHypervisor, workers: Workers
) -> None:
    actions.remove_leftover(part, admin)
    actions.withdraw_removal(part, admin, "not yet")
    workers.sweep()
    assert NEW in alder.files
    assert ("withdraw removal", "done", "ada") in outcomes()
    actions.remove_leftover(only(), admin)


def test_a_deletion_under_way_cannot_be_withdrawn(part: Leftover, admin: Actor) -> None:
    actions.remove_leftover(part, admin)
    Leftover.objects.update(removing_at=timezone.now())
    with pytest.raises(actions.NotPossible, match="deleting it already"):
        actions.withdraw_removal(only(), admin)


# --- Removing ------------------------------------------------------------------------


@pytest.fixture
def asked(part: Leftover, admin: Actor) -> Leftover:
    actions.remove_leftover(part, admin)
    return part


def settle(workers: Workers, sweeps: int = 3) -> Leftover:
    for _ in range(sweeps):
        workers.sweep()
    return only()


def test_it_is_removed_when_every_host_has_told(
    asked: Leftover, fleet: Fleet, workers: Workers
) -> None:
    fleet.birch.calls.clear()
    left = settle(workers)
    assert left.removed_at is not None
    assert NEW not in fleet.alder.files
    assert "inventory" in fleet.birch.calls, "every host was asked after the asking"
    assert outcomes() == [
        ("remove leftover", "asked", "ada"),
        ("remove leftover", "done", "system"),
    ]
    assert left.job.events.filter(message__contains="was removed (8 MiB)").exists()


def test_nothing_is_deleted_twice(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    settle(workers, 5)
    removal.remove(asked.pk)
    assert alder.calls.count("delete_image") == 1


def refused(workers: Workers, alder: FakeHypervisor) -> str:
    left = settle(workers)
    assert left.removed_at is None
    assert left.removal_asked_at is None
    assert NEW in alder.files
    assert outcomes()[-1] == ("remove leftover", "refused", "system")
    return left.refusal


def test_refused_for_a_guest_on_another_host_that_came_since(
    asked: Leftover, fleet: Fleet, workers: Workers
) -> None:
    """Shared storage: the inventory of the asking did not know it yet."""
    uuid = fleet.birch.add_domain("shop", running=False)
    disk = fleet.birch.domains[uuid].disks["vda"]
    disk.source = disk.persistent_source = NEW
    words = refused(workers, fleet.alder)
    assert "shop on birch" in words


def test_refused_for_the_backing_file_of_a_guest_that_is_off(
    asked: Leftover, fleet: Fleet, workers: Workers
) -> None:
    uuid = fleet.alder.add_domain("shop", running=False)
    fleet.alder.domains[uuid].disks["vda"].chain = (ChainLink(NEW, "file", "qcow2"),)
    assert "vda: backing file" in refused(workers, fleet.alder)


def test_refused_for_another_name_of_the_file(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    """A symbolic link: only the host itself can tell."""
    link = "/images/link.qcow2"
    alder.put_image(link, fingerprint=f"file {NEW}")
    uuid = alder.add_domain("shop", running=False)
    disk = alder.domains[uuid].disks["vda"]
    disk.source = disk.persistent_source = link
    assert f"as {link}" in refused(workers, alder)


def test_refused_when_a_host_does_not_answer(
    asked: Leftover, fleet: Fleet, workers: Workers
) -> None:
    fleet.birch.unreachable = True
    left = settle(workers)
    assert left.removal_asked_at is not None, "it may answer yet"
    let_pass(61)
    words = refused(workers, fleet.alder)
    assert "birch did not say what it uses: The host does not answer" in words


def test_refused_when_a_guest_is_stuck(
    asked: Leftover, workers: Workers, alder: FakeHypervisor
) -> None:
    """An inventory without it proves nothing."""
    for pk in Host.objects.values_list("pk", flat=True):
        tasks.sync_host(pk)
    Domain.objects.update(seen_at=_ago(3600))
    removal.remove(asked.pk)
    assert "web on alder did not say" in only().refusal
    assert NEW in alder.files


def test_refused_when_a_chain_is_not_known(
    asked: Leftover, fleet: Fleet, workers: Workers
) -> None:
    """A guest of the other host is off, and no pool tells what lies below it."""
    for pk in Host.objects.values_list("pk", flat=True):
        tasks.sync_host(pk)
    Disk.objects.update(chain_known=False)
    removal.remove(asked.pk)
    assert f"What lies below {OLD} of web on alder is not known" in only().refusal
    assert NEW in fleet.alder.files


def test_a_file_that_appeared_anew_is_left_alone(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.put_image(NEW, fingerprint="somebody's new file", allocation=5)
    words = refused(workers, alder)
    assert "has changed" in words
    assert only().fingerprint == "somebody's new file", "the next asking is about it"


def test_what_the_host_cannot_tell_is_left_alone(
    asked: Leftover,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alder, "image", lambda *_, **__: ImageFacts(NEW, None))
    assert "can't tell what lies at" in refused(workers, alder)


def test_gone_already(asked: Leftover, alder: FakeHypervisor, workers: Workers) -> None:
    alder.files.discard(NEW)
    left = settle(workers)
    assert "already gone" in left.closing
    assert "delete_image" not in alder.calls


def test_what_the_host_refuses_is_told_with_its_words(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    error = DestinationUnusable("cannot unlink file", code=38, cause="It is mounted.")
    alder.refuse("delete_image", error)
    left = settle(workers)
    assert left.removed_at is None
    assert "It is mounted." in left.refusal
    assert outcomes()[-1] == ("remove leftover", "failed", "system")
    assert "cannot unlink file" in AuditEntry.objects.latest("id").detail


def test_a_copy_that_was_asked_for_at_the_last_moment(
    asked: Leftover,
    alder: FakeHypervisor,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examine = alder.examine

    def meanwhile(*args: Any, **more: Any) -> Any:
        CopyJob.objects.update(state=State.QUEUED)
        return examine(*args, **more)

    monkeypatch.setattr(alder, "examine", meanwhile)
    for pk in Host.objects.values_list("pk", flat=True):
        tasks.sync_host(pk)
    removal.remove(asked.pk)
    assert NEW in alder.files
    assert "which is active" in only().refusal


# --- Killed anywhere -----------------------------------------------------------------


def try_again(left: Leftover) -> None:
    """Let the next tick ask at once, and let the host be heard of again."""
    live.taken_up(f"remove:{left.pk}")
    Host.objects.update(error="")


def test_killed_right_after_the_deletion(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.lose_answer("delete_image")
    settle(workers, 2)
    assert NEW not in alder.files
    left = only()
    assert left.removed_at is None
    assert left.removing_at is not None
    try_again(asked)
    left = settle(workers, 2)
    assert "was removed" in left.closing
    assert alder.calls.count("delete_image") == 1
    assert outcomes()[-1] == ("remove leftover", "done", "system")


def test_killed_after_the_deletion_and_a_new_file_came(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.lose_answer("delete_image")
    settle(workers, 2)
    alder.put_image(NEW, fingerprint="somebody's new file")
    try_again(asked)
    settle(workers, 2)
    assert NEW in alder.files
    assert "is left alone" in only().refusal


def test_a_host_that_is_still_deleting(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.refuse("delete_image", NoAnswer("No answer in 60 s."))
    settle(workers, 2)
    assert (only().refusal, only().removed_at) == ("", None)
    alder.files.discard(NEW)
    try_again(asked)
    assert "was removed" in settle(workers, 2).closing


def test_killed_before_the_deletion(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    """The intent to delete was written, the call never made."""
    alder.refuse("delete_image", HostUnreachable("gone"))
    settle(workers, 2)
    assert NEW in alder.files
    try_again(asked)
    assert settle(workers, 2).removed_at is not None
    assert NEW not in alder.files


def test_workers_that_are_away(
    asked: Leftover, alder: FakeHypervisor, workers: Workers
) -> None:
    let_pass(181)
    Host.objects.update(inventory_began_at=timezone.now())
    tasks.tick()
    workers.inbox.clear()
    assert "could not be asked" in only().refusal


# --- A failed job's own volume -------------------------------------------------------


@pytest.fixture
def volume(job: CopyJob, alder: FakeHypervisor) -> str:
    """The running copy goes to a volume that the console made for it."""
    made = {"pool": "images", "name": "new.qcow2", "path": NEW}
    CopyJob.objects.update(created_volume=made, destination_kind="volume")
    return NEW


def test_a_failed_jobs_own_volume_is_removed(
    volume: str, web: str, alder: FakeHypervisor, workers: Workers
) -> None:
    alder.fail_copy(web, "vda")
    workers.sweep()
    left = only()
    assert (left.ours, left.storage_kind) == (True, "volume")
    assert (left.removal_asked_by, left.measured_at) == ("system", None)
    let_pass(5)
    left = settle(workers)
    assert left.removed_at is not None
    assert volume not in alder.files
    assert outcomes() == [
        ("remove leftover", "asked", "system"),
        ("remove leftover", "done", "system"),
    ]


def test_a_cancelled_jobs_volume_stays(
    volume: str, job: CopyJob, workers: Workers, operator: Actor
) -> None:
    job.refresh_from_db()
    act(actions.CANCEL, job, operator, workers)
    assert only().ours
    assert only().removal_asked_at is None


@pytest.mark.parametrize("side", [Side.UNKNOWN, Side.DESTINATION])
def test_a_volume_that_the_guest_may_be_on_stays(
    volume: str, job: CopyJob, side: Side
) -> None:
    job.refresh_from_db()
    leftovers.note(job, State.FAILED, side)
    assert not Leftover.objects.to_remove().exists()


def test_a_refused_start_leaves_its_volume(volume: str, job: CopyJob) -> None:
    job.refresh_from_db()
    leftovers.note(job, State.FAILED, untouched=True)
    assert rows() == [(Kind.PARTIAL, volume)]
    assert only().removal_asked_by == "system"


def test_a_volume_that_was_looked_at_late_is_for_a_person(
    volume: str, web: str, alder: FakeHypervisor, workers: Workers
) -> None:
    """Meanwhile somebody may have put a file of his own in its place."""
    alder.fail_copy(web, "vda")
    workers.sweep()
    Leftover.objects.update(noted_at=_ago(130))
    workers.sweep()
    assert only().measured_at is not None
    words = refused(workers, alder)
    assert "for a person to say" in words


def _ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)
