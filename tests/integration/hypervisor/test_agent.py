"""Freezing and thawing a Linux guest by its real agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.hypervisor import (
    AgentUnavailable,
    Destination,
    Hypervisor,
    Refused,
)
from lab.guest import Guest, GuestDisk
from lab.host import PrivateHost
from lab.linux import start_linux
from tests.integration.conftest import MakeGuest, remove
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration

CACHE = Path(__file__).resolve().parents[3] / "var" / "linux"


@pytest.fixture(scope="module")
def linux(alder: PrivateHost) -> Iterator[Guest]:
    """A guest with an agent and one mounted file system, to which it writes."""
    disk = GuestDisk(alder.images / "linux-agent.raw", format="raw")
    guest = start_linux(alder, "linux-agent", CACHE, disk=disk, agent=True, span=4)
    guest.log.wait_for_boot(timeout=60)
    until(lambda: agent_answers(guest), 30)
    yield guest
    remove(guest)


def ask_agent(guest: Guest, command: str) -> object:
    answer = guest.host.virsh(
        "qemu-agent-command", guest.name, json.dumps({"execute": command})
    )
    return json.loads(answer)["return"]


def agent_answers(guest: Guest) -> bool:
    xml = guest.host.virsh("dumpxml", guest.name)
    return "state='connected'" in xml


def test_freeze_and_thaw(linux: Guest, hypervisor: Hypervisor) -> None:
    linux.log.wait_for_writes(2)
    assert hypervisor.freeze(linux.uuid) == 1
    assert ask_agent(linux, "guest-fsfreeze-status") == "frozen"
    with pytest.raises(Refused):
        hypervisor.freeze(linux.uuid)
    assert ask_agent(linux, "guest-fsfreeze-status") == "frozen", "as it was"
    assert hypervisor.thaw(linux.uuid) == 1
    assert ask_agent(linux, "guest-fsfreeze-status") == "thawed"
    assert hypervisor.thaw(linux.uuid) == 0
    linux.log.wait_for_writes(2)
    assert (linux.log.errors, linux.log.mismatches) == (0, 0)


def test_evidence_says_whether_the_agent_is_there(
    linux: Guest, make_guest: MakeGuest, alder: PrivateHost, hypervisor: Hypervisor
) -> None:
    new = Destination("file", str(alder.images / "new.qcow2"))
    assert hypervisor.examine(linux.uuid, "vda", new).agent
    without = make_guest(alder, paused=True)
    assert not hypervisor.examine(without.uuid, "vda", new).agent


def test_a_guest_without_an_agent(
    make_guest: MakeGuest, alder: PrivateHost, hypervisor: Hypervisor
) -> None:
    guest = make_guest(alder)
    with pytest.raises(AgentUnavailable) as told:
        hypervisor.freeze(guest.uuid)
    assert told.value.code
    assert "qemu-guest-agent" in told.value.remedy
    with pytest.raises(AgentUnavailable):
        hypervisor.thaw(guest.uuid)
