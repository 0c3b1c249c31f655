"""Every refusal, on real libvirt: in which words, and that nothing was done.

Each row asks for one copy that must not begin. With what the inventory knows it is
refused at once; with what only the host knows it is refused by the look at the start.
Nothing is started then, nothing created, nothing left behind.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs import actions, checks, tasks
from jobs.hypervisor import CopyOptions
from jobs.lifecycle import State
from jobs.models import AuditEntry, CopyJob, Leftover
from jobs.preflight import Level, request_to_json, stops
from tests.integration.matrix import guest_rows, option_rows, place_rows, reuse_rows
from tests.integration.matrix.scene import (
    SIZE,
    Row,
    Scene,
    guests,
    lab_host,
    operator,
    real_host,
    scene,
    workers,
)

__all__ = ["guests", "lab_host", "operator", "real_host", "scene", "workers"]

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

ROWS = [*guest_rows.ROWS, *option_rows.ROWS, *place_rows.ROWS, *reuse_rows.ROWS]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_refused(scene: Scene, row: Row) -> None:
    wanted = row.arrange(scene)
    jobs, leftovers = CopyJob.objects.count(), Leftover.objects.count()
    before = scene.everything()

    found, job = scene.ask(wanted)

    assert (job is None) == row.at_once, [str(one) for one in found]
    by_rule = {one.rule: one for one in found}
    assert row.rule in by_rule, [str(one) for one in found]
    finding = by_rule[row.rule]
    assert finding.level == row.level
    assert row.words in f"{finding.cause} {finding.remedy}"
    assert finding.remedy or row.at_once, "a refusal says what to do"
    if job is None:
        assert CopyJob.objects.count() == jobs
        assert AuditEntry.objects.filter(action="request", outcome="refused").exists()
    else:
        assert job.state == State.FAILED
        assert finding.cause in job.failure
        assert job.libvirt_code is None, "libvirt was never asked to copy"
        assert job.left_behind == ""
        assert AuditEntry.objects.filter(action="start", outcome="failed").exists()
    assert scene.everything() == before
    assert Leftover.objects.count() == leftovers


def test_there_is_a_row_for_every_rule_that_refuses() -> None:
    """Rules that only real hardware, or a mistake of ours, would break are named."""
    elsewhere = {
        "host_is_new_enough",  # every libvirt here is
        "lun_stays_lun",  # no SCSI device to pass through here
        "everything_was_seen",  # a host that answers halfway
        "sparse_stays_sparse",  # no NFS here
        "zeroed_only_if_created",  # no host here has the option
    }
    judged = {row.rule for row in ROWS}
    assert not judged & elsewhere
    assert judged | elsewhere >= refusing_rules()


def refusing_rules() -> set[str]:
    """The rules in whose source a warning or a stop stands."""
    folder = Path(guest_rows.__file__).parents[3] / "jobs/preflight"
    names = set()
    for path in folder.glob("*.py"):
        for part in path.read_text().split("\ndef ")[1:]:
            name, body = part.split("(", 1)
            public = not name.startswith("_") and "-> Finding" in body
            if public and ("stop(" in body or "warn(" in body) and "case: Case" in body:
                names.add(name)
    return names


def test_a_writing_guests_disk_is_found_by_any_name(scene: Scene) -> None:
    """Its time stamps change between two looks, so that no two need be the same."""
    scene.guest(writing=True)
    link = scene.path("another-name")
    link.symlink_to(scene.path("mail.qcow2"))
    for name in ("web", "mail"):
        wanted = scene.wants(link, disk=scene.disk(name), reuse_external=True)
        for _ in range(10):
            tasks.check_copy("key", request_to_json(wanted))
            checked = checks.result("key")
            assert checked is not None
            rules = {one.rule for one in stops(checked.findings)}
            assert rules & {"destination_is_nobodys", "all_users_were_seen"}


def test_a_check_says_what_the_start_would(scene: Scene) -> None:
    wanted = scene.wants(scene.path("no/such/new.qcow2"))
    key = actions.ask_check(wanted, scene.operator)
    scene.workers.work()
    checked = checks.result(key)
    assert checked is not None
    found, job = scene.ask(replace(wanted, reason="all the same"))
    assert job is None, "the result is there, so no worker is asked again"
    assert [one.rule for one in found] == ["directory_is_there"]
    assert found == [one for one in checked.findings if one.level == Level.STOP]


# --- The counter-checks: what looks alike and is right begins -------------------------


def begun(scene: Scene, job: CopyJob | None) -> CopyJob:
    assert job is not None
    scene.workers.until(job, State.MIRRORING)
    return job


def cancel(scene: Scene, job: CopyJob) -> None:
    scene.host.virsh("blockjob", job.domain_name, job.disk, "--abort")


@pytest.mark.parametrize("pool", [False, True], ids=["no pool", "pool"])
def test_a_normal_copy_has_no_warning(scene: Scene, pool: bool) -> None:
    if pool:
        scene.host.define_pool()
    try:
        found, job = scene.ask(scene.wants(scene.path("new.qcow2")))
        assert {one.level for one in found} == {Level.PASS, Level.NOTICE}
        notices = {one.rule for one in found if one.level == Level.NOTICE}
        assert notices == {"guest_can_do_less"}
        cancel(scene, begun(scene, job))
    finally:
        if pool:
            scene.host.virsh("pool-destroy", "images")
            scene.host.virsh("pool-undefine", "images")


def test_shallow_onto_the_right_backing_file(scene: Scene) -> None:
    base = scene.path("web.base1.qcow2")
    right = scene.over("right.qcow2", base)
    wanted = scene.wants(right, shallow=True, reuse_external=True)
    found, job = scene.ask(wanted)
    assert "shallow_backing_is_the_sources" in {one.rule for one in found}
    cancel(scene, begun(scene, job))


def test_the_proposed_slice_works(scene: Scene) -> None:
    large = scene.image("large.raw", "raw", 2 * SIZE)
    wanted = scene.wants(large, "raw", reuse_external=True, slice_size=SIZE)
    _, job = scene.ask(wanted)
    cancel(scene, begun(scene, job))


def test_a_warning_is_accepted_with_a_reason(scene: Scene) -> None:
    scene.settings.BLOCKCOPY_TRANSIENT_POOLS = False
    wanted = scene.wants(scene.path("unseen.qcow2"))
    found, _ = scene.ask(wanted)
    rules = frozenset(one.rule for one in found if one.level == Level.WARN)
    assert "destination_is_absent" in rules
    accepted = replace(wanted, accepted=rules, reason="the directory is new")
    _, asked = scene.ask(accepted)
    job = begun(scene, asked)
    assert job.accepted == sorted(rules)
    cancel(scene, job)
    intent = AuditEntry.objects.filter(
        action="request", outcome="asked", object_text__contains=f"job {job.pk}:"
    ).first()
    assert intent is not None
    assert "destination_is_absent" in intent.intent
    assert intent.reason == "the directory is new"


def test_an_empty_file_is_used(scene: Scene) -> None:
    scene.path("empty.qcow2").touch()
    _, job = scene.ask(scene.wants(scene.path("empty.qcow2")))
    cancel(scene, begun(scene, job))


def test_a_slow_copy_with_a_fitting_buffer_has_no_notice(scene: Scene) -> None:
    wanted = scene.wants(scene.path("slow.qcow2"))
    slow = CopyOptions(bandwidth=2**20, buf_size=2**19)
    found, job = scene.ask(replace(wanted, options=slow))
    assert "buffer_fits_bandwidth" not in {one.rule for one in found}
    assert job is not None
    cancel(scene, job)
