"""Everything that can die, be frozen or be interfered with, and its coming back."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from threading import Lock

from bench.chaos.ledger import Ledger
from bench.chaos.plan import Kill, Place
from bench.chaos.scene import Scene, copies_of
from bench.chaos.sight import look
from lab.cell import LabError
from lab.host import PrivateHost


class Killers:
    """Whoever strikes, by `strike`, comes back by itself. For several threads."""

    def __init__(self, scene: Scene, ledger: Ledger) -> None:
        self._scene = scene
        self._ledger = ledger
        # Nothing dies twice at a time.
        self._dying: defaultdict[str, Lock] = defaultdict(Lock)

    def strike(self, kill: Kill) -> bool:
        """Kill, wait, bring back. False if there was nothing to be killed just then."""
        whose, _, how = kill.kind.partition(" ")
        with self._dying[whose]:
            return self._strike(kill, whose, how)

    def _strike(self, kill: Kill, whose: str, how: str) -> bool:
        match whose:
            case "web" | "worker" | "beat" | "listener":
                return self._process(whose, how, kill.down)
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

    def _process(self, name: str, how: str, down: float) -> bool:
        service = self._scene.processes[name]
        if how == "frozen":
            service.freeze()
            time.sleep(down)
            service.thaw()
            return True
        service.kill()
        time.sleep(down)
        self._bring_back(name)
        return True

    def _bring_back(self, name: str, attempts: int = 5) -> None:
        """As a supervisor does: again, if it ends at once since something is away."""
        for left in reversed(range(attempts)):
            try:
                self._scene.bring_back(name)
            except LabError:
                if not left:
                    raise
                self._ledger.restarted += 1
                time.sleep(1)
            else:
                return

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
        """Start each process that has ended by itself, and each guest that rests."""
        for name, service in self._scene.processes.items():
            if not service.running:
                self._ledger.restarted += 1
                self._bring_back(name)
        self.revive_all()

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
        state = self._state(guest)
        if state == "shut off":
            self._ledger.disturb(guest)
            with self._ledger.stranger("start", guest):
                self._ledger.lost_by_libvirt += self._scene.revive(guest)
        elif state == "paused":
            self._virsh("resume", guest)

    def _state(self, guest: str) -> str:
        """libvirt's word, or nothing if the daemon is away."""
        try:
            return self._scene.guests[guest].state
        except LabError:
            return ""

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
        while self._state(guest) != "shut off" and time.monotonic() < end:
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
        place = kill.place if how == "copies" else self._mirrored(kill)
        guest, target = place.guest, place.target
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
        before = look(self._scene)[place]
        if before.mirror in {each.destination for each in self._ledger.strange}:
            self._ledger.abandoned.add(before.live)
        return self._virsh("blockjob", guest, target, "--pivot", verb="pivot")

    def _mirrored(self, kill: Kill) -> Place:
        """One of the disks that show a copy, anybody's; that of the plan if none do."""
        shown = [place for place, seen in look(self._scene).items() if seen.mirror]
        return shown[kill.which % len(shown)] if shown else kill.place

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
