"""Private hosts: side by side, killed, frozen, and gone with whoever made them."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.cell import LabError
from lab.guest import Guest, define_and_start
from lab.host import PrivateHost
from tests.integration.lab.processes import kill_a_process_that, processes_of

pytestmark = pytest.mark.integration


def _uuid(host: PrivateHost) -> str | None:
    shown = ElementTree.fromstring(host.virsh("capabilities"))
    return shown.findtext("host/uuid")


def _answers(guest: Guest) -> bool:
    """Whether QEMU answers the daemon, which finds its guests again in a while.

    Until then a guest can be seen, but to destroy it gives "domain is not running".
    """
    return "vda wr_req" in guest.host.virsh("domblkstat", guest.name, "vda")


def test_two_hosts_stand_side_by_side(alder: PrivateHost, tmp_path: Path) -> None:
    uuid = "1c7d3a52-76e8-4f0c-8c5e-0d2f6a9b8e41"
    with PrivateHost(tmp_path, "birch", uuid=uuid, capabilities_from=alder) as birch:
        assert alder.virsh("hostname").strip() == "alder"
        assert birch.virsh("hostname").strip() == "birch"
        assert _uuid(birch) == uuid
        assert _uuid(alder) == alder.uuid != uuid
        define_and_start(birch, "web", writing=False)
        assert birch.virsh("list", "--name").split() == ["web"]
        assert "web" not in alder.virsh("list", "--all", "--name").split()


def test_a_killed_daemon_leaves_its_guests_and_finds_them_again(
    alder: PrivateHost,
) -> None:
    guest = define_and_start(alder, "survivor")
    guest.log.wait_for_boot()
    number = guest.domain_id
    alder.kill()
    with pytest.raises(LabError, match="virsh domstate on alder"):
        _ = guest.state
    guest.log.wait_for_writes()
    alder.start()
    assert guest.domain_id == number
    assert _answers(guest)
    guest.destroy()


def test_a_restart_keeps_guests(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "stayer", writing=False)
    number = guest.domain_id
    alder.restart()
    assert guest.domain_id == number
    assert _answers(guest)
    guest.destroy()


def test_a_frozen_daemon_answers_when_it_is_thawed(alder: PrivateHost) -> None:
    alder.freeze()
    asking = subprocess.Popen(
        ["virsh", "--connect", alder.uri, "hostname"],
        stdout=subprocess.DEVNULL,
    )
    with asking:
        with pytest.raises(subprocess.TimeoutExpired):
            asking.wait(1)
        alder.thaw()
        assert asking.wait(10) == 0
    assert alder.virsh("hostname").strip() == "alder"


def test_a_killed_guest_is_a_crashed_one(alder: PrivateHost) -> None:
    guest = define_and_start(alder, "victim", writing=False)
    alder.kill_guest("victim", signal.SIGKILL)
    guest.wait_until_off()
    assert guest.host.virsh("domstate", "--reason", "victim").split() == [
        "shut",
        "off",
        "(crashed)",
    ]


def test_pools_show_folders(alder: PrivateHost, tmp_path: Path) -> None:
    (tmp_path / "old.raw").write_bytes(bytes(4096))
    alder.define_pool()
    alder.define_pool("attic", tmp_path)
    assert {"images", "attic"} <= set(alder.virsh("pool-list", "--name").split())
    assert "old.raw" in alder.virsh("vol-list", "attic")
    assert str(alder.images) in alder.virsh("pool-dumpxml", "images")


def test_definitions_stay_when_a_host_is_stopped(tmp_path: Path) -> None:
    host = PrivateHost(tmp_path, "cedar")
    with host:
        define_and_start(host, "web", writing=False)
    assert processes_of(tmp_path) == set()
    with host:
        assert host.virsh("list", "--all", "--name").split() == ["web"]
        assert host.virsh("list", "--name").split() == []


def test_a_host_in_a_deep_folder_works_and_tidies_up(tmp_path: Path) -> None:
    host = PrivateHost(tmp_path / ("d" * 100), "a-host-with-a-rather-long-name")
    with host:
        guest = define_and_start(host, "a-guest-with-a-long-name-as-well")
        guest.log.wait_for_boot()
        elsewhere = host.socket.parents[1]
        assert not elsewhere.is_relative_to(tmp_path)
    assert not elsewhere.exists()


@pytest.mark.parametrize("length", range(80, 84))
def test_a_host_works_at_the_brink_of_too_deep_a_folder(length: int) -> None:
    """A socket's path may be 107 long, and the daemon has three of them."""
    with tempfile.TemporaryDirectory() as short:
        directory = Path(short) / ("d" * (length - len(short) - 1))
        with PrivateHost(directory, "cedar") as host:
            assert len(str(directory)) == length
            assert host.virsh("hostname").strip() == "cedar"


def test_a_daemon_that_cannot_start_tells_why(tmp_path: Path) -> None:
    host = PrivateHost(tmp_path, "cedar", configuration="no_such_setting = {\n")
    with pytest.raises(LabError, match=r"libvirtd did not start on cedar: .+libvirtd"):
        host.start()
    assert processes_of(tmp_path) == set()


STARTS = """
from lab.guest import Guest, define_and_start
from lab.host import PrivateHost
host = PrivateHost(folder, "cedar").start()
define_and_start(host, "web").log.wait_for_boot()
"""


@pytest.mark.parametrize("deep", ["", "d" * 100], ids=["here", "deep"])
def test_everything_ends_with_a_parent_that_is_killed(folder: Path, deep: str) -> None:
    before = set(Path("/tmp").glob("blockcopy-*"))
    there, left = kill_a_process_that(STARTS, folder / deep if deep else folder)
    assert len(there) >= 3  # process 1, the daemon, the guest
    assert left == set()
    assert set(Path("/tmp").glob("blockcopy-*")) <= before
