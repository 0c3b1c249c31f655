"""Rules about what is overwritten: a reused file, a device, a server's export.

Of most that is wrong with it libvirt tells nothing: the copy starts, then fails
without a reason, or guest and copy run on with the wrong backing file.
"""

from __future__ import annotations

from jobs.hypervisor import Evidence
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.preflight.place import field_of
from jobs.units import bytes_text

NEW_FILE = "Copy to a new file instead"


def exact(count: int | None) -> str:
    """A size as people read it, with the exact number where it is rounded."""
    if count is None:
        return "an unknown size"
    text = bytes_text(count)
    return text if text.endswith("bytes") else f"{text} ({count} bytes)"


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
            f"What is at {where} could not be looked up.",
            f"{NEW_FILE}, or put a storage pool over its directory.",
            field="destination",
        )
    if there.exists is None:
        return warn(
            f"What is at {where} could not be looked up, nor whether another domain "
            "uses it by another name.",
            f"Make sure that it may be overwritten, and has room for "
            f"{exact(case.capacity)}{_exactly(case)}.",
            field=field,
        )
    if not there.exists:
        return stop(
            f"There is nothing at {where} to be overwritten.",
            "Create it first, or leave “reuse” off.",
            field=field,
        )
    wanted = case.destination.kind
    if there.kind not in ("", wanted):
        return stop(
            f"{where} is a {_named(there.kind)}, not a {_named(wanted)}.",
            f"Choose the kind “{_named(there.kind)}”."
            if there.kind in ("file", "block")
            else "Choose another destination.",
            field="destination_kind",
        )
    return passed(f"{where} is there.", field=field)


def _exactly(case: Case) -> str:
    """Whether its size must be the disk's, in words."""
    if case.destination.format == "raw" and not case.destination.slice_size:
        return ", no less and no more: otherwise the copy fails after its start"
    return ""


def _named(kind: str) -> str:
    return {"block": "block device", "dir": "directory"}.get(kind, kind)


def reused_format_is_declared(case: Case, evidence: Evidence) -> Finding | None:
    """A format is declared, never probed: declared wrongly the copy fails later."""
    there, wanted = evidence.destination, case.destination.format
    if not case.options.reuse_external or there.exists is False:
        return None
    where, field = case.destination.location, "format"
    if there.format in ("", "unknown"):
        if case.reuses_file:
            return stop(
                f"The format of {where} could not be looked up.",
                f"{NEW_FILE}.",
                field=field,
            )
        return warn(
            f"Whether {where} is {wanted} could not be looked up.",
            "With another format the copy fails after its start.",
            field=field,
        )
    if there.format != wanted:
        return stop(
            f"{where} is {there.format}, not {wanted}.",
            f"Choose {there.format}."
            if there.format in ("raw", "qcow2")
            else f"{NEW_FILE}.",
            field=field,
        )
    return passed(f"{where} is {wanted} as declared.", field=field)


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
            f"{where} has the disk's size.", exact(there.capacity), field=field
        )
    cause = (
        f"{where} has {exact(there.capacity)}, {case.target} has "
        f"{exact(case.capacity)}; they must be the same."
    )
    if there.capacity < case.capacity:
        return stop(cause, "Choose one of exactly the disk's size.", field=field)
    if case.destination.format != "raw":
        remedy = "Create it anew with exactly the disk's size."
        return stop(cause, remedy, field=field)
    remedy = (
        f"Use a slice of it: slice size {case.capacity}, slice offset "
        f"{case.destination.slice_offset}."
    )
    return stop(cause, remedy, field="slice_size")


def _size_unknown(case: Case) -> Finding:
    cause = (
        f"Whether {case.destination.location} has exactly the size of {case.target}, "
        f"{exact(case.capacity)}, could not be looked up."
    )
    if case.reuses_file:
        return stop(cause, f"{NEW_FILE}.", field="destination")
    remedy = "With any other size the copy fails after its start."
    return warn(cause, remedy, field=field_of(case))


def _slice(case: Case, room: int | None) -> Finding:
    wanted, field = case.destination, "slice_size"
    end = wanted.slice_offset + wanted.slice_size
    if case.capacity is None:
        return _size_unknown(case)
    if wanted.format == "raw" and wanted.slice_size != case.capacity:
        return stop(
            f"The slice has {exact(wanted.slice_size)}, {case.target} has "
            f"{exact(case.capacity)}; they must be the same.",
            f"Set the slice's size to {case.capacity}.",
            field=field,
        )
    if wanted.format != "raw":
        return warn(
            f"What is in the slice of {wanted.location} could not be looked up.",
            f"It must be an image of exactly {exact(case.capacity)}, else the copy "
            "fails after its start.",
            field=field,
        )
    if room is None:
        return warn(
            f"Whether {wanted.location} has {exact(end)} could not be looked up.",
            "Otherwise the copy fails.",
            field=field,
        )
    if end > room:
        return stop(
            f"The slice ends at {exact(end)}, {wanted.location} has {exact(room)}.",
            "Choose a smaller offset, or a larger device.",
            field="slice_offset" if wanted.slice_offset else field,
        )
    return passed(
        "The slice has the disk's size.", exact(wanted.slice_size), field=field
    )


def reused_encryption_is_declared(case: Case, evidence: Evidence) -> Finding | None:
    """Declared and not encrypted it can't be opened; the reverse writes plain text."""
    there = evidence.destination
    if not case.overwrites or not there.exists:
        return None
    declared, where = case.destination.encryption is not None, there.location
    if there.encrypted == declared or case.destination.kind == "block":
        return passed(
            f"{where} is {'encrypted' if declared else 'not encrypted'}, as declared.",
            field="encryption",
        )
    if there.encrypted:
        return stop(
            f"{where} is encrypted, which is not declared.",
            "Name the libvirt secret with its passphrase.",
            field="encryption",
        )
    return stop(
        f"{where} is not encrypted, although a secret is named for it.",
        "Leave the secret away, or choose an encrypted file.",
        field="encryption",
    )


def reused_backing_is_kept(case: Case, evidence: Evidence) -> Finding | None:
    """A full copy hides a backing file of the reused one; the header still names it."""
    there = evidence.destination
    if not case.options.reuse_external or case.options.shallow or not there.backing:
        return None
    return notice(
        f"{there.location} has the backing file {there.backing}.",
        "Nothing of it is seen through a full copy, but it must stay where it is.",
        field="destination",
    )
