"""Rules about the destination: how it is written, what is there, who else uses it."""

from __future__ import annotations

from jobs.hypervisor import DestinationError, Evidence, Use, check
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from jobs.preflight.case import DEVICE_POOLS, FILE_POOLS, Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.said import joined, say

# Forms call the destination's parts by what people call them.
FIELDS = {"path": "destination", "kind": "destination_kind"}
ANOTHER = say("Choose a path that no disk, backing chain or copy uses.")


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
    return passed(say("The destination is well formed."), field=field_of(case))


def destination_is_free(case: Case) -> Finding | None:
    """Not part of any known disk, nor promised to a job; storage may be shared.

    A new file on this host is not another host's file of the same name: on shared
    storage it would exist already, and then it is not overwritten.
    """
    field = field_of(case)
    if not case.locations:
        return None
    elsewhere: Disk | None = None
    for user in case.known.users(case):
        if user.domain.host_id != case.host.pk and not case.overwrites:
            elsewhere = user
            continue
        where = case.destination.location
        if user == case.row:
            return stop(
                say("%(where)s is the source itself.", where=where),
                ANOTHER,
                field=field,
            )
        return stop(
            say("%(where)s is in use by %(user)s.", where=where, user=user),
            ANOTHER,
            field=field,
        )
    promised = _promised(case)
    if promised is not None:
        return stop(
            say(
                "%(location)s is the destination of job %(job)s.",
                location=case.destination.location,
                job=promised.pk,
            ),
            say("Choose another path."),
            field=field,
        )
    if elsewhere is not None and case.there.exists is None:
        return notice(
            say(
                "%(elsewhere)s uses %(location)s too.",
                elsewhere=elsewhere,
                location=case.destination.location,
            ),
            say(
                "If %(host)s shares that storage the file exists already, and "
                "the copy is refused.",
                host=case.host,
            ),
            field=field,
        )
    return passed(
        say("No known disk, chain or copy uses the destination."), field=field
    )


def _promised(case: Case) -> CopyJob | None:
    """The active job that writes, or is about to write, to the same place.

    Pools of one name are on many hosts; a path may be shared storage. Of two jobs that
    wait for their start the older one wins: else each would make way for the other.
    """
    own = case.request.job
    later = (State.REQUESTED, State.QUEUED)
    for job in case.known.promised(case):
        makes_way = own and job.pk > own and job.state in later
        same_name_only = job.destination_kind == "volume" and not job.created_volume
        in_the_way = job.host_id == case.host.pk or not same_name_only
        if job.pk != own and not makes_way and in_the_way:
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
            say(
                "%(location)s is %(own)s, by another name or link.",
                location=case.destination.location,
                own=own,
            ),
            ANOTHER,
            field=field,
        )
    if evidence.uses:
        use = evidence.uses[0]
        return stop(_said(case, use), ANOTHER, field=field, evidence=_all(evidence))
    return passed(
        say(
            "No domain of %(host)s, running or shut off, uses the destination.",
            host=case.host,
        ),
        field=field,
    )


def _own_image(case: Case) -> str:
    """Which of the disk's own files has the destination's fingerprint, in words."""
    mark = case.there.fingerprint
    for depth, image in enumerate(case.images):
        if mark and image.fingerprint == mark:
            if depth:
                return say(
                    "the backing file %(location)s of %(target)s",
                    location=image.location,
                    target=case.target,
                )
            return say("the source %(location)s itself", location=image.location)
    return ""


def _said(case: Case, use: Use) -> str:
    """Who uses the destination, and by which name if that is another one."""
    own = use.domain_uuid == case.row.domain.uuid
    words = {"place": case.destination.location, "how": how_text(use)}
    words |= {"target": use.target, "domain": use.domain_name}
    if own and use.target == case.target and use.how == "source":
        said = say("%(place)s is the source itself", **words)
    elif use.running:
        said = say("%(place)s is the %(how)s of %(target)s of %(domain)s", **words)
    else:
        said = say(
            "%(place)s is the %(how)s of %(target)s of %(domain)s, which is shut off",
            **words,
        )
    if use.location in case.locations:
        return say("%(said)s.", said=said)
    return say(
        "%(said)s, by the name of %(location)s.", said=said, location=use.location
    )


def how_text(use: Use) -> str:
    """Return what a disk has to do with a location."""
    words = {
        "source": say("source"),
        "persistent source": say("persistent source"),
        "saved source": say("saved source"),
        "backing file": say("backing file"),
        "mirror": say("mirror"),
    }
    return words.get(use.how, use.how)


def _all(evidence: Evidence) -> str:
    return "; ".join(
        f"{use.domain_name} {use.target} {use.how} {use.location}"
        for use in evidence.uses
    )


def destination_is_no_leftover(case: Case) -> Finding | None:
    """What a job left is removed, or reused knowingly, before its place is used."""
    left = case.known.left(case)
    if left is None or case.there.exists is False:
        return None
    what = say(
        "%(location)s is listed as a leftover of job %(job)s (%(kind)s).",
        location=case.destination.location,
        job=left.job_id,
        kind=left.get_kind_display(),
    )
    field = field_of(case)
    if left.removal_asked_at is not None:
        remedy = say("Withdraw its removal first, or choose another place.")
        return stop(
            joined(what, say("It is about to be removed.")), remedy, field=field
        )
    if case.overwrites:
        return notice(what, say("It is overwritten."), field=field)
    if case.there.exists:
        remedy = say("Remove it first, reuse it, or choose another name.")
        return stop(what, remedy, field=field)
    if case.evidence is None:
        return notice(
            what, say("The copy is refused if it is still there."), field=field
        )
    return warn(what, say("Choose another name if it is still there."), field=field)


def destination_is_absent(case: Case, evidence: Evidence) -> Finding | None:
    """libvirt takes over a file that is empty, and refuses any other (error 67)."""
    no_pool = case.destination.kind == "volume" and evidence.pool is None
    if case.overwrites or no_pool:
        return None
    there, field = evidence.destination, field_of(case)
    where = case.destination.location
    if there.exists is None:
        return warn(
            say(
                "Whether there is something at %(where)s already could not be "
                "looked up.",
                where=where,
            ),
            say(
                "libvirt refuses to overwrite a file that is not empty; a "
                "directory that a storage pool covers can be looked into."
            ),
            field=field,
        )
    if not there.exists:
        return passed(say("%(where)s does not exist yet.", where=where), field=field)
    if case.destination.kind == "volume":
        return stop(
            say(
                "The pool %(pool)s has a volume %(volume)s already.",
                pool=case.destination.pool,
                volume=case.destination.volume,
            ),
            say("Choose another name."),
            field=field,
        )
    if there.kind == "dir":
        return stop(
            say("%(where)s is a directory.", where=where),
            say("Add a file's name."),
            field=field,
        )
    if there.kind == "block":
        return stop(
            say("%(where)s is a block device.", where=where),
            say("Choose the kind “block device”."),
            field="destination_kind",
        )
    if there.capacity == 0:
        return notice(
            say("%(where)s exists and is empty: it is used.", where=where), field=field
        )
    return stop(
        say("%(where)s exists already.", where=where),
        say("Choose another name; or reuse it, if what is in it may be overwritten."),
        field=field,
    )


def directory_is_there(case: Case, evidence: Evidence) -> Finding | None:
    """libvirt creates the file, never its directory (error 38)."""
    directory = evidence.directory
    if case.destination.kind != "file" or directory is None:
        return None
    if directory.exists is None:
        return warn(
            say(
                "Whether the directory %(path)s exists could not be looked up.",
                path=directory.path,
            ),
            say("Choose a directory that a storage pool covers."),
            field="destination",
        )
    if not directory.exists:
        return stop(
            say(
                "%(host)s has no directory %(path)s.",
                host=case.host,
                path=directory.path,
            ),
            say("Create it on the host, or choose another one."),
            field="destination",
        )
    if directory.writable is False and not case.options.reuse_external:
        return warn(
            say(
                "QEMU's user on %(host)s does not seem to be allowed to write "
                "in %(path)s.",
                host=case.host,
                path=directory.path,
            ),
            say("Correct the directory's owner or mode, or choose another one."),
            field="destination",
        )
    pool = say("storage pool %(pool)s", pool=directory.pool) if directory.pool else ""
    return passed(
        say("The directory %(path)s is there.", path=directory.path),
        pool,
        field="destination",
    )


def pool_can_take_it(case: Case, evidence: Evidence) -> Finding | None:
    """The pool must be there, active, and of a kind that has such volumes."""
    wanted = case.destination
    if wanted.kind != "volume":
        return None
    pool = evidence.pool
    if pool is None:
        return stop(
            say(
                "%(host)s has no storage pool %(pool)s.",
                host=case.host,
                pool=wanted.pool,
            ),
            say("Choose one of the host's pools."),
            field="pool",
        )
    if not pool.active:
        return stop(
            say("The storage pool %(pool)s is not active.", pool=wanted.pool),
            say("Start the pool, or choose another one."),
            field="pool",
        )
    if pool.kind in DEVICE_POOLS and wanted.format != "raw":
        return stop(
            say(
                "The volumes of %(pool)s are devices (%(kind)s), which are "
                "created raw.",
                pool=wanted.pool,
                kind=pool.kind,
            ),
            say("Choose raw."),
            field="format",
        )
    if pool.kind in DEVICE_POOLS and wanted.encryption is not None:
        return stop(
            say(
                "The volumes of %(pool)s are devices (%(kind)s), which are not "
                "created encrypted.",
                pool=wanted.pool,
                kind=pool.kind,
            ),
            say("Choose a pool of files."),
            field="encryption",
        )
    if pool.kind not in (*DEVICE_POOLS, *FILE_POOLS):
        return stop(
            say(
                "The volumes of %(pool)s are neither files nor devices (%(kind)s).",
                pool=wanted.pool,
                kind=pool.kind,
            ),
            say("Create the image yourself, then choose a network destination."),
            field="pool",
        )
    return passed(
        say("The storage pool %(pool)s is active.", pool=wanted.pool),
        pool.kind,
        field="pool",
    )
