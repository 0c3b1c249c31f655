"""Rules about the destination: how it is written, what is there, who else uses it."""

from __future__ import annotations

from jobs.hypervisor import DestinationError, Evidence, Use, check
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, Leftover
from jobs.models.domain import in_use
from jobs.preflight.case import DEVICE_POOLS, FILE_POOLS, Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn

# Forms call the destination's parts by what people call them.
FIELDS = {"path": "destination", "kind": "destination_kind"}
ANOTHER = "Choose a path that no disk, backing chain or copy uses."


def field_of(case: Case) -> str:
    """The form's field in which the place itself is written."""
    names = {"volume": "volume", "network": "name"}
    return names.get(case.destination.kind, "destination")


def destination_makes_sense(case: Case) -> Finding:
    """Absolute, printable, written in one way, a known format."""
    try:
        check(case.destination)
    except DestinationError as error:
        return stop(error.cause, field=FIELDS.get(error.field, error.field))
    return passed("The destination is well formed.", field=field_of(case))


def destination_is_free(case: Case) -> Finding | None:
    """Not part of any known disk, nor promised to a job; storage may be shared.

    A new file on this host is not another host's file of the same name: on shared
    storage it would exist already, and then it is not overwritten.
    """
    field = field_of(case)
    if not case.locations:
        return None
    elsewhere: Disk | None = None
    for user in _users(case):
        if user.domain.host_id != case.host.pk and not case.overwrites:
            elsewhere = user
            continue
        where = case.destination.location
        if user == case.row:
            return stop(f"{where} is the source itself.", ANOTHER, field=field)
        return stop(f"{where} is in use by {user}.", ANOTHER, field=field)
    promised = _promised(case)
    if promised is not None:
        return stop(
            f"{case.destination.location} is the destination of job {promised.pk}.",
            "Choose another path.",
            field=field,
        )
    if elsewhere is not None and case.there.exists is None:
        return notice(
            f"{elsewhere} uses {case.destination.location} too.",
            f"If {case.host} shares that storage the file exists already, and the copy "
            "is refused.",
            field=field,
        )
    return passed("No known disk, chain or copy uses the destination.", field=field)


def _users(case: Case) -> list[Disk]:
    """All known disks that any of the destination's texts is a part of, own first."""
    found = {
        user.pk: user for location in case.locations for user in in_use(location)[:50]
    }
    return sorted(
        found.values(),
        key=lambda user: (user != case.row, user.domain.host_id != case.host.pk),
    )


def _promised(case: Case) -> CopyJob | None:
    """The active job that writes, or is about to write, to the same place.

    Pools of one name are on many hosts; a path may be shared storage. Of two jobs that
    wait for their start the older one wins: else each would make way for the other.
    """
    own = case.request.job
    jobs = CopyJob.objects.active().exclude(pk=own)
    if own:
        jobs = jobs.exclude(pk__gt=own, state__in=(State.REQUESTED, State.QUEUED))
    for job in jobs.filter(destination__in=case.locations):
        same_name_only = job.destination_kind == "volume" and not job.created_volume
        if job.host_id == case.host.pk or not same_name_only:
            return job
    return None


def destination_is_nobodys(case: Case, evidence: Evidence) -> Finding:
    """No disk of any domain of the host, by any name or link, running or shut off.

    libvirt overwrites the disk of a domain that is off without a word.
    """
    field = field_of(case)
    own = _own_image(case)
    if own:
        return stop(
            f"{case.destination.location} is {own}, by another name or link.",
            ANOTHER,
            field=field,
        )
    if evidence.uses:
        use = evidence.uses[0]
        return stop(_said(case, use), ANOTHER, field=field, evidence=_all(evidence))
    return passed(
        f"No domain of {case.host}, running or shut off, uses the destination.",
        field=field,
    )


def _own_image(case: Case) -> str:
    """Which of the disk's own files has the destination's fingerprint, in words."""
    mark = case.there.fingerprint
    for depth, image in enumerate(case.images):
        if mark and image.fingerprint == mark:
            if depth:
                return f"the backing file {image.location} of {case.target}"
            return f"the source {image.location} itself"
    return ""


def _said(case: Case, use: Use) -> str:
    """Who uses the destination, and by which name if that is another one."""
    own = use.domain_uuid == case.row.domain.uuid
    of = use.domain_name if use.running else f"{use.domain_name}, which is shut off"
    same = use.location in case.locations
    by_name = "" if same else f", by the name of {use.location}"
    if own and use.target == case.target and use.how == "source":
        return f"{case.destination.location} is the source itself{by_name}."
    return (
        f"{case.destination.location} is the {use.how} of {use.target} of {of}"
        f"{by_name}."
    )


def _all(evidence: Evidence) -> str:
    return "; ".join(
        f"{use.domain_name} {use.target} {use.how} {use.location}"
        for use in evidence.uses
    )


def destination_is_no_leftover(case: Case) -> Finding | None:
    """What a job left is removed, or reused knowingly, before its place is used."""
    left = (
        Leftover.objects.there()
        .filter(host=case.host, location__in=case.locations)
        .first()
    )
    if left is None or case.there.exists is False:
        return None
    what = (
        f"{case.destination.location} is listed as a leftover of job {left.job_id} "
        f"({left.get_kind_display()})."
    )
    field = field_of(case)
    if left.removal_asked_at is not None:
        remedy = "Withdraw its removal first, or choose another place."
        return stop(f"{what} It is about to be removed.", remedy, field=field)
    if case.overwrites:
        return notice(what, "It is overwritten.", field=field)
    if case.there.exists:
        remedy = "Remove it first, reuse it, or choose another name."
        return stop(what, remedy, field=field)
    if case.evidence is None:
        return notice(what, "The copy is refused if it is still there.", field=field)
    return warn(what, "Choose another name if it is still there.", field=field)


def destination_is_absent(case: Case, evidence: Evidence) -> Finding | None:
    """libvirt takes over a file that is empty, and refuses any other (error 67)."""
    no_pool = case.destination.kind == "volume" and evidence.pool is None
    if case.overwrites or no_pool:
        return None
    there, field = evidence.destination, field_of(case)
    where = case.destination.location
    if there.exists is None:
        return warn(
            f"Whether there is something at {where} already could not be looked up.",
            "libvirt refuses to overwrite a file that is not empty; a directory that "
            "a storage pool covers can be looked into.",
            field=field,
        )
    if not there.exists:
        return passed(f"{where} does not exist yet.", field=field)
    if case.destination.kind == "volume":
        return stop(
            f"The pool {case.destination.pool} has a volume "
            f"{case.destination.volume} already.",
            "Choose another name.",
            field=field,
        )
    if there.kind == "dir":
        return stop(f"{where} is a directory.", "Add a file's name.", field=field)
    if there.kind == "block":
        return stop(
            f"{where} is a block device.",
            "Choose the kind “block device”.",
            field="destination_kind",
        )
    if there.capacity == 0:
        return notice(f"{where} exists and is empty: it is used.", field=field)
    return stop(
        f"{where} exists already.",
        "Choose another name; or reuse it, if what is in it may be overwritten.",
        field=field,
    )


def directory_is_there(case: Case, evidence: Evidence) -> Finding | None:
    """libvirt creates the file, never its directory (error 38)."""
    directory = evidence.directory
    if case.destination.kind != "file" or directory is None:
        return None
    if directory.exists is None:
        return warn(
            f"Whether the directory {directory.path} exists could not be looked up.",
            "Choose a directory that a storage pool covers.",
            field="destination",
        )
    if not directory.exists:
        return stop(
            f"{case.host} has no directory {directory.path}.",
            "Create it on the host, or choose another one.",
            field="destination",
        )
    if directory.writable is False and not case.options.reuse_external:
        return warn(
            f"QEMU's user on {case.host} does not seem to be allowed to write in "
            f"{directory.path}.",
            "Correct the directory's owner or mode, or choose another one.",
            field="destination",
        )
    pool = f"storage pool {directory.pool}" if directory.pool else ""
    return passed(
        f"The directory {directory.path} is there.", pool, field="destination"
    )


def pool_can_take_it(case: Case, evidence: Evidence) -> Finding | None:
    """The pool must be there, active, and of a kind that has such volumes."""
    wanted = case.destination
    if wanted.kind != "volume":
        return None
    pool = evidence.pool
    if pool is None:
        return stop(
            f"{case.host} has no storage pool {wanted.pool}.",
            "Choose one of the host's pools.",
            field="pool",
        )
    if not pool.active:
        return stop(
            f"The storage pool {wanted.pool} is not active.",
            "Start the pool, or choose another one.",
            field="pool",
        )
    if pool.kind in DEVICE_POOLS and wanted.format != "raw":
        return stop(
            f"The volumes of {wanted.pool} are devices ({pool.kind}), which are "
            "created raw.",
            "Choose raw.",
            field="format",
        )
    if pool.kind in DEVICE_POOLS and wanted.encryption is not None:
        return stop(
            f"The volumes of {wanted.pool} are devices ({pool.kind}), which are not "
            "created encrypted.",
            "Choose a pool of files.",
            field="encryption",
        )
    if pool.kind not in (*DEVICE_POOLS, *FILE_POOLS):
        return stop(
            f"The volumes of {wanted.pool} are neither files nor devices "
            f"({pool.kind}).",
            "Create the image yourself, then choose a network destination.",
            field="pool",
        )
    return passed(f"The storage pool {wanted.pool} is active.", pool.kind, field="pool")
