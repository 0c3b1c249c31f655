"""Copies that never were: years of them that ended, and those that are active."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from jobs.hypervisor import Destination, destination_to_json
from jobs.lifecycle import ACTIVE, ENDED, ON_HOST, State, WhenReady
from jobs.made_up.fleet import Made
from jobs.made_up.loading import Row
from jobs.made_up.people import Person
from jobs.made_up.size import Size
from jobs.models import AuditEntry
from jobs.models.job import claim_of

# So long ago the first one was.
SPAN = timedelta(days=730)
MOMENT = timedelta(seconds=1)
_ENDS = {
    State.PIVOTED: 62,
    State.COPIED: 18,
    State.CANCELLED: 11,
    State.FAILED: 8,
    State.LOST: 1,
}
_NOW = {
    State.MIRRORING: 40,
    State.COPYING: 46,
    State.QUEUED: 5,
    State.REQUESTED: 4,
    State.STARTING: 2,
    State.PIVOTING: 1,
    State.FINISHING: 1,
    State.CANCELLING: 1,
}
_SYNCED = {State.MIRRORING, State.PIVOTING, State.FINISHING}
_VERBS = {
    State.PIVOTED: "pivot",
    State.PIVOTING: "pivot",
    State.COPIED: "finish",
    State.FINISHING: "finish",
    State.CANCELLED: "cancel",
    State.CANCELLING: "cancel",
}
_REASONS = (
    "",
    "",
    "Ticket {}: the pool is nearly full.",
    "Ticket {}: to faster disks, as agreed with the people who run it.",
    "Change {}, maintenance window of the weekend.",
)
FAILURES = (
    "The copy failed: there is no space left on the destination (QEMU: No space left "
    "on device).",
    "The copy failed: the destination could not be written (QEMU: Input/output error).",
    "The copy failed on the host. The guest runs on its source.",
)
_REMEDY = "Check the destination's storage and free space, and copy again."
_O = AuditEntry.Outcome


@dataclass(slots=True)
class Told:
    """One copy, as its job, its events and the audit log tell it."""

    pk: int
    state: State
    disk: Row
    domain: Row
    host: Row
    destination: Destination
    person: str
    person_pk: int
    when_ready: WhenReady
    asked: datetime
    begun: datetime | None = None
    ready: datetime | None = None
    ending: datetime | None = None
    ended: datetime | None = None
    start_at: datetime | None = None
    reason: str = ""
    failure: str = ""

    @property
    def started(self) -> bool:
        return self.begun is not None

    @property
    def verb(self) -> str:
        return _VERBS.get(self.state, "")

    @property
    def text(self) -> str:
        name, host = self.domain["name"], self.host["name"]
        return f"job {self.pk}: {self.disk['target']} of {name} on {host}"

    @property
    def intent(self) -> str:
        return f"{self.disk['source']} to {self.destination.location}"

    @property
    def outcome(self) -> str:
        if self.state in (State.FAILED, State.LOST):
            return _O.FAILED
        return _O.DONE if self.state in ENDED else ""

    @property
    def detail(self) -> str:
        return self.failure or f"The job is {self.state}."


def plan(
    made: Made, persons: list[Person], size: Size, chance: Random, now: datetime
) -> list[Told]:
    """Make copies up; the disks of active ones show them, as an inventory does."""
    able = [person for person in persons if person.acts] or persons
    free = _disks_to_copy(made, size.active, chance)
    copies = []
    for pk in range(1, size.past + 1):
        disk = made.disks[chance.randrange(len(made.disks))]
        asked = now - SPAN + SPAN * ((pk - 1) / size.past)
        copies.append(_past(pk, disk, made, chance.choice(able), chance, asked, now))
    for number, disk in enumerate(free):
        pk, person = size.past + 1 + number, chance.choice(able)
        copies.append(_active(pk, number, disk, made, person, chance, now))
    _add_strangers(made, copies, chance)
    return copies


def _disks_to_copy(made: Made, count: int, chance: Random) -> list[dict[str, Any]]:
    """Disks of domains that are on, of hosts that are looked at."""
    usable = [disk for disk in made.disks if _usable(made, disk)]
    return chance.sample(usable, min(count, len(usable)))


def _usable(made: Made, disk: Row) -> bool:
    domain = made.domain_of(disk)
    on = domain["libvirt_id"] is not None and domain["gone_at"] is None
    return on and made.host_of(domain).get("enabled", True)


def _add_strangers(made: Made, copies: list[Told], chance: Random) -> None:
    """A dozen copies that somebody began with virsh."""
    taken = {each.disk["id"] for each in copies if each.state in ACTIVE}
    free = [d for d in made.disks if _usable(made, d) and d["id"] not in taken]
    for disk in chance.sample(free, min(12, len(free))):
        place = f"/srv/fast/by-hand-{disk['id']}.qcow2"
        disk |= {"mirror": place, "mirror_job": "copy", "mirror_kind": "file"}
        disk["mirror_format"] = "qcow2"


# --- One copy ----------------------------------------------------------------------


def _begin(
    pk: int,
    state: State,
    disk: dict[str, Any],
    made: Made,
    person: Person,
    chance: Random,
    asked: datetime,
) -> Told:
    domain = made.domain_of(disk)
    then = chance.choices(list(WhenReady), (60, 30, 10))[0]
    return Told(
        pk=pk,
        state=state,
        disk=disk,
        domain=domain,
        host=made.host_of(domain),
        destination=_place(pk, disk, domain, chance),
        person=person.name,
        person_pk=person.pk,
        when_ready=then,
        asked=asked,
        reason=chance.choice(_REASONS).format(1000 + pk % 9000),
    )


def _past(
    pk: int,
    disk: dict[str, Any],
    made: Made,
    person: Person,
    chance: Random,
    asked: datetime,
    now: datetime,
) -> Told:
    state = _state(pk - 1, _ENDS, chance)
    told = _begin(pk, state, disk, made, person, chance, asked)
    told.begun = asked + timedelta(seconds=chance.uniform(0.2, 4))
    copied = told.begun + timedelta(minutes=chance.uniform(1, 90))
    told.ended = min(copied + timedelta(minutes=chance.uniform(0, 60)), now)
    if state in (State.PIVOTED, State.COPIED) or chance.random() < 0.3:
        told.ready = told.ending = min(copied, told.ended)
    if told.outcome == _O.FAILED:
        told.failure = chance.choice(FAILURES)
    return told


def _state(number: int, weights: dict[State, int], chance: Random) -> State:
    """Each state once, then by their weights."""
    states = list(weights)
    if number < len(states):
        return states[number]
    return chance.choices(states, list(weights.values()))[0]


def _active(
    pk: int,
    number: int,
    disk: dict[str, Any],
    made: Made,
    person: Person,
    chance: Random,
    now: datetime,
) -> Told:
    state = _state(number, _NOW, chance)
    asked = now - timedelta(minutes=chance.uniform(1, 300))
    told = _begin(pk, state, disk, made, person, chance, asked)
    if number == 0:  # a mirror: at least one waits for a decision
        told.when_ready = WhenReady.WAIT
    if state == State.REQUESTED:
        told.start_at = now + timedelta(hours=chance.uniform(0.1, 60))
    if state not in ON_HOST:
        return told
    told.begun = asked + timedelta(seconds=1)
    if state in _SYNCED:
        told.ready = told.begun + (now - told.begun) * chance.uniform(0.1, 0.9)
    if told.verb:
        told.ending = now - timedelta(seconds=chance.uniform(0, 20))
    if state not in (State.STARTING, State.CANCELLING):
        disk |= {"mirror": told.destination.location, "mirror_job": "copy"}
        disk |= {"mirror_kind": "file", "mirror_format": told.destination.format}
    return told


def _place(pk: int, disk: Row, domain: Row, chance: Random) -> Destination:
    name = f"{domain['uuid'][:8]}-{disk['target']}-{pk}"
    kind = chance.choices(("file", "volume", "block", "network"), (80, 12, 5, 3))[0]
    if kind == "volume":
        path = f"/srv/images/{name}.qcow2"
        return Destination("volume", path=path, pool="images", volume=f"{name}.qcow2")
    if kind == "block":
        return Destination("block", path=f"/dev/vg0/{name}", format="raw")
    if kind == "network":
        return Destination("network", format="raw", protocol="nbd", name=name)
    return Destination("file", path=f"/srv/fast/{name}.qcow2")


# --- Its job -----------------------------------------------------------------------


def job_row(told: Told) -> Row:
    """Return a copy as a row of the jobs."""
    place, active = told.destination, told.state in ACTIVE
    claims = active and told.started
    bandwidth = 50 * 2**20 if told.pk % 3 == 0 else 0
    return {
        "id": told.pk,
        "host_id": told.host["id"],
        "domain_id": told.domain["id"],
        "host_name": told.host["name"],
        "domain_name": told.domain["name"],
        "domain_uuid": told.domain["uuid"],
        "disk": told.disk["target"],
        "destination_spec": destination_to_json(place),
        "destination_kind": place.kind,
        "destination": place.location,
        "destination_format": place.format,
        "destination_xml": f"<disk type='{place.source_type}'/>",
        "claim": claim_of(place.location) if claims else "",
        "bandwidth": bandwidth,
        "bandwidth_sent": bandwidth if told.started else None,
        "when_ready": told.when_ready,
        "requested_by_id": told.person_pk,
        "requested_by_name": told.person,
        "reason": told.reason,
        "state": told.state,
        "libvirt_id": told.domain["libvirt_id"] if told.started else None,
        "source": told.disk["source"],
        "source_format": told.disk["format"],
        "capacity": told.disk["capacity"],
        "transient_job": False if told.started else None,
        "failure": told.failure,
        "remedy": _REMEDY if told.failure else "",
        "flagged": "It made no progress for 10 minutes." if _stalls(told) else "",
        "consistency": "crash" if told.state == State.COPIED else "",
        "left_behind": _left_behind(told),
        "requested_at": told.asked,
        "start_at": told.start_at,
        "queued_at": None if told.start_at else told.asked,
        "started_at": told.begun,
        "ready_at": told.ready,
        "ending_at": told.ending,
        "ended_at": told.ended,
        "seen_at": told.ended,
    }


def _stalls(told: Told) -> bool:
    return told.state == State.COPYING and told.pk % 40 == 0


def _left_behind(told: Told) -> str:
    if told.state == State.PIVOTED:
        source, host = told.disk["source"], told.host["name"]
        return f"The old source {source} stays on {host} and goes stale."
    return ""


# --- What it leaves behind, and what else is told of it ------------------------------


def leftover_rows(copies: list[Told], now: datetime) -> Iterator[Row]:
    """Every end leaves something; what is older than a month has been removed."""
    number = 0
    recent = now - timedelta(days=30)
    for told in copies:
        if told.ended is None or told.pk % 2:
            continue
        number += 1
        pivoted = told.state == State.PIVOTED
        where = told.disk["source"] if pivoted else told.destination.location
        copied = told.state == State.COPIED
        kind = "source" if pivoted else "copy" if copied else "partial"
        there = told.ended > recent
        yield {
            "id": number,
            "host_id": told.host["id"],
            "job_id": told.pk,
            "host_name": told.host["name"],
            "domain_name": told.domain["name"],
            "kind": kind,
            # Each pivot leaves another file, although the disk here has one name.
            "location": f"{where}.{told.pk}" if pivoted else where,
            "storage_kind": told.destination.kind,
            "bytes": None if number % 9 == 0 else told.disk["allocation"],
            "noted_at": told.ended,
            "measured_at": None if number % 9 == 0 else told.ended,
            "removed_at": None if there else told.ended + timedelta(days=10),
            "closing": "" if there else "It was removed.",
        }


def definition_rows(copies: list[Told]) -> Iterator[Row]:
    """What each fiftieth copy kept of the domain's XML."""
    number = 0
    for told in copies:
        if told.pk % 50 or told.begun is None:
            continue
        moments = [("before", told.disk["source"], told.begun)]
        if told.ended is not None:
            moments.append(("after", told.destination.location, told.ended))
        for when, path, at in moments:
            number += 1
            xml = (
                "<disk type='file' device='disk'>\n"
                f"  <driver name='qemu' type='{told.disk['format']}'/>\n"
                f"  <source file='{path}' index='1'/>\n"
                f"  <target dev='{told.disk['target']}' bus='virtio'/>\n</disk>"
            )
            yield {
                "id": number,
                "job_id": told.pk,
                "when": when,
                "taken_at": at,
                "xml": xml,
            }
