"""Rules about shallow copies, which share the source's backing file."""

from __future__ import annotations

from jobs.hypervisor import Evidence
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, notice, passed, stop
from jobs.said import say


def shallow_is_possible(case: Case) -> Finding | None:
    """libvirt refuses raw (error 67), and without a chain it ignores the flag."""
    if not case.options.shallow:
        return None
    if case.destination.format == "raw":
        return stop(
            say("A shallow copy needs a format with a backing file."),
            say("Choose qcow2, or copy the whole chain."),
            field="shallow",
        )
    if not case.backing:
        return stop(
            say("%(target)s has no backing file to share.", target=case.target),
            say("Leave shallow off."),
            field="shallow",
        )
    if case.destination.kind == "volume" and case.backing[0].kind == "network":
        return stop(
            say(
                "A volume can't share %(location)s, which a network serves.",
                location=case.backing[0].location,
            ),
            say("Copy the whole chain, or copy to a file."),
            field="shallow",
        )
    return notice(
        _shared(case),
        say("It works only as long as the backing chain stays where it is, unchanged."),
        field="shallow",
    )


def _shared(case: Case) -> str:
    location, below = case.backing[0].location, len(case.backing) - 1
    if not below:
        return say("The copy shares %(location)s with the source.", location=location)
    return say(
        "The copy shares %(location)s and %(below)d more below it with the source.",
        location=location,
        below=below,
    )


def shallow_backing_is_the_sources(case: Case, evidence: Evidence) -> Finding | None:
    """The worst trap of virDomainBlockCopy: with another backing file, or none, the
    copy becomes ready, the pivot succeeds, and the guest's disk is corrupt."""
    if not case.options.shallow or not case.options.reuse_external or not case.backing:
        return None
    there, wanted = evidence.destination, case.backing[0]
    where, field = case.destination.location, "shallow"
    remedy = say(
        "Create it anew with the backing file %(location)s.", location=wanted.location
    )
    if there.exists is False:
        return None
    if there.capacity is None:
        return stop(
            say(
                "The backing file of %(where)s could not be looked up; with a "
                "wrong one the guest's disk would be corrupted.",
                where=where,
            ),
            say("Make a shallow copy to a new file instead."),
            field=field,
        )
    if not there.backing:
        return stop(
            say(
                "%(where)s has no backing file; a shallow copy to it would "
                "corrupt the guest's disk.",
                where=where,
            ),
            remedy,
            field=field,
        )
    if there.backing != wanted.location:
        return stop(
            say(
                "%(where)s has the backing file %(backing)s, %(target)s has "
                "%(location)s; a shallow copy to it would corrupt the guest's "
                "disk.",
                where=where,
                backing=there.backing,
                target=case.target,
                location=wanted.location,
            ),
            remedy,
            field=field,
        )
    if there.backing_format != wanted.format:
        return stop(
            say(
                "%(where)s reads its backing file %(backing)s as "
                "%(backing_format)s, %(target)s as %(format)s; a shallow copy "
                "to it would corrupt the guest's disk.",
                where=where,
                backing=there.backing,
                backing_format=there.backing_format or say("an unknown format"),
                target=case.target,
                format=wanted.format,
            ),
            remedy,
            field=field,
        )
    return passed(
        say("%(where)s has the source's backing file.", where=where),
        there.backing,
        field=field,
    )


def declared_backing_is_the_sources(case: Case) -> Finding | None:
    """A backing file declared in raw XML is believed by libvirt, right or wrong."""
    declared = case.destination.backing
    if declared is None:
        return None
    if not case.options.shallow:
        return stop(
            say("A backing file is declared, and the copy is not shallow."),
            say("Leave the backing file away, or make the copy shallow."),
            field="shallow",
        )
    if not case.backing:
        return None  # another rule says so
    wanted = case.backing[0]
    if (declared.location, declared.format) == (wanted.location, wanted.format):
        return passed(
            say("The declared backing file is the source's."), wanted.location
        )
    return stop(
        say(
            "The declared backing file is %(location)s (%(format)s), "
            "%(target)s has %(wanted)s (%(wanted_format)s); a shallow copy "
            "would corrupt the guest's disk.",
            location=declared.location,
            format=declared.format,
            target=case.target,
            wanted=wanted.location,
            wanted_format=wanted.format,
        ),
        say("Declare %(location)s, or none.", location=wanted.location),
        field="shallow",
    )
