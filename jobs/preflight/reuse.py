"""Rules about what is overwritten: a reused file, a device, a server's export.

Of most that is wrong with it libvirt tells nothing: the copy starts, then fails
without a reason, or guest and copy run on with the wrong backing file.
"""

from __future__ import annotations

from jobs.hypervisor import Evidence
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.preflight.place import field_of
from jobs.said import say
from jobs.units import bytes_text

NEW_FILE = say("Copy to a new file instead.")


def exact(count: int | None) -> str:
    """A size as people read it, with the exact number where it is rounded."""
    if count is None:
        return say("an unknown size")
    text = bytes_text(count)
    if text.endswith("bytes"):
        return text
    return say("%(size)s (%(exactly)d bytes)", size=text, exactly=count)


def reused_is_there(case: Case, evidence: Evidence) -> Finding | None:
    """libvirt refuses to reuse what is missing (error 38), or is something else."""
    if not case.overwrites:
        return None
    there, where, field = (
        evidence.destination,
        case.destination.location,
        field_of(case),
    )
    if there.exists is None and case.reuses_file:
        return stop(
            say("What is at %(where)s could not be looked up.", where=where),
            say(
                "Copy to a new file instead, or put a storage pool over its directory."
            ),
            field="destination",
        )
    if there.exists is None:
        return warn(
            say(
                "What is at %(where)s could not be looked up, nor whether "
                "another domain uses it by another name.",
                where=where,
            ),
            _may_be_overwritten(case),
            field=field,
        )
    if not there.exists:
        return stop(
            say("There is nothing at %(where)s to be overwritten.", where=where),
            say("Create it first, or leave “reuse” off."),
            field=field,
        )
    wanted = case.destination.kind
    if there.kind not in ("", wanted):
        return stop(
            say(
                "%(where)s is a %(found)s, not a %(wanted)s.",
                where=where,
                found=_named(there.kind),
                wanted=_named(wanted),
            ),
            say("Choose the kind “%(kind)s”.", kind=_named(there.kind))
            if there.kind in ("file", "block")
            else say("Choose another destination."),
            field="destination_kind",
        )
    return passed(say("%(where)s is there.", where=where), field=field)


def _may_be_overwritten(case: Case) -> str:
    """What to make sure of, and whether its size must be the disk's."""
    size = exact(case.capacity)
    if case.destination.format == "raw" and not case.destination.slice_size:
        return say(
            "Make sure that it may be overwritten, and has room for %(size)s, no less "
            "and no more: otherwise the copy fails after its start.",
            size=size,
        )
    return say(
        "Make sure that it may be overwritten, and has room for %(size)s.", size=size
    )


def _named(kind: str) -> str:
    named = {
        "file": say("file"),
        "block": say("block device"),
        "dir": say("directory"),
    }
    return named.get(kind, kind)


def reused_format_is_declared(case: Case, evidence: Evidence) -> Finding | None:
    """A format is declared, never probed: declared wrongly the copy fails later."""
    there, wanted = evidence.destination, case.destination.format
    if not case.options.reuse_external or there.exists is False:
        return None
    where, field = case.destination.location, "format"
    if there.format in ("", "unknown"):
        if case.reuses_file:
            return stop(
                say("The format of %(where)s could not be looked up.", where=where),
                NEW_FILE,
                field=field,
            )
        return warn(
            say(
                "Whether %(where)s is %(wanted)s could not be looked up.",
                where=where,
                wanted=wanted,
            ),
            say("With another format the copy fails after its start."),
            field=field,
        )
    if there.format != wanted:
        return stop(
            say(
                "%(where)s is %(format)s, not %(wanted)s.",
                where=where,
                format=there.format,
                wanted=wanted,
            ),
            say("Choose %(format)s.", format=there.format)
            if there.format in ("raw", "qcow2")
            else NEW_FILE,
            field=field,
        )
    return passed(
        say("%(where)s is %(wanted)s as declared.", where=where, wanted=wanted),
        field=field,
    )


def reused_size_is_exact(case: Case, evidence: Evidence) -> Finding | None:
    """With any difference the copy starts, fails later, and libvirt says no reason."""
    into_slice = case.destination.slice_size > 0
    reused = case.options.reuse_external or into_slice
    formatted_anew = case.destination.format == "qcow2" and not reused
    there = evidence.destination
    unseen = there.exists is None and not case.reuses_file
    if not case.overwrites or formatted_anew or unseen or there.exists is False:
        return None  # or another rule says so
    if into_slice:
        return _slice(case, there.capacity)
    where, field = case.destination.location, field_of(case)
    if there.capacity is None or case.capacity is None:
        return _size_unknown(case)
    if there.capacity == case.capacity:
        return passed(
            say("%(where)s has the disk's size.", where=where),
            exact(there.capacity),
            field=field,
        )
    cause = say(
        "%(where)s has %(size)s, %(target)s has %(wanted)s; they must be the same.",
        where=where,
        size=exact(there.capacity),
        target=case.target,
        wanted=exact(case.capacity),
    )
    if there.capacity < case.capacity:
        return stop(cause, say("Choose one of exactly the disk's size."), field=field)
    if case.destination.format != "raw":
        remedy = say("Create it anew with exactly the disk's size.")
        return stop(cause, remedy, field=field)
    remedy = say(
        "Use a slice of it: slice size %(size)s, slice offset %(offset)s.",
        size=case.capacity,
        offset=case.destination.slice_offset,
    )
    return stop(cause, remedy, field="slice_size")


def _size_unknown(case: Case) -> Finding:
    cause = say(
        "Whether %(where)s has exactly the size of %(target)s, %(size)s, could not be "
        "looked up.",
        where=case.destination.location,
        target=case.target,
        size=exact(case.capacity),
    )
    if case.reuses_file:
        return stop(cause, NEW_FILE, field="destination")
    remedy = say("With any other size the copy fails after its start.")
    return warn(cause, remedy, field=field_of(case))


def _slice(case: Case, room: int | None) -> Finding:
    wanted, field = case.destination, "slice_size"
    end = wanted.slice_offset + wanted.slice_size
    if case.capacity is None:
        return _size_unknown(case)
    if wanted.format == "raw" and wanted.slice_size != case.capacity:
        return stop(
            say(
                "The slice has %(size)s, %(target)s has %(wanted)s; they must be the "
                "same.",
                size=exact(wanted.slice_size),
                target=case.target,
                wanted=exact(case.capacity),
            ),
            say("Set the slice's size to %(capacity)s.", capacity=case.capacity),
            field=field,
        )
    if wanted.format != "raw":
        return warn(
            say(
                "What is in the slice of %(location)s could not be looked up.",
                location=wanted.location,
            ),
            say(
                "It must be an image of exactly %(size)s, else the copy fails "
                "after its start.",
                size=exact(case.capacity),
            ),
            field=field,
        )
    if room is None:
        return warn(
            say(
                "Whether %(location)s has %(size)s could not be looked up.",
                location=wanted.location,
                size=exact(end),
            ),
            say("Otherwise the copy fails."),
            field=field,
        )
    if end > room:
        return stop(
            say(
                "The slice ends at %(end)s, %(location)s has %(size)s.",
                end=exact(end),
                location=wanted.location,
                size=exact(room),
            ),
            say("Choose a smaller offset, or a larger device."),
            field="slice_offset" if wanted.slice_offset else field,
        )
    return passed(
        say("The slice has the disk's size."), exact(wanted.slice_size), field=field
    )


def reused_encryption_is_declared(case: Case, evidence: Evidence) -> Finding | None:
    """Declared and not encrypted it can't be opened; the reverse writes plain text."""
    there = evidence.destination
    if not case.overwrites or not there.exists:
        return None
    declared, where = case.destination.encryption is not None, there.location
    if there.encrypted == declared or case.destination.kind == "block":
        return passed(
            say("%(where)s is encrypted, as declared.", where=where)
            if declared
            else say("%(where)s is not encrypted, as declared.", where=where),
            field="encryption",
        )
    if there.encrypted:
        return stop(
            say("%(where)s is encrypted, which is not declared.", where=where),
            say("Name the libvirt secret with its passphrase."),
            field="encryption",
        )
    return stop(
        say(
            "%(where)s is not encrypted, although a secret is named for it.",
            where=where,
        ),
        say("Leave the secret away, or choose an encrypted file."),
        field="encryption",
    )


def reused_backing_is_kept(case: Case, evidence: Evidence) -> Finding | None:
    """A full copy hides a backing file of the reused one; the header still names it."""
    there = evidence.destination
    if not case.options.reuse_external or case.options.shallow or not there.backing:
        return None
    return notice(
        say(
            "%(location)s has the backing file %(backing)s.",
            location=there.location,
            backing=there.backing,
        ),
        say("Nothing of it is seen through a full copy, but it must stay where it is."),
        field="destination",
    )
