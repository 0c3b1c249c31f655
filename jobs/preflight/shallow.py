"""Rules about shallow copies, which share the source's backing file."""

from __future__ import annotations

from jobs.hypervisor import Evidence
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, notice, passed, stop


def shallow_is_possible(case: Case) -> Finding | None:
    """libvirt refuses raw (error 67), and without a chain it ignores the flag."""
    if not case.options.shallow:
        return None
    if case.destination.format == "raw":
        return stop(
            "A shallow copy needs a format with a backing file.",
            "Choose qcow2, or copy the whole chain.",
            field="shallow",
        )
    if not case.backing:
        return stop(
            f"{case.target} has no backing file to share.",
            "Leave shallow off.",
            field="shallow",
        )
    if case.destination.kind == "volume" and case.backing[0].kind == "network":
        return stop(
            f"A volume can't share {case.backing[0].location}, which a network serves.",
            "Copy the whole chain, or copy to a file.",
            field="shallow",
        )
    below = len(case.backing) - 1
    more = f" and {below} more below it" if below else ""
    return notice(
        f"The copy shares {case.backing[0].location}{more} with the source.",
        "It works only as long as the backing chain stays where it is, unchanged.",
        field="shallow",
    )


def shallow_backing_is_the_sources(case: Case, evidence: Evidence) -> Finding | None:
    """The worst trap of virDomainBlockCopy: with another backing file, or none, the
    copy becomes ready, the pivot succeeds, and the guest's disk is corrupt."""
    if not case.options.shallow or not case.options.reuse_external or not case.backing:
        return None
    there, wanted = evidence.destination, case.backing[0]
    where, field = case.destination.location, "shallow"
    remedy = f"Create it anew with the backing file {wanted.location}."
    if there.exists is False:
        return None
    if there.capacity is None:
        return stop(
            f"The backing file of {where} could not be looked up; with a wrong one the "
            "guest's disk would be corrupted.",
            "Make a shallow copy to a new file instead.",
            field=field,
        )
    if not there.backing:
        return stop(
            f"{where} has no backing file; a shallow copy to it would corrupt the "
            "guest's disk.",
            remedy,
            field=field,
        )
    if there.backing != wanted.location:
        return stop(
            f"{where} has the backing file {there.backing}, {case.target} has "
            f"{wanted.location}; a shallow copy to it would corrupt the guest's disk.",
            remedy,
            field=field,
        )
    if there.backing_format != wanted.format:
        return stop(
            f"{where} reads its backing file {there.backing} as "
            f"{there.backing_format or 'an unknown format'}, {case.target} as "
            f"{wanted.format}; a shallow copy to it would corrupt the guest's disk.",
            remedy,
            field=field,
        )
    return passed(f"{where} has the source's backing file.", there.backing, field=field)


def declared_backing_is_the_sources(case: Case) -> Finding | None:
    """A backing file declared in raw XML is believed by libvirt, right or wrong."""
    declared = case.destination.backing
    if declared is None:
        return None
    if not case.options.shallow:
        return stop(
            "A backing file is declared, and the copy is not shallow.",
            "Leave the backing file away, or make the copy shallow.",
            field="shallow",
        )
    if not case.backing:
        return None  # another rule says so
    wanted = case.backing[0]
    if (declared.location, declared.format) == (wanted.location, wanted.format):
        return passed("The declared backing file is the source's.", wanted.location)
    return stop(
        f"The declared backing file is {declared.location} ({declared.format}), "
        f"{case.target} has {wanted.location} ({wanted.format}); a shallow copy would "
        "corrupt the guest's disk.",
        f"Declare {wanted.location}, or none.",
        field="shallow",
    )
