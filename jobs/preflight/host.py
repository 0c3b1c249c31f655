"""Rules about the host, and about how much of it could be seen."""

from __future__ import annotations

from jobs.hypervisor import Evidence, host_support
from jobs.models import Host
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.said import joined, say


def host_answers(case: Case) -> Finding:
    """A copy must not begin at some time later, when a silent host comes back."""
    host = case.host
    if not host.enabled:
        return stop(
            say("%(host)s is disabled.", host=host),
            say("Ask an administrator to enable the host."),
        )
    if host.error and case.evidence is None:
        return stop(
            _silent(host),
            host.error_remedy or say("Test the connection to the host."),
        )
    return passed(say("%(host)s answers.", host=host))


def _silent(host: Host) -> str:
    if host.trouble == host.error:
        return say("%(host)s does not answer: %(error)s", host=host, error=host.error)
    return joined(say("%(host)s does not answer.", host=host), host.trouble)


def host_is_new_enough(case: Case) -> Finding | None:
    """Older hosts would probe what lies at the destination."""
    facts = case.host_facts
    if facts is None:
        return None
    if too_old := host_support(facts):
        return stop(
            say(
                "%(host)s is too old for block copies. %(too_old)s",
                host=case.host,
                too_old=too_old,
            ),
            say("Update libvirt on the host."),
        )
    return passed(say("%(host)s has a libvirt that can copy disks.", host=case.host))


def everything_was_seen(case: Case, evidence: Evidence) -> Finding:
    """What could not be known is said as such."""
    unknown = [
        sentence
        for sentence in evidence.unknown
        if not _of_network_source(case, sentence) and not of_the_place(case, sentence)
    ]
    if unknown:
        return warn(
            joined(*unknown),
            say("Start the copy only if you know that this does not matter."),
        )
    return passed(say("%(host)s told everything that was asked.", host=case.host))


def _of_network_source(case: Case, sentence: str) -> bool:
    """Of a source on a network nothing more than its size is needed, which the running
    guest tells."""
    network = case.disk is not None and case.disk.source_kind == "network"
    return network and case.source in sentence


def of_the_place(case: Case, sentence: str) -> bool:
    """Another rule says that nobody could look at the destination, and what follows."""
    unseen = case.there.exists is None
    return unseen and any(place in sentence for place in case.locations)


def all_users_were_seen(case: Case, evidence: Evidence) -> Finding:
    """Whoever writes over something must know that nobody else uses it."""
    unknown = joined(
        *(
            sentence
            for sentence in evidence.uses_unknown
            if not of_the_place(case, sentence)
        )
    )
    if not unknown:
        return passed(say("All disks of %(host)s could be compared.", host=case.host))
    cause = joined(
        say(
            "Not all disks of %(host)s could be compared with the destination.",
            host=case.host,
        ),
        unknown,
    )
    if case.reuses_file:
        return stop(
            cause,
            say("Copy to a new file: what is overwritten must be nobody's."),
            field="destination",
        )
    if case.overwrites or case.there.exists is not False:
        return warn(
            cause,
            say("Make sure yourself that no other domain uses the destination."),
            field="destination",
        )
    return notice(
        cause,
        say("A new file is nobody's disk."),
    )
