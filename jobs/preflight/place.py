"""Rules about the destination itself: how it is written, and who else uses it."""

from __future__ import annotations

from jobs.hypervisor import DestinationError, check
from jobs.models import CopyJob
from jobs.models.domain import in_use
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, passed, stop

# Forms call the destination's parts by what people call them.
FIELDS = {"path": "destination", "kind": "destination_kind"}


def destination_makes_sense(case: Case) -> Finding:
    """Absolute, printable, written in one way, a known format."""
    try:
        check(case.destination)
    except DestinationError as error:
        return stop(error.cause, field=FIELDS.get(error.field, error.field))
    return passed("The destination is well formed.", field="destination")


def destination_is_free(case: Case) -> Finding | None:
    """Not part of any known disk, on any host: storage may be shared."""
    location = case.destination.location
    if not location:
        return None
    user = in_use(location).first()
    if user is not None:
        what = "the source itself" if user == case.row else f"in use by {user}"
        return stop(
            f"{location} is {what}.",
            "Choose a path that no disk, backing chain or copy uses.",
            field="destination",
        )
    promised = (
        CopyJob.objects.active()
        .exclude(pk=case.request.job)
        .filter(destination=location)
        .first()
    )
    if promised is not None:
        return stop(
            f"{location} is the destination of job {promised.pk}.",
            "Choose another path.",
            field="destination",
        )
    return passed("No known disk, chain or copy uses the destination.")
