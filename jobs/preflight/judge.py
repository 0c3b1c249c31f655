"""Asking every rule, in the order in which people should read the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps

from jobs.hypervisor import Destination, Evidence, HypervisorError
from jobs.models import Disk
from jobs.preflight import guest, host, options, place, reuse, shallow, space
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, Level, stops
from jobs.preflight.known import Known
from jobs.preflight.request import CopyRequest
from jobs.said import say

# A rule's name is its function's; None is "not about this request". Those of SEEN judge
# the host's own word and are not asked without it.
Rule = Callable[[Case], Finding | None]
SeenRule = Callable[[Case, Evidence], Finding | None]

# Is the disk fit to be copied at all? These ask the database nothing.
OF_THE_DISK: tuple[Rule, ...] = (
    host.host_answers,
    host.host_is_new_enough,
    guest.domain_is_running,
    guest.disk_can_be_copied,
)
KNOWN: tuple[Rule, ...] = (
    *OF_THE_DISK,
    guest.disk_has_no_job,
    guest.libvirt_knows_the_source,
    guest.disk_is_written_to,
    guest.lun_stays_lun,
    guest.shareable_stays_shareable,
    place.destination_makes_sense,
    place.destination_is_free,
    place.destination_is_no_leftover,
    options.options_make_sense,
    options.options_are_supported,
    options.zeroed_only_if_created,
    options.limits_make_sense,
    options.consistent_only_if_finished,
    shallow.shallow_is_possible,
    shallow.declared_backing_is_the_sources,
    guest.definitions_agree,
    options.buffer_fits_bandwidth,
    guest.guest_can_do_less,
)
SEEN: tuple[SeenRule, ...] = (
    guest.no_backup_runs,
    place.destination_is_nobodys,
    place.directory_is_there,
    place.pool_can_take_it,
    place.destination_is_absent,
    reuse.reused_is_there,
    reuse.reused_format_is_declared,
    reuse.reused_size_is_exact,
    reuse.reused_encryption_is_declared,
    shallow.shallow_backing_is_the_sources,
    reuse.reused_backing_is_kept,
    space.there_is_room,
    space.sparse_stays_sparse,
    options.secrets_exist,
    options.agent_answers,
    guest.checkpoints_survive,
    guest.snapshots_stay_valid,
    host.all_users_were_seen,
    host.everything_was_seen,
)


def preflight(request: CopyRequest, evidence: Evidence | None = None) -> list[Finding]:
    """What every rule says; without evidence, every rule that the database can tell."""
    return _judge(Case(request, evidence))


def preflights(requests: Iterable[CopyRequest]) -> list[list[Finding]]:
    """What every rule that the database can tell says of each request: for many of one
    domain with as many queries as for one."""
    known = Known()
    cases = [Case(request, known=known) for request in requests]
    return [_judge(case) for case in cases]


def _judge(case: Case) -> list[Finding]:
    found = _ask(KNOWN, case)
    if case.evidence is not None:
        found += _ask([_with(rule, case.evidence) for rule in SEEN], case)
    return found


def _with(rule: SeenRule, evidence: Evidence) -> Rule:
    @wraps(rule)
    def ask(case: Case) -> Finding | None:
        return rule(case, evidence)

    return ask


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
    silent = request.disk.domain.host
    level = Level.STOP if Case(request).overwrites else Level.WARN
    return Finding(
        "host_was_asked",
        level,
        say(
            "%(host)s could not be asked about this copy: %(cause)s",
            host=silent,
            cause=error.cause,
        ),
        error.remedy,
    )


def _ask(rules: Iterable[Rule], case: Case) -> list[Finding]:
    answers = ((rule.__name__, rule(case)) for rule in rules)
    return [replace(found, rule=name) for name, found in answers if found is not None]
