"""Asking every rule, in the order in which people should read the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from jobs.hypervisor import Destination, Evidence, HypervisorError
from jobs.models import Disk
from jobs.preflight import guest, options, place
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, Level, stops
from jobs.preflight.request import CopyRequest

# A rule's name is its function's; None is "not about this request".
Rule = Callable[[Case], Finding | None]

# What the database can tell.
KNOWN: tuple[Rule, ...] = (
    guest.host_answers,
    guest.domain_is_running,
    guest.disk_can_be_copied,
    guest.disk_has_no_job,
    guest.shareable_stays_shareable,
    place.destination_makes_sense,
    place.destination_is_free,
    options.options_make_sense,
    options.shallow_is_possible,
)
# What the request's disk must be in any case; these ask the database nothing.
OF_THE_DISK: tuple[Rule, ...] = (
    guest.host_answers,
    guest.domain_is_running,
    guest.disk_can_be_copied,
)


def preflight(request: CopyRequest, evidence: Evidence | None = None) -> list[Finding]:
    """What every rule says; without evidence, every rule that the database can tell."""
    return _ask(KNOWN, Case(request, evidence))


def problems(request: CopyRequest) -> list[Finding]:
    """Everything that forbids `request`, as far as the database tells."""
    return stops(preflight(request))


def why_not_copied(disk: Disk) -> Finding | None:
    """Why `disk` can't be copied anywhere now, None if it can; asks the database
    nothing."""
    case = Case(CopyRequest(disk, Destination("file", "", "raw")))
    return next(iter(stops(_ask(OF_THE_DISK, case))), None)


def examinable(request: CopyRequest) -> bool:
    """Whether a host could be asked about it: the destination says where to look."""
    case = Case(request)
    asked = _ask((place.destination_makes_sense,), case)
    return request.disk.domain.host.enabled and not stops(asked)


def not_examined(request: CopyRequest, error: HypervisorError) -> Finding:
    """What is said instead of the rules that judge evidence, when there is none."""
    host = request.disk.domain.host
    level = Level.STOP if Case(request).overwrites else Level.WARN
    return Finding(
        "host_was_asked",
        level,
        f"{host} could not be asked about this copy: {error.cause}",
        error.remedy,
    )


def _ask(rules: Iterable[Rule], case: Case) -> list[Finding]:
    answers = ((rule.__name__, rule(case)) for rule in rules)
    return [replace(found, rule=name) for name, found in answers if found is not None]
