"""Bringing everything to rest, and what must be true then of hosts and guests."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.chaos.images import to_raw, whole
from bench.chaos.killers import Killers
from bench.chaos.ledger import Ledger
from bench.chaos.operators import Operator, read
from bench.chaos.plan import Place
from bench.chaos.promises import Break, Promise
from bench.chaos.scene import Scene
from bench.chaos.sight import Seen, look
from jobs.lifecycle import State
from jobs.models import CopyJob, Leftover
from lab.cell import LabError

REST_SECONDS = 120.0
_MAY_END = frozenset({State.QUEUED, State.STARTING, State.COPYING, State.MIRRORING})


def come_to_rest(scene: Scene, operator: Operator, killers: Killers) -> None:
    """End every copy; returns when no job is active any more, or after two minutes."""
    killers.mend()
    killers.revive_all()
    end = time.monotonic() + REST_SECONDS
    cancelled: set[tuple[int, str]] = set()
    while time.monotonic() < end:
        active = read(lambda: list(CopyJob.objects.active()))
        if active == [] and not _mirrors(scene):
            return
        if active == []:
            killers.throw_out_strangers()
        for job in active or ():
            key = job.pk, job.state
            if job.state in _MAY_END and key not in cancelled:
                cancelled.add(key)
                operator.verb(job.pk, "cancel")
        time.sleep(0.5)


def _mirrors(scene: Scene) -> list[Place]:
    return [place for place, seen in look(scene).items() if seen.mirror]


def judge_hosts(scene: Scene, ledger: Ledger) -> Iterator[Break]:
    """No copy is left anywhere, nothing of ours either, and each disk is accounted."""
    for name, host in scene.hosts.items():
        pools = set(host.virsh("pool-list", "--all", "--name").split())
        if pools != {"images", "copies"}:
            sentence = f"the storage pools of {name} are {sorted(pools)}"
            yield Break(Promise.LEFTOVERS, 0, sentence)
    original = {
        Place(guest.name, f"vd{'abcd'[number]}"): str(disk.path)
        for guest in scene.guests.values()
        for number, disk in enumerate(guest.disks)
    }
    strange = {each.destination for each in ledger.strange}
    for place, seen in look(scene).items():
        if seen.mirror:
            sentence = f"{place} still shows a copy to {seen.mirror}"
            yield Break(Promise.REST, 0, sentence)
        yield from _judge_disk(place, seen, original[place], strange)


def _judge_disk(
    place: Place, seen: Seen, original: str, strange: set[str]
) -> Iterator[Break]:
    jobs = CopyJob.objects.filter(domain_name=place.guest, disk=place.target)
    pivoted = jobs.filter(state=State.PIVOTED).order_by("-ended_at").first()
    told = pivoted.destination if pivoted else original
    for source in {seen.live, seen.persistent} - {"", told}:
        lost = jobs.filter(state__in=(State.LOST, State.FAILED), destination=source)
        former = jobs.filter(source=source, state=State.LOST)
        if source not in strange and not lost.exists() and not former.exists():
            sentence = f"{place} is on {source}, and by the jobs on {told}"
            yield Break(Promise.NOT_LOST, pivoted.pk if pivoted else 0, sentence)
    if seen.live and seen.live != seen.persistent:
        sentence = f"{place} runs on {seen.live}, defined is {seen.persistent}"
        yield Break(Promise.NOT_LOST, pivoted.pk if pivoted else 0, sentence)
    wrong = Leftover.objects.there().filter(
        location__in=[source for source in (seen.live, seen.persistent) if source],
        kind__in=(Leftover.Kind.PARTIAL, Leftover.Kind.COPY, Leftover.Kind.SOURCE),
    )
    for leftover in wrong:
        sentence = f"{leftover.location} is called a leftover, and {place} runs on it"
        yield Break(Promise.LEFTOVERS, leftover.job_id, sentence)


def judge_guests(scene: Scene, ledger: Ledger) -> Iterator[Break]:
    """Each guest's own record; then it is ended, looked into, and booted once more."""
    for plan in scene.cast:
        guest = scene.guests[plan.name]
        harmed = guest.log.errors + guest.log.mismatches
        if harmed:
            sentence = (
                f"{plan.name} saw {guest.log.errors} errors "
                f"and {guest.log.mismatches} mismatches"
            )
            yield Break(Promise.UNHARMED, 0, sentence)
        try:
            if plan.writing:
                guest.log.wait_for_writes(2, timeout=60)
            guest.destroy()
            if plan.writing:
                yield from _judge_disks(scene, plan.name, ledger)
            boots = guest.log.boots
            guest.start()
            guest.log.wait_for_boot(boots + 1, timeout=60)
        except LabError as error:
            yield Break(Promise.UNHARMED, 0, f"{plan.name}: {error}")


def _judge_disks(scene: Scene, guest: str, ledger: Ledger) -> Iterator[Break]:
    """The disks of a guest that is off, where they are now."""
    for place, seen in look(scene).items():
        if place.guest != guest:
            continue
        format_ = _format(seen.persistent)
        with tempfile.TemporaryDirectory(dir=scene.directory) as folder:
            raw = Path(folder) / "disk.raw"
            wrong = to_raw(seen.persistent, format_, raw)
            wrong = wrong or whole(raw, gapless=guest not in ledger.disturbed)
        if wrong:
            yield Break(Promise.UNHARMED, 0, f"{place} on {seen.persistent}: {wrong}")


def _format(path: str) -> str:
    """By the name that the bench gave it."""
    return "raw" if path.endswith(".raw") else "qcow2"
