"""The disk's XML before and after: of the looks that started and ended the copy."""

from __future__ import annotations

import pytest

from jobs import actions, definitions
from jobs.actor import Actor
from jobs.hypervisor import Refused, domain_xml
from jobs.lifecycle import State
from jobs.models import CopyJob
from tests.fakes import FakeHypervisor
from tests.unit.engine.conftest import NEW, settled
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


def known(job: CopyJob) -> dict[str, str]:
    return {one.when: one.xml for one in job.definitions.all()}


def test_before_and_after_a_pivot(
    mirroring: CopyJob, workers: Workers, operator: Actor
) -> None:
    assert list(known(mirroring)) == ["before"]
    assert mirroring.source in known(mirroring)["before"]
    actions.perform(actions.PIVOT, mirroring, operator)
    workers.work()
    assert settled(mirroring).state == State.PIVOTED
    assert list(known(mirroring)) == ["before", "after"]
    assert NEW in known(mirroring)["after"]


def test_what_never_started_has_none(job: CopyJob, operator: Actor) -> None:
    actions.perform(actions.CANCEL, job, operator)
    assert known(job) == {}


def test_a_domain_that_is_gone_shows_none(
    mirroring: CopyJob, alder: FakeHypervisor, web: str, workers: Workers
) -> None:
    alder.vanish(web)
    workers.sweep()
    assert settled(mirroring).state == State.LOST
    assert list(known(mirroring)) == ["before"]


def test_a_definition_that_could_not_be_repaired(
    mirroring: CopyJob,
    alder: FakeHypervisor,
    web: str,
    workers: Workers,
    operator: Actor,
) -> None:
    alder.domains[web].follows = False
    alder.refuse("repair_persistent", Refused("access denied", code=88))
    actions.perform(actions.PIVOT, mirroring, operator)
    workers.work()
    assert settled(mirroring).state == State.FAILED
    assert NEW in known(mirroring)["after"]


def test_the_latest_look_counts(mirroring: CopyJob, alder: FakeHypervisor) -> None:
    disk = alder.observe(mirroring.domain_uuid).disks["vda"]
    for _ in range(2):
        definitions.keep(mirroring, definitions.When.AFTER, disk)
    assert list(known(mirroring)) == ["before", "after"]
    definitions.keep(mirroring, definitions.When.AFTER, None)
    assert known(mirroring)["after"] == disk.xml


# --- The element itself ---------------------------------------------------------------

DOMAIN = """<domain id='7'><devices>
  <disk type='file' device='disk'>
    <driver name='qemu' type='qcow2'/>
    <source file='/srv/&lt;b&gt;.qcow2'/>
    <target dev='vda' bus='virtio'/>
  </disk>
</devices></domain>"""


def test_the_element_as_text() -> None:
    disk = domain_xml.disks(domain_xml.parse(DOMAIN))["vda"]
    text = domain_xml.text(disk)
    assert text.startswith('<disk type="file" device="disk">')
    assert text.endswith("</disk>")
    assert "/srv/&lt;b&gt;.qcow2" in text


def test_an_endless_element_is_cut() -> None:
    long = DOMAIN.replace("/srv/", "/srv/" + "x" * 100_000)
    text = domain_xml.text(domain_xml.disks(domain_xml.parse(long))["vda"])
    assert len(text) == domain_xml.LONGEST_TEXT + 1
    assert text.endswith("…")
