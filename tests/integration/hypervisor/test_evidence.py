"""What a real host tells before a copy: names, links, chains, pools, circumstances."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid as uuids
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.hypervisor import (
    ChainLink,
    Destination,
    Evidence,
    HostUnreachable,
    Hypervisor,
    Secret,
    Server,
    connection,
)
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.images import NOT_TIMED
from tests.integration.conftest import MakeGuest, address_of, policy_for, remove
from tests.integration.hypervisor.conftest import until

pytestmark = pytest.mark.integration

LOOK = "blockcopy-look-"


@pytest.fixture(scope="module")
def guest(alder: PrivateHost) -> Iterator[Guest]:
    """The guest that is to be copied; its processor does not run."""
    guest = define_and_start(alder, "copied", paused=True)
    yield guest
    remove(guest)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that no pool covers."""
    return tmp_path


@pytest.fixture(autouse=True)
def no_pool_is_left(alder: PrivateHost) -> Iterator[None]:
    yield
    assert LOOK not in alder.virsh("pool-list", "--all", "--name")


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True, stdout=subprocess.DEVNULL)


def create(path: Path, *more: str | Path, size: str = "8M") -> Path:
    """A qcow2 image."""
    qemu_img("create", "-q", "-f", "qcow2", *more, path, size)
    return path


class Asked:
    """One question, asked of the same guest in every test."""

    def __init__(self, hypervisor: Hypervisor, guest: Guest) -> None:
        self.hypervisor = hypervisor
        self.uuid = guest.uuid

    def __call__(self, path: Path | str, *, transient_pools: bool = True) -> Evidence:
        destination = Destination("file", str(path), "qcow2")
        return self.hypervisor.examine(
            self.uuid, "vda", destination, transient_pools=transient_pools
        )


@pytest.fixture
def examine(hypervisor: Hypervisor, guest: Guest) -> Asked:
    return Asked(hypervisor, guest)


# --- Names of one file ----------------------------------------------------------------


def other_name(how: str, path: Path, place: Path) -> Path:
    """The file at `path` by another name in `place`."""
    name = place / "other.qcow2"
    if how == "symbolic link":
        name.symlink_to(path)
    elif how == "hard link":
        name.hardlink_to(path)
    else:
        (place / "folder").symlink_to(path.parent)
        name = place / "folder" / path.name
    return name


@pytest.mark.parametrize("part", ["top", "base"])
@pytest.mark.parametrize("how", ["symbolic link", "hard link", "linked directory"])
def test_a_disk_that_is_off_is_found_by_its_other_name(
    examine: Asked,
    alder: PrivateHost,
    make_guest: MakeGuest,
    outside: Path,
    how: str,
    part: str,
) -> None:
    top = GuestDisk(alder.images / "resting.qcow2", backing=("qcow2",))
    off = make_guest(alder, top, start=False)
    files = {"top": top.path, "base": alder.images / "resting.base1.qcow2"}
    seen = examine(other_name(how, files[part], outside))
    assert seen.destination.exists
    (use,) = seen.uses
    assert (use.domain_name, use.location) == (off.name, str(files[part]))
    assert use.how == {"top": "source", "base": "backing file"}[part]
    assert use.fingerprint == seen.destination.fingerprint != ""
    assert not use.running
    assert seen.uses_unknown == ()


def test_a_disk_that_ran_until_just_now_is_found_by_its_other_name(
    examine: Asked, alder: PrivateHost, make_guest: MakeGuest, outside: Path
) -> None:
    """What the pool saw of it before is old by now."""
    wrote = make_guest(alder, writing=True)
    name = other_name("hard link", wrote.disks[0].path, outside)
    examine(name)
    wrote.log.wait_for_writes(3)
    wrote.destroy()
    assert [use.domain_name for use in examine(name).uses] == [wrote.name]


def test_a_disk_that_is_being_written_is_never_taken_for_another(
    examine: Asked, alder: PrivateHost, make_guest: MakeGuest, outside: Path
) -> None:
    writing = make_guest(alder, writing=True)
    other = create(outside / "other.qcow2", size="64M")
    linked = other_name("linked directory", writing.disks[0].path, outside)
    writing.log.wait_for_writes()
    marks = set()
    for _ in range(20):
        assert examine(other).uses == ()
        seen = examine(linked)
        # It may be missed, since it changes between two looks; QEMU's lock is for that.
        assert {use.domain_name for use in seen.uses} <= {writing.name}
        marks.add(seen.destination.fingerprint)
    assert len(marks) > 1


def test_images_made_one_after_another_are_told_apart(
    examine: Asked, outside: Path
) -> None:
    paths = [create(outside / f"{number}.qcow2") for number in range(20)]
    marks = [
        examine.hypervisor.image(str(path), transient_pools=True) for path in paths
    ]
    assert len({mark.fingerprint for mark in marks}) == len(paths)


def test_a_copy_of_a_file_is_another_file(
    examine: Asked, alder: PrivateHost, make_guest: MakeGuest, outside: Path
) -> None:
    off = make_guest(alder, start=False)
    subprocess.run(["cp", "-a", off.disks[0].path, outside / "copy.qcow2"], check=True)
    seen = examine(outside / "copy.qcow2")
    assert seen.destination.exists
    assert seen.uses == ()


# --- Definitions ----------------------------------------------------------------------


def test_the_next_start_of_a_running_guest_counts(
    examine: Asked, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    running = make_guest(alder, paused=True)
    base = create(alder.images / "next.base.qcow2")
    following = create(alder.images / "next.qcow2", "-b", base, "-F", "qcow2")
    definition = alder.virsh("dumpxml", "--inactive", running.name)
    edited = definition.replace(str(running.disks[0].path), str(following))
    alder.virsh("define", "/dev/stdin", text=edited)
    (top,) = examine(following).uses
    assert (top.how, top.running) == ("persistent source", True)
    (below,) = examine(base).uses
    assert below.how == "backing file"


def test_a_saved_guest_goes_on_with_the_disks_that_it_had(
    examine: Asked, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    saved = make_guest(alder, paused=True)
    path = saved.disks[0].path
    alder.virsh("managedsave", saved.name)
    try:
        definition = alder.virsh("dumpxml", "--inactive", saved.name)
        edited = definition.replace(str(path), str(alder.images / "edited.qcow2"))
        alder.virsh("define", "/dev/stdin", text=edited)
        assert saved.source() != str(path)
        (use,) = examine(path).uses
    finally:
        alder.virsh("managedsave-remove", saved.name)
    assert (use.domain_name, use.how, use.running) == (saved.name, "source", False)
    assert examine(path).uses == ()


def test_chains_are_followed_however_the_header_writes_them(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    bottom = create(alder.images / "written.bottom")
    middle = create(alder.images / "written.middle", "-b", bottom.name, "-F", "qcow2")
    file = {"driver": "file", "filename": str(middle)}
    above = "json:" + json.dumps({"driver": "qcow2", "file": file})
    top = create(alder.images / "written.qcow2", "-b", above, "-F", "qcow2")
    off = make_guest(alder, GuestDisk(top), start=False)
    assert chain_of(off, hypervisor) == (
        ChainLink(str(middle), "file", "qcow2"),
        ChainLink(str(bottom), "file", "qcow2"),
    )


def chain_of(guest: Guest, hypervisor: Hypervisor) -> tuple[ChainLink, ...]:
    domains = hypervisor.inventory(transient_pools=True).domains
    (found,) = [domain for domain in domains if domain.name == guest.name]
    assert found.disks[0].chain_known
    return found.disks[0].chain


def test_a_header_that_a_guest_wrote_into_a_raw_disk_is_not_believed(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    secret = create(alder.images / "forged.target")
    forged = create(alder.images / "forged.img", "-b", secret, "-F", "qcow2")
    off = make_guest(alder, GuestDisk(forged, format="raw"), start=False)
    assert chain_of(off, hypervisor) == ()


def test_a_chain_that_ends_in_itself(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    one, other = alder.images / "ring.1", alder.images / "ring.2"
    create(one)
    create(other, "-b", one, "-F", "qcow2")
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", other, "-F", "qcow2", one)
    off = make_guest(alder, GuestDisk(one), start=False)
    assert chain_of(off, hypervisor) == (ChainLink(str(other), "file", "qcow2"),)


def test_a_chain_that_nobody_can_look_at_is_not_known(
    examine: Asked, alder: PrivateHost, make_guest: MakeGuest, outside: Path
) -> None:
    off = make_guest(alder, GuestDisk(outside / "hidden.qcow2"), start=False)
    domains = examine.hypervisor.inventory().domains
    (found,) = [domain for domain in domains if domain.name == off.name]
    assert (found.disks[0].chain, found.disks[0].chain_known) == ((), False)
    there = create(alder.images / "there.qcow2")
    assert examine(there, transient_pools=False).uses_unknown == (
        f"No storage pool covers {outside}.",
    )
    assert examine(there).uses_unknown == ()
    # What is not there yet cannot be in any chain.
    new = examine(alder.images / "new.qcow2", transient_pools=False)
    assert (new.unknown, new.uses_unknown) == ((), ())


# --- Directories and pools ------------------------------------------------------------


def test_a_directory_without_a_pool(examine: Asked, outside: Path) -> None:
    blind = examine(outside / "new.qcow2", transient_pools=False)
    assert blind.directory is not None
    assert (blind.directory.exists, blind.destination.exists) == (None, None)
    assert blind.unknown == (f"No storage pool covers {outside}.",)
    seen = examine(outside / "new.qcow2")
    assert seen.directory is not None
    assert (seen.directory.exists, seen.destination.exists) == (True, False)
    assert (seen.directory.pool, seen.pool) == ("", None)
    free = os.statvfs(outside).f_bfree * os.statvfs(outside).f_frsize
    assert seen.directory.available == pytest.approx(free, rel=0.05)
    assert seen.unknown == ()


def test_a_directory_that_is_not_there(examine: Asked, outside: Path) -> None:
    create(outside / "file")
    for missing in (outside / "nowhere", outside / "file"):
        seen = examine(missing / "new.qcow2")
        assert seen.directory is not None
        assert (seen.directory.exists, seen.destination.exists) == (False, False)
        assert seen.unknown == ()


def test_a_directory_that_may_not_be_read(examine: Asked, outside: Path) -> None:
    outside.chmod(0o300)
    try:
        seen = examine(outside / "new.qcow2")
    finally:
        outside.chmod(0o700)
    assert seen.directory is not None
    assert (seen.directory.exists, seen.destination.exists) == (None, None)
    (sentence,) = seen.unknown
    assert sentence == (
        f"The directory {outside} could not be read: cannot open directory "
        f"'{outside}': Permission denied"
    )


@pytest.mark.parametrize(
    ("mode", "writable"), [(0o700, True), (0o500, False), (0o777, True), (0o577, False)]
)
def test_whether_a_directory_can_be_written(
    examine: Asked, outside: Path, mode: int, writable: bool
) -> None:
    outside.chmod(mode)
    try:
        seen = examine(outside / "new.qcow2")
    finally:
        outside.chmod(0o700)
    assert seen.directory is not None
    assert seen.directory.writable is writable


def test_a_pool_that_is_not_active_is_no_hindrance(
    examine: Asked, alder: PrivateHost, outside: Path
) -> None:
    alder.virsh("pool-define-as", "asleep", "dir", "--target", outside)
    try:
        blind = examine(outside / "new.qcow2", transient_pools=False)
        seen = examine(outside / "new.qcow2")
    finally:
        alder.virsh("pool-undefine", "asleep")
    assert blind.destination.exists is None
    assert seen.destination.exists is False


def test_what_came_behind_the_pools_back_is_seen(
    examine: Asked, alder: PrivateHost
) -> None:
    path = alder.images / "behind.qcow2"
    assert examine(path).destination.exists is False
    create(path)
    assert examine(path).destination.exists is True
    path.unlink()
    assert examine(path).destination.exists is False


def test_devices_are_never_opened(examine: Asked) -> None:
    """To open a watchdog starts it, and nobody would feed it."""
    never = ("/dev/new", "//dev/new", "/tmp/../dev/./new", "/proc/new", "/sys/kernel/x")
    for path in never:
        assert examine.hypervisor.image(path, transient_pools=True).exists is None


def test_whole_disks_of_the_host_are_known(
    hypervisor: Hypervisor, alder: PrivateHost
) -> None:
    names = alder.virsh("nodedev-list", "--cap", "storage").split()
    if not names:
        pytest.skip("This machine shows libvirt no disk.")
    device = "/dev/" + names[0].removeprefix("block_")
    seen = hypervisor.image(device)
    sectors = int(Path(f"/sys/class/block/{Path(device).name}/size").read_text())
    assert (seen.exists, seen.kind, seen.capacity) == (True, "block", sectors * 512)
    assert seen.fingerprint == f"device {device}"


@pytest.mark.parametrize("name", ["it's <b>&amp;\" ü.qcow2", " %00 {} .qcow2", "-rf"])
def test_hostile_names(examine: Asked, outside: Path, name: str) -> None:
    folder = outside / f"folder {name}"
    folder.mkdir()
    create(Path(f"{folder}/{name}"))
    seen = examine(folder / name)
    assert seen.destination.exists
    assert seen.destination.capacity == 8 * MIB
    assert seen.directory is not None
    assert seen.directory.path == str(folder)


def test_looks_at_the_same_directory_do_not_disturb_each_other(
    guest: Guest, alder: PrivateHost, outside: Path
) -> None:
    path = create(outside / "there.qcow2")
    uuid, found = guest.uuid, []

    def look() -> None:
        with connection(address_of(alder), policy_for(alder)) as own:
            for _ in range(5):
                seen = Asked(own, guest)(path) if uuid else None
                found.append(seen and (seen.destination.exists, seen.unknown))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(True, ())] * 20


def test_pools_of_a_worker_that_was_killed_are_taken_away(
    examine: Asked, alder: PrivateHost, outside: Path
) -> None:
    now = int(time.time())
    pools = {f"{LOOK}{now - 3600}-0badcafe": "old", f"{LOOK}{now}-0badcafe": "young"}
    for name, folder in pools.items():
        (outside / folder).mkdir()
        alder.virsh("pool-create-as", name, "dir", "--target", outside / folder)
    try:
        shown = [pool.name for pool in examine.hypervisor.inventory().pools]
        examine(outside / "new.qcow2")
        left = alder.virsh("pool-list", "--name").split()
    finally:
        alder.virsh("pool-destroy", f"{LOOK}{now}-0badcafe")
    assert not any(name.startswith(LOOK) for name in shown)
    assert [name for name in left if name.startswith(LOOK)] == [f"{LOOK}{now}-0badcafe"]


def test_a_pool_that_is_at_work_tells_its_last(
    examine: Asked, alder: PrivateHost
) -> None:
    """Making a LUKS header takes QEMU its time on purpose."""
    uuid = alder.define_secret("busy", "busy")
    volume = """<volume><name>busy</name><capacity>1048576</capacity>
      <target><format type='raw'/><encryption format='luks'>
      <secret type='passphrase' usage='busy'/></encryption></target></volume>"""

    busy = alder.images / "busy"
    for attempt in range(10):
        # One that the pool has not come to know in an attempt before.
        path = alder.images / f"late-{attempt}.qcow2"
        with ThreadPoolExecutor(1) as beside:
            making = beside.submit(
                alder.virsh, "vol-create", "images", "/dev/stdin", text=volume
            )
            while not (busy.exists() or making.done()):
                time.sleep(0.01)
            create(path)
            old = examine(path, transient_pools=False)
            new = examine(path)
            at_work = not making.done()
        if NOT_TIMED not in str(making.exception()):
            break
    making.result()
    alder.virsh("secret-undefine", uuid)
    alder.virsh("vol-delete", "busy", "images")
    assert at_work
    assert old.destination.exists is False
    assert "Pool images tells what it last knew" in old.unknown[0]
    assert (new.destination.exists, new.unknown) == (True, ())


# --- Circumstances --------------------------------------------------------------------


def test_snapshots_by_name(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    off = make_guest(alder, start=False)
    for name in ("before <update>", "after"):
        alder.virsh("snapshot-create-as", off.name, name)
    seen = hypervisor.examine(off.uuid, "vda", Destination("file", "/images/new"))
    try:
        assert sorted(seen.snapshots) == ["after", "before <update>"]
    finally:
        for name in seen.snapshots:
            alder.virsh("snapshot-delete", off.name, name)


def test_checkpoints_and_a_running_backup(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest, tmp_path: Path
) -> None:
    running = make_guest(alder, paused=True)
    wanted = Destination("file", str(alder.images / "new.qcow2"))
    alder.virsh("checkpoint-create-as", running.name, "monday")
    seen = hypervisor.examine(running.uuid, "vda", wanted)
    assert (seen.checkpoints, seen.backup) == (1, False)
    served = f"""<domainbackup mode='pull'>
      <server transport='unix' socket='{alder.socket.parent}/backup'/>
      <disks><disk name='vda' backup='yes' type='file'>
      <scratch file='{tmp_path}/scratch.qcow2'/></disk></disks></domainbackup>"""
    alder.virsh("backup-begin", running.name, "/dev/stdin", text=served)
    assert hypervisor.examine(running.uuid, "vda", wanted).backup
    alder.virsh("domjobabort", running.name)
    until(lambda: not hypervisor.examine(running.uuid, "vda", wanted).backup)
    alder.virsh("checkpoint-delete", running.name, "monday")


def test_a_pull_is_in_no_definition(
    hypervisor: Hypervisor, alder: PrivateHost, make_guest: MakeGuest
) -> None:
    disk = GuestDisk(alder.images / "pulled.qcow2", data=8 * MIB, backing=("qcow2",))
    running = make_guest(alder, disk, paused=True)
    wanted = Destination("file", str(alder.images / "new.qcow2"))
    assert hypervisor.examine(running.uuid, "vda", wanted).job == ""
    alder.virsh("blockpull", running.name, "vda", "--bytes", "--bandwidth", "65536")
    assert hypervisor.examine(running.uuid, "vda", wanted).job == "pull"
    alder.virsh("blockjob", running.name, "vda", "--abort")
    assert hypervisor.examine(running.uuid, "vda", wanted).job == ""


SECRETS = {
    "volume": "<usage type='volume'><volume>{}</volume></usage>",
    "ceph": "<usage type='ceph'><name>{}</name></usage>",
    "iscsi": "<usage type='iscsi'><target>{}</target></usage>",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_by_uuid_and_by_usage(
    examine: Asked, alder: PrivateHost, kind: str
) -> None:
    usage = f"key of {kind}"
    uuid = str(uuids.uuid4())
    text = f"<uuid>{uuid}</uuid>{SECRETS[kind].format(usage)}"
    text = f"<secret ephemeral='yes'>{text}</secret>"
    alder.virsh("secret-define", "/dev/stdin", text=text)
    try:
        for named, missing in (
            (Secret(uuid=uuid), ()),
            (Secret(usage=usage), ()),
            (Secret(usage="another key"), ("another key",)),
        ):
            seen = examine.hypervisor.examine(examine.uuid, "vda", needing(kind, named))
            assert seen.missing_secrets == missing
        other = "iscsi" if kind == "volume" else "volume"
        seen = examine.hypervisor.examine(
            examine.uuid, "vda", needing(other, Secret(usage=usage))
        )
        assert seen.missing_secrets == (usage,), "a secret is for one purpose"
    finally:
        alder.virsh("secret-undefine", uuid)


def needing(kind: str, secret: Secret) -> Destination:
    if kind == "volume":
        return Destination("file", "/images/new", encryption=secret)
    servers = (Server("box"),)
    if kind == "ceph":
        return Destination(
            "network",
            protocol="rbd",
            name="p/i",
            servers=servers,
            user="u",
            auth=secret,
        )
    return Destination(
        "network", protocol="iscsi", name="i/0", servers=servers, user="u", auth=secret
    )


def test_a_stuck_guest_does_not_hide_the_rest(
    examine: Asked,
    alder: PrivateHost,
    make_guest: MakeGuest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.hypervisor.inventory.QEMU_SECONDS", 0.5)
    stuck = make_guest(alder)
    path = str(stuck.disks[0].path)
    alder.kill_guest(stuck.name, signal.SIGSTOP)
    try:
        seen = examine.hypervisor.examine(
            stuck.uuid, "vda", Destination("file", path, "qcow2")
        )
    finally:
        alder.kill_guest(stuck.name, signal.SIGCONT)
    assert [use.domain_name for use in seen.uses] == [stuck.name]
    assert seen.domain is not None
    assert seen.domain.disks[0].capacity is None
    assert seen.source is not None
    assert seen.source.capacity == 64 * MIB
    until(lambda: examine(path).domain is not None)


def test_a_host_that_is_gone(
    birch: PrivateHost, make_guest: MakeGuest, tmp_path: Path
) -> None:
    guest = make_guest(birch, paused=True)
    uuid = guest.uuid
    destination = Destination("file", str(tmp_path / "new.qcow2"))
    with connection(address_of(birch), policy_for(birch)) as hypervisor:
        birch.kill()
        with pytest.raises(HostUnreachable):
            hypervisor.examine(uuid, "vda", destination, transient_pools=True)
    birch.start()


def test_a_look_is_quick_in_a_large_directory(
    examine: Asked, outside: Path, record_property: Callable[[str, object], None]
) -> None:
    """Two thousand images, over which a transient pool is put."""
    template = create(outside / "0.qcow2")
    for number in range(1, 2000):
        shutil.copy(template, outside / f"{number}.qcow2")
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        assert examine(outside / "1999.qcow2").destination.capacity == 8 * MIB
        seconds.append(time.perf_counter() - began)
    record_property("seconds", min(seconds))
    assert min(seconds) < 1
