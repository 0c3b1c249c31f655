"""What of an inventory is kept when the host says less than before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs import inventory
from jobs.hypervisor import ChainLink as Link
from jobs.hypervisor import DiskFacts, DomainFacts, HostFacts, Inventory
from jobs.models import Disk, Host
from jobs.models.domain import using

TOP, BASE = "/images/web.qcow2", "/images/base.qcow2"
DISK = DiskFacts(
    target="vda",
    bus="virtio",
    device="disk",
    format="qcow2",
    source=TOP,
    source_kind="file",
    persistent_source=TOP,
    read_only=False,
    shareable=False,
    chain=(Link(BASE, "file", "qcow2"),),
)
WEB = DomainFacts(
    uuid="6f9619ff-8b86-4011-b42d-00cf4fc964ff",
    name="web",
    domain_id=7,
    state="running",
    state_reason=1,
    persistent=True,
    disks=(DISK,),
)


def off(source: str, *, known: bool = False) -> DomainFacts:
    """The domain without a run, and without a chain that any pool could tell.

    With `known` a pool has looked, and there is none.
    """
    disk = replace(
        DISK, source=source, persistent_source=source, chain=(), chain_known=known
    )
    return replace(WEB, domain_id=None, state="shutoff", disks=(disk,))


def store(host: Host, domain: DomainFacts) -> list[str]:
    facts = HostFacts("alder", "u", "QEMU", 9_000_000, 7_002_000)
    inventory.store(host, Inventory(facts, (domain,)))
    return list(Disk.objects.get().chain.values_list("location", flat=True))


@pytest.mark.usefixtures("redis")
def test_the_base_image_of_a_guest_that_is_off_is_still_in_use(host: Host) -> None:
    assert store(host, WEB) == [TOP, BASE]
    assert store(host, off(TOP)) == [TOP, BASE]
    assert using({BASE}).exists()


@pytest.mark.usefixtures("redis")
def test_a_chain_that_cannot_be_told_is_said_to_be_unknown(host: Host) -> None:
    store(host, off(TOP))
    assert Disk.objects.get().chain_known is False
    store(host, WEB)
    assert Disk.objects.get().chain_known is True


@pytest.mark.usefixtures("redis")
def test_a_guest_that_was_rebased_while_it_was_off(host: Host) -> None:
    store(host, WEB)
    assert store(host, off(TOP, known=True)) == [TOP]
    assert not using({BASE}).exists()


@pytest.mark.usefixtures("redis")
def test_a_chain_ends_with_its_source(host: Host) -> None:
    store(host, WEB)
    assert store(host, off("/images/other.qcow2")) == ["/images/other.qcow2"]
    assert store(host, WEB) == [TOP, BASE]
    flat = replace(WEB, disks=(replace(DISK, chain=()),))
    assert store(host, flat) == [TOP], "a running guest shows all that it has"


@pytest.mark.usefixtures("redis")
def test_the_size_of_a_backing_file_stays_known(host: Host) -> None:
    def sizes() -> list[int | None]:
        return list(Disk.objects.get().chain.values_list("capacity", flat=True))

    def told(top: int | None, base: int | None) -> DomainFacts:
        below = (replace(DISK.chain[0], capacity=base),)
        return replace(WEB, disks=(replace(DISK, capacity=top, chain=below),))

    store(host, told(10, 4))
    assert sizes() == [10, 4]
    store(host, told(None, None))
    assert sizes() == [10, 4], "nobody told this time"
    store(host, told(20, 4))
    assert sizes() == [20, 4]
