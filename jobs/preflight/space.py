"""Rules about room: what a copy needs at least, and what it can grow to.

A thin copy begins with what the disk has allocated and grows as the guest writes; a
thick one takes the disk's whole size at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.hypervisor import Evidence
from jobs.models import CopyJob
from jobs.preflight.case import DEVICE_POOLS, Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.preflight.place import field_of
from jobs.preflight.promised import goes_to, promises
from jobs.said import say, say_many
from jobs.units import bytes_text

# From this QEMU on a mirror does not write zeroes into a destination that is zero.
KEEPS_SPARSE = 10_001_000
# Below this part of its size a disk is called sparse.
SPARSE = 0.9


@dataclass(frozen=True)
class Room:
    """What is free in `name`; of it, what other jobs will take at least and at most."""

    name: str
    available: int
    jobs: tuple[int, ...] = ()
    promised: int = 0
    promised_at_most: int = 0

    def has(self, promised: int) -> str:
        """What is free, and who will take what of it, in words."""
        words = {"name": self.name, "free": bytes_text(self.available)}
        if not promised:
            return say("%(name)s has %(free)s free", **words)
        return say_many(
            "%(name)s has %(free)s free, of which job %(jobs)s will take %(taken)s",
            "%(name)s has %(free)s free, of which jobs %(jobs)s will take %(taken)s",
            len(self.jobs),
            jobs=", ".join(map(str, self.jobs)),
            taken=bytes_text(promised),
            **words,
        )


def there_is_room(case: Case, evidence: Evidence) -> Finding | None:
    """What is needed at least must be there; too little for later is warned of."""
    if case.destination.kind not in ("file", "volume") or case.capacity is None:
        return None
    room = _room(case, evidence)
    if room is None:
        return _unknown(case, evidence)
    taken = _taken(case)
    most = max(0, case.capacity - taken)
    thick = is_thick(case)
    least = most if thick else min(most, max(0, _allocated(case) - taken))
    if least > room.available - room.promised:
        words = {
            "target": case.target,
            "least": bytes_text(least),
            "room": room.has(room.promised),
        }
        return stop(
            say(
                "The copy of %(target)s takes all of its size at once, %(least)s; "
                "%(room)s.",
                **words,
            )
            if thick
            else say(
                "The copy of %(target)s will need at least %(least)s; %(room)s.",
                **words,
            ),
            say("Make room, or choose another place."),
            field=_field(case),
        )
    if most > room.available - room.promised_at_most:
        return warn(
            say(
                "The copy of %(target)s can grow to %(capacity)s; %(room)s.",
                target=case.target,
                capacity=bytes_text(case.capacity),
                room=room.has(room.promised_at_most),
            ),
            say(
                "It needs %(least)s for now. If it runs out of space while it "
                "is copied it fails, and after a pivot the guest stops at its "
                "next write.",
                least=bytes_text(least),
            ),
            field=_field(case),
        )
    kind = say("thick") if thick else say("thin")
    return passed(
        say(
            "There is room for %(capacity)s (%(kind)s): %(room)s.",
            capacity=bytes_text(case.capacity),
            kind=kind,
            room=room.has(room.promised_at_most),
        ),
        field=_field(case),
    )


def _field(case: Case) -> str:
    return "pool" if case.destination.kind == "volume" else field_of(case)


def is_thick(case: Case) -> bool:
    """Whether the destination has all of its size from the beginning."""
    return case.destination.kind == "volume" and case.pool_kind in DEVICE_POOLS


def _taken(case: Case) -> int:
    """What a reused file has of the storage already."""
    return (case.there.allocation or 0) if case.reuses_file else 0


def _allocated(case: Case) -> int:
    """The least that a copy needs: its layers may hide each other, so the largest."""
    images = case.images[:1] if case.options.shallow else case.images
    sizes = [image.allocation or 0 for image in images]
    own = case.disk.allocation if case.disk and not images else 0
    return max([*sizes, own or 0])


def _unknown(case: Case, evidence: Evidence) -> Finding | None:
    if evidence.pool is None and case.destination.kind == "volume":
        return None  # another rule says so
    if evidence.directory is not None and evidence.directory.exists is False:
        return None
    return warn(
        say(
            "How much is free for the copy of %(target)s could not be looked up.",
            target=case.target,
        ),
        say("It can grow to %(capacity)s.", capacity=bytes_text(case.capacity)),
        field=_field(case),
    )


# --- What is free, and promised ----------------------------------------------------


def _room(case: Case, evidence: Evidence) -> Room | None:
    pool, directory = evidence.pool, evidence.directory
    if case.destination.kind == "volume":
        if pool is None or not pool.active:
            return None
        return _with_promises(case, pool.name, pool.available, pool.path)
    if directory is None or directory.available is None:
        return None
    name = directory.pool or directory.path
    return _with_promises(case, name, directory.available, directory.path)


def _with_promises(case: Case, name: str, available: int, path: str) -> Room:
    jobs = [job for job in _other_jobs(case) if goes_to(job, name, path)]
    promised = promises(jobs)
    return Room(
        name,
        available,
        tuple(job.pk for job in jobs),
        sum(each.least for each in promised),
        sum(each.most for each in promised),
    )


def _other_jobs(case: Case) -> list[CopyJob]:
    """Other copies to this host's storage, and to a network's that it may share."""
    jobs = CopyJob.objects.active().exclude(pk=case.request.job)
    return list(jobs if case.pool_kind == "netfs" else jobs.filter(host=case.host))


# --- Sparse ------------------------------------------------------------------------


def sparse_stays_sparse(case: Case, evidence: Evidence) -> Finding | None:
    """Before 10.1 QEMU's full copy zeroes the whole destination first.

    Where the storage can punch holes (local file systems) that costs nothing; where it
    can't, as on NFS before 4.2, the destination becomes as thick as the disk is large.
    qcow2 keeps zeroes in its metadata.
    """
    raw_file = case.destination.format == "raw" and case.destination.kind in (
        *("file", "volume"),
    )
    if not raw_file or is_thick(case) or not _is_sparse(case):
        return None
    if evidence.host.hypervisor_version >= KEEPS_SPARSE:
        return passed(say("A sparse disk stays sparse."), say("QEMU 10.1 or later"))
    cause = say(
        "%(target)s has %(allocated)s of its %(capacity)s allocated; on storage "
        "without efficient zeroing a raw copy takes all of them with QEMU before 10.1.",
        target=case.target,
        allocated=bytes_text(_allocated(case)),
        capacity=bytes_text(case.capacity),
    )
    if case.pool_kind == "netfs":
        return warn(
            cause, say("Choose qcow2, or make sure of the room."), field="format"
        )
    return notice(cause, say("Local file systems keep it sparse."), field="format")


def _is_sparse(case: Case) -> bool:
    if not case.capacity:
        return False
    known = case.images or (case.disk and case.disk.allocation is not None)
    return bool(known) and _allocated(case) < SPARSE * case.capacity
