"""Everything that can die, be frozen or be interfered with, and its coming back."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable

from bench.chaos.ledger import Ledger
from bench.chaos.plan import Kill
from bench.chaos.scene import Scene, copies_of
from lab.cell import LabError
from lab.host import PrivateHost


class Killers:
    """`strike` returns when what died is back; `come_back` at the very end, too."""

    def __init__(self, scene: Scene, ledger: Ledger) -> None:
        self._scene = scene
        self._ledger = ledger

    def strike(self, kill: Kill) -> bool:
        """Kill, wait, bring back. False if there was nothing to be killed just then."""
        whose, _, how = kill.kind.partition(" ")
        match whose:
            case "web" | "worker" | "beat" | "listener":
                return self._process(whose, kill.down)
            case "redis":
                return self._redis(kill.down, emptied=how == "emptied")
            case "database":
                return self._database(kill.down)
            case "libvirtd":
                hosts = list(self._scene.hosts.values())
                return self._daemon(hosts[kill.which % len(hosts)], how, kill.down)
            case "qemu":
                return self._qemu(kill.place.guest, how, kill.down)
            case "nbd":
                return self._nbd(kill.which % len(self._scene.nbd), how, kill.down)
        return self._stranger(kill, how)

    # -- the console's own -------------------------------------------------------------

    def _process(self, name: str, down: float) -> bool:
        self._scene.processes[name].kill()
        time.sleep(down)
        self._scene.bring_back(name)
        return True

    def _redis(self, down: float, *, emptied: bool) -> bool:
        self._scene.redis.kill()
        time.sleep(down)
        if emptied:
            self._scene.empty_redis()
        self._scene.redis.start()
        return True

    def _database(self, down: float) -> bool:
        if self._scene.postgres is None:
            with self._scene.locked_sqlite():
                time.sleep(down)
            return True
        self._scene.postgres.kill()
        time.sleep(down)
        self._scene.postgres.start()
        return True

    def mend(self) -> None:
        """What a supervisor does: start each process that has ended by itself."""
        for name, service in self._scene.processes.items():
            if not service.running:
                self._ledger.restarted += 1
                self._scene.bring_back(name)

    # -- hosts and guests --------------------------------------------------------------

    def _daemon(self, host: PrivateHost, how: str, down: float) -> bool:
        if how == "frozen":
            host.freeze()
            time.sleep(down)
            host.thaw()
            return True
        host.kill()
        time.sleep(down)
        host.start()
        self.revive_all(host.name)
        return True

    def revive_all(self, host: str = "") -> None:
        """Start each guest that is off, as its operators would."""
        for plan in self._scene.cast:
            if host in ("", plan.host):
                self._revive(plan.name)

    def _revive(self, guest: str) -> None:
        if self._scene.guests[guest].state == "shut off":
            self._ledger.disturb(guest)
            with self._ledger.stranger("start", guest):
                self._ledger.lost_by_libvirt += self._scene.revive(guest)

    def _qemu(self, guest: str, how: str, down: float) -> bool:
        host = self._scene.host_of(guest)
        try:
            match how:
                case "killed":
                    self._ledger.disturb(guest)
                    host.kill_guest(guest)
                    time.sleep(down)
                    self._until_off(guest)
                    self._revive(guest)
                case "frozen":
                    host.kill_guest(guest, signal.SIGSTOP)
                    time.sleep(down)
                    host.kill_guest(guest, signal.SIGCONT)
                case "reset":
                    self._ledger.disturb(guest)
                    self._virsh("reset", guest)
                case "suspended":
                    self._virsh("suspend", guest)
                    time.sleep(down)
                    self._virsh("resume", guest)
        except (FileNotFoundError, ValueError):
            return False  # it is off just now
        return True

    def _until_off(self, guest: str) -> None:
        end = time.monotonic() + 20
        while self._scene.guests[guest].state == "running" and time.monotonic() < end:
            time.sleep(0.1)

    def _nbd(self, number: int, how: str, down: float) -> bool:
        server = self._scene.nbd[number]
        die, rise = (server.freeze, server.thaw)
        if how == "killed":
            die, rise = (server.kill, _starting(server.start))
        die()
        time.sleep(down)
        rise()
        return True

    # -- a stranger with virsh ---------------------------------------------------------

    def _stranger(self, kill: Kill, how: str) -> bool:
        guest, target = kill.place.guest, kill.place.target
        host = self._scene.host_of(guest)
        match how:
            case "copies":
                path = copies_of(host) / f"stranger-{guest}-{target}-{kill.number}.raw"
                words = ("--dest", str(path), "--format", "raw", "--transient-job")
                return self._virsh(
                    "blockcopy", guest, target, *words, destination=str(path)
                )
            case "aborts":
                return self._virsh("blockjob", guest, target, "--abort", verb="end")
            case "throttles":
                speed = str(1 + kill.which % 9)  # MiB/s
                return self._virsh(
                    "blockjob", guest, target, "--bandwidth", speed, verb="speed"
                )
        if self._mirrors_to_nbd(host, guest):
            return False
        return self._virsh("blockjob", guest, target, "--pivot", verb="pivot")

    def _mirrors_to_nbd(self, host: PrivateHost, guest: str) -> bool:
        """A server that may die takes a guest that was moved to it along."""
        with contextlib.suppress(LabError):
            return "protocol='nbd'" in host.virsh("dumpxml", guest)
        return True

    def _virsh(
        self,
        command: str,
        guest: str,
        *words: str,
        verb: str = "",
        destination: str = "",
    ) -> bool:
        """Whether it did what it was asked; often there is just nothing to be done."""
        disk = words[0] if words else ""
        verb = verb or {"blockcopy": "copy"}.get(command, command)
        with self._ledger.stranger(verb, guest, disk, destination):
            try:
                self._scene.host_of(guest).virsh(command, guest, *words)
            except LabError:
                return False
        return True

    def throw_out_strangers(self) -> None:
        """End what strangers began and nobody adopted, when all is brought to rest."""
        for plan in self._scene.cast:
            for number in range(len(plan.disks)):
                target = f"vd{'abcd'[number]}"
                self._virsh("blockjob", plan.name, target, "--abort", verb="end")


def _starting(start: Callable[[], object]) -> Callable[[], None]:
    def rise() -> None:
        start()

    return rise
