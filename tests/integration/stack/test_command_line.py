"""The command line from the first check to the last leftover, on a real host."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.nbd import NbdServer
from lab.stack import PROJECT, Stack

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Desk:
    """Somebody's terminal, with a console and one private host behind it."""

    stack: Stack
    host: PrivateHost
    guest: Guest

    def run(self, *words: str | Path) -> tuple[int, Any]:
        """Run one command; return its exit status and its JSON."""
        done = self.stack.try_manage("blockcopy", *words, "--json")
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    def done(self, *words: str | Path) -> Any:
        """Run one command that does what it is asked; return its JSON."""
        status, told = self.run(*words)
        assert status == 0, told
        return told

    def copy(self, act: str, *words: str | Path) -> tuple[int, Any]:
        return self.run("job", act, self.host.name, self.guest.name, "vda", *words)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with PrivateHost(tmp_path_factory.mktemp("rack"), "alder") as host:
        prefixes = {"BLOCKCOPY_SOCKET_PREFIXES": str(host.socket.parent)}
        guest = define_and_start(
            host, "web", [GuestDisk(host.images / "web.qcow2", data=8 * MIB)]
        )
        guest.log.wait_for_boot()
        host.define_pool("images")
        with Stack(tmp_path_factory.mktemp("console"), prefixes) as stack:
            stack.add_host(host)
            yield Desk(stack, host, guest)


def image(desk: Desk, name: str, size: int, format_: str = "qcow2") -> Path:
    path = desk.host.images / name
    command = ["qemu-img", "create", "-q", "-f", format_, str(path), str(size)]
    subprocess.run(command, check=True)
    return path


def rules(told: Any, level: str) -> set[str]:
    findings = told.get("problems") or told["check"]["findings"]
    return {found["rule"] for found in findings if found["level"] == level}


def test_a_good_copy_passes_its_check(desk: Desk) -> None:
    status, told = desk.copy("check", "--to", desk.host.images / "new.qcow2")

    assert status == 0, told
    assert told["ok"]
    assert not rules(told, "stop") | rules(told, "warn")
    assert "guest_can_do_less" in rules(told, "notice")


def test_a_check_tells_what_would_fail_late_without_a_reason(desk: Desk) -> None:
    larger = image(desk, "larger.qcow2", 65 * MIB)
    jobs = desk.done("job", "list")

    status, told = desk.copy("check", "--to", larger, "--reuse-external")
    refused, why = desk.copy("start", "--to", larger, "--reuse-external")

    assert (status, refused) == (1, 1)
    assert "reused_size_is_exact" in rules(told, "stop")
    assert rules(why, "stop") == {"reused_size_is_exact"}
    assert desk.done("job", "list") == jobs


def test_the_format_of_what_lies_there_is_found(desk: Desk) -> None:
    there = image(desk, "there.raw", 64 * MIB, "raw")
    words = ("--to", there, "--reuse-external", "--format", "found")

    status, told = desk.copy("check", *words)

    assert status == 0, told
    assert told["destination_format"] == "raw"


def test_a_warning_is_accepted_with_a_reason(desk: Desk) -> None:
    web = desk.guest.name
    desk.host.virsh("checkpoint-create-as", web, "point")
    words = ("--to", desk.host.images / "warned.raw", "--format", "raw")
    try:
        status, told = desk.copy("start", *words)
        assert status == 1
        assert rules(told, "warn") == {"checkpoints_survive"}
        assert "--accept checkpoints_survive --reason" in told["error"]

        accept = ("--accept", "checkpoints_survive", "--reason", "full backup tonight")
        status, job = desk.copy("start", *words, *accept, "--wait")
        assert (status, job["state"]) == (0, "mirroring"), job
        shown = desk.done("job", "show", str(job["job"]))
        accepted = [found["rule"] for found in shown["findings"] if found["accepted"]]
        assert accepted == ["checkpoints_survive"]
        desk.done("job", "cancel", str(job["job"]), "--wait")
    finally:
        desk.host.virsh("checkpoint-delete", web, "point")


def test_a_volume_from_its_making_to_the_removal_of_the_old_source(desk: Desk) -> None:
    old = desk.guest.source()
    words = ("--kind", "volume", "--pool", "images", "--volume", "moved.qcow2")

    status, job = desk.copy("start", *words, "--when-ready", "pivot", "--wait")

    assert (status, job["state"]) == (0, "pivoted"), job
    assert job["created_volume"]["name"] == "moved.qcow2"
    assert desk.guest.source() == job["destination"] != old
    [left] = desk.done("job", "show", str(job["job"]))["leftovers"]
    assert (left["location"], left["kind"]) == (old, "source")
    left = measured(desk, left["leftover"])

    removal = ("leftover", "remove", str(left["leftover"]))
    removed = desk.done(*removal, "--reason", "moved", "--wait")
    assert removed["state"] == "removed"
    assert not Path(old).exists()
    assert Path(desk.guest.source()).exists()


def measured(desk: Desk, number: int) -> Any:
    """Return a leftover as soon as its host told what lies there."""
    end = time.monotonic() + 60
    while not (left := desk.done("leftover", "show", str(number)))["measured_at"]:
        assert time.monotonic() < end, left
        time.sleep(0.5)
    return left


def test_what_a_guest_uses_is_not_removed(desk: Desk) -> None:
    """A file that a job left, and that a shut-off domain has as its disk since."""
    partial = desk.host.images / "partial.qcow2"
    words = ("--to", partial, "--bandwidth", "1MiB", "--buf-size", "1MiB")
    _, job = desk.copy("start", *words)
    desk.done("job", "cancel", str(job["job"]), "--wait")
    [left] = desk.done("job", "show", str(job["job"]))["leftovers"]
    measured(desk, left["leftover"])
    disk = GuestDisk(partial)
    define_and_start(desk.host, "heir", [disk], start=False)
    try:
        removal = ("leftover", "remove", str(left["leftover"]))
        status, told = desk.run(*removal, "--reason", "cleaning up", "--wait")
        assert status == 1
        assert "heir" in told["error"]
        assert partial.exists()
    finally:
        desk.host.virsh("undefine", "heir")


@pytest.mark.parametrize("written", ["options", "XML"])
def test_a_server_that_nobody_can_look_into(
    desk: Desk, tmp_path: Path, written: str
) -> None:
    """What could not be known is a warning, and the copy a person's decision."""
    export = image(desk, f"export-{written}.raw", 64 * MIB, "raw")
    with NbdServer(tmp_path, export, export="it's web") as server:
        place = ("--kind", "nbd", "--server", f"{server.name}:{server.port}")
        words = [*place, "--export", "it's web", "--format", "raw"]
        if written == "XML":
            xml = tmp_path / "destination.xml"
            xml.write_text(desk.copy("check", *words)[1]["xml"])
            words = ["--xml", str(xml)]
        words.append("--reuse-external")

        status, told = desk.copy("start", *words)
        assert status == 1
        open_rules = rules(told, "warn")
        assert "reused_is_there" in open_rules
        assert not rules(told, "stop")

        accept = [word for rule in open_rules for word in ("--accept", rule)]
        why = ("--reason", "made with exactly the disk's size")
        status, job = desk.copy("start", *words, *accept, *why, "--wait")
        assert (status, job["state"]) == (0, "mirroring"), job
        assert job["destination"] == f"nbd://127.0.0.1:{server.port}/it's web"
        ended = desk.done("job", "finish", str(job["job"]), "--wait")
        assert ended["state"] == "copied"


def test_bandwidth_as_it_is_in_force(desk: Desk) -> None:
    words = ("--to", desk.host.images / "slow.qcow2", "--bandwidth", "1MiB")
    _, job = desk.copy("start", *words, "--buf-size", "1MiB")
    number = str(job["job"])
    end = time.monotonic() + 60
    while desk.done("job", "show", number)["state"] != "copying":
        assert time.monotonic() < end
        time.sleep(0.2)

    told = desk.done("job", "speed", number, "3000000", "--wait")

    assert told["bandwidth"] == 3_000_000
    desk.done("job", "cancel", number, "--wait")


def test_secrets_are_defined_as_documented(desk: Desk, tmp_path: Path) -> None:
    """The XML of docs/destinations.md, by virsh, and a LUKS copy with it."""
    text = (PROJECT / "docs/destinations.md").read_text()
    documented = re.findall(r"<secret ephemeral.*?</secret>", text, re.DOTALL)
    assert len(documented) == 3
    for number, xml in enumerate(documented):
        file = tmp_path / f"{number}.xml"
        file.write_text(xml)
        desk.host.virsh("secret-define", file, "--validate")
    uuids = re.findall(r"[0-9a-f-]{36}", desk.host.virsh("secret-list"))
    assert len(uuids) == 3
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse")
    for uuid in uuids:
        desk.host.virsh("secret-set-value", uuid, "--file", secret, "--plain")

    volume = ("--kind", "volume", "--pool", "images", "--volume", "secret.qcow2")
    named = ("--luks-secret", "usage:/srv/new/web.qcow2")
    status, job = desk.copy("start", *volume, *named, "--wait")

    assert (status, job["state"]) == (0, "mirroring"), job
    assert desk.done("job", "finish", str(job["job"]), "--wait")["state"] == "copied"
    info = subprocess.run(
        ["qemu-img", "info", "--output=json", job["destination"]],
        capture_output=True,
        check=True,
    )
    assert json.loads(info.stdout)["encrypted"]
