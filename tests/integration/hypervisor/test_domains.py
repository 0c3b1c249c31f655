"""What a connection remembers of a host's domains: nothing that is not so any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt
import pytest

from jobs.hypervisor import DomainObservation, Hypervisor, close_all, connection
from jobs.hypervisor.opening import open_connection
from lab.host import PrivateHost
from tests.integration.conftest import address_of, policy_for
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration

UUID = "5a0b1c9e-6f6e-4a53-9d0c-1f4e2b7c8d90"
OTHER = "6b1c2d0f-7a7f-4b64-8e1d-2a5f3c8d9ea1"


def define(by: libvirt.virConnect, name: str, uuid: str = UUID) -> libvirt.virDomain:
    """A domain without disks, which need not run."""
    return by.defineXML(
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid>"
        "<memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os></domain>"
    )


@pytest.fixture
def virsh(alder: PrivateHost) -> Iterator[libvirt.virConnect]:
    """Somebody else at the same host."""
    opened = open_connection(f"qemu+unix:///session?socket={alder.socket}")
    yield opened
    for uuid in (UUID, OTHER):
        with suppress(libvirt.libvirtError):
            opened.lookupByUUIDString(uuid).undefine()
    opened.close()


def names(hypervisor: Hypervisor) -> dict[str, str]:
    seen = hypervisor.observe_many([UUID, OTHER])
    return {
        uuid: domain.name if isinstance(domain, DomainObservation) else domain.text
        for uuid, domain in seen.items()
    }


def test_domains_come_go_and_change_their_names(
    hypervisor: Hypervisor, virsh: libvirt.virConnect
) -> None:
    assert names(hypervisor) == {}
    domain = define(virsh, "mail")
    assert names(hypervisor) == {UUID: "mail"}
    domain.rename("post")
    assert names(hypervisor) == {UUID: "post"}
    define(virsh, "web", OTHER)
    assert names(hypervisor) == {UUID: "post", OTHER: "web"}
    domain.undefine()
    assert names(hypervisor) == {OTHER: "web"}
    define(virsh, "mail")
    assert names(hypervisor) == {UUID: "mail", OTHER: "web"}


def sockets() -> int:
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += os.readlink(link).startswith("socket:")
    return found


def test_what_is_remembered_keeps_no_connection_open(
    alder: PrivateHost, virsh: libvirt.virConnect
) -> None:
    close_all()
    define(virsh, "mail")
    before = sockets()
    with connection(address_of(alder), policy_for(alder)) as hypervisor:
        assert names(hypervisor) == {UUID: "mail"}
        assert sockets() > before
    close_all()
    until(lambda: sockets() <= before)
