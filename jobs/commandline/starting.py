"""`blockcopy job start` and `job check`: looking first, then asking for the copy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from django.utils import timezone

from jobs import actions, checks
from jobs.actions import Invalid
from jobs.checks import Checked
from jobs.commandline.answer import Answer, Call, Failure, Status
from jobs.commandline.asked import FORMATS, FOUND, request_of
from jobs.commandline.findings import finding_records, findings_text, how_to_accept
from jobs.commandline.reaching import reached
from jobs.commandline.records import Record, when
from jobs.commandline.waiting import BY_POLICY, wait_until
from jobs.hypervisor import DestinationError, to_xml
from jobs.models import CopyJob
from jobs.preflight import (
    CopyRequest,
    Finding,
    Level,
    examinable,
    not_accepted,
    preflight,
    problems,
    stops,
)
from jobs.schedule import moment_text
from jobs.units import rough_text

# A start waits so long for a look at the host: it is made again by whoever starts.
LOOK_FIRST = 5.0
# A check has nothing else to tell. A host's own deadline is below this.
CHECK_EXPIRES = 30.0


def start(call: Call) -> Answer:
    """Start a copy; or only check it, or print the XML that would be sent."""
    request = _request(call)
    if call.options.print_xml:
        return _xml(request)
    if call.options.dry_run:
        return _check(call, request)
    checked = _look_first(call, request)
    job = _ask_for(call, request)
    copies = "copies" if job.start_at is None else "will copy"
    asked = f"Job {job.pk} {copies} {job.source} to {job.destination}."
    if job.start_at is not None:
        left = (job.start_at - timezone.now()).total_seconds()
        asked += f" It starts at {moment_text(job.start_at)}, in {rough_text(left)}."
    answer = reached(call, job, BY_POLICY[request.when_ready], asked)
    looked = _findings(request, checked.findings, checked.at) if checked else None
    return Answer({**dict(answer.data), "check": looked}, answer.text)


def check(call: Call) -> Answer:
    """Check a copy on its host, and start nothing."""
    return _check(call, _request(call))


def _request(call: Call) -> CopyRequest:
    """Return what is asked for, with the format that lies there where that is asked."""
    request = request_of(call.options)
    if call.options.format != FOUND:
        return request
    seconds = call.options.timeout or CHECK_EXPIRES
    checked = _checked(call, request, seconds) if examinable(request) else None
    if checked is None:
        raise (
            Invalid(problems(request))
            if problems(request)
            else _no_answer(request, seconds)
        )
    if checked.found not in FORMATS:
        raise Failure(
            f"The format of {request.destination.location} can't be told"
            f"{f': it is {checked.found}' if checked.found else ''}. Choose --format "
            "raw or --format qcow2."
        )
    found = replace(request.destination, format=cast(Any, checked.found))
    return replace(request, destination=found)


def _xml(request: CopyRequest) -> Answer:
    found = problems(request)
    if found:
        raise Invalid(found)
    xml = to_xml(request.destination)
    return Answer({"xml": xml}, xml)


# --- Before a start ------------------------------------------------------------------


def _look_first(call: Call, request: CopyRequest) -> Checked | None:
    """Have the host looked at, and tell what it shows; None if nothing came back.

    Not where the database refuses the copy, or the caller may not start it: the
    request says so, and leaves its entry in the audit log.
    """
    if problems(request) or not call.actor.may("jobs.start_copyjob"):
        return None
    checked = _checked(call, request, LOOK_FIRST)
    if checked is None:
        _tell(
            call,
            f"Nothing came back from {request.disk.domain.host} within "
            f"{LOOK_FIRST:g} s; it is looked at again before the copy begins.",
        )
    else:
        shown = [found for found in checked.findings if found.level != Level.PASS]
        _tell(call, findings_text(shown, request.accepted))
    return checked


def _tell(call: Call, text: str) -> None:
    """Say something to people beside the answer; scripts have it in the answer."""
    if text and not call.options.json:
        print(text, file=sys.stderr, flush=True)


def _ask_for(call: Call, request: CopyRequest) -> CopyJob:
    try:
        return actions.request_copy(request, call.actor, start_at=call.options.at)
    except Invalid as error:
        raise _refused(error.problems, request) from error


def _refused(found: Sequence[Finding], request: CopyRequest) -> Failure:
    """Say why nothing was started; what can be accepted with the way to do it."""
    way = "" if stops(found) else how_to_accept(not_accepted(found, request.accepted))
    said = [*map(str, found), way]
    records = finding_records(found, request.accepted)
    return Failure(" ".join(filter(None, said)), data={"problems": records})


# --- A check -------------------------------------------------------------------------


def _check(call: Call, request: CopyRequest) -> Answer:
    found, at = _judged(call, request)
    against = [*stops(found), *not_accepted(found, request.accepted)]
    data = _record(request) | {
        "ok": not against,
        "check": _findings(request, found, at),
    }
    text = findings_text(found, request.accepted)
    if against:
        raise Failure(_verdict(against), data=data, text=text)
    good = "Nothing speaks against this copy. Nothing was started."
    return Answer(data, f"{text}\n\n{good}")


def _judged(
    call: Call, request: CopyRequest
) -> tuple[Sequence[Finding], datetime | None]:
    """Return what every rule says, and when the host was looked at for it.

    Without a look only if the database alone forbids the copy.
    """
    seconds = call.options.timeout or CHECK_EXPIRES
    checked = _checked(call, request, seconds) if examinable(request) else None
    if checked is not None:
        return checked.findings, checked.at
    known = preflight(request)
    if not stops(known):
        raise _no_answer(request, seconds)
    return known, None


def _verdict(against: Sequence[Finding]) -> str:
    """Say how it would be refused, in one line; the findings are in the table."""
    rules = ", ".join(dict.fromkeys(found.rule for found in against))
    way = "" if stops(against) else f" {how_to_accept(against)}"
    return f"The copy would be refused: {rules}.{way}"


def _record(request: CopyRequest) -> Record:
    disk = request.disk
    return {
        "host": disk.domain.host.name,
        "domain": disk.domain.name,
        "disk": disk.target,
        "source": disk.source,
        "destination": request.destination.location,
        "destination_format": request.destination.format,
        "xml": _xml_or_none(request),
    }


def _xml_or_none(request: CopyRequest) -> str | None:
    try:
        return to_xml(request.destination)
    except DestinationError:
        return None


# --- Asking the host -----------------------------------------------------------------


def _checked(call: Call, request: CopyRequest, seconds: float) -> Checked | None:
    """Have a worker look at the host; None if nothing came back in time."""
    key = actions.ask_check(request, call.actor)

    def look() -> Checked | None:
        found = checks.result(key)
        return found if found is not None and found.fresh else None

    return wait_until(look, seconds)


def _findings(
    request: CopyRequest, found: Sequence[Finding], at: datetime | None
) -> Record:
    records = finding_records(found, request.accepted)
    return {"at": when(at), "findings": records}


def _no_answer(request: CopyRequest, seconds: float) -> Failure:
    host = request.disk.domain.host
    return Failure(
        f"Nothing came back from {host} within {seconds:g} s. Is a worker running that "
        f"serves the site {host.site}?",
        status=Status.TIMED_OUT,
        data=_record(request) | {"ok": False, "check": None},
    )
