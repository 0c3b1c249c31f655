"""What is typed before an act whose damage would be wide.

The console and the admin ask for it; the command line and other programs name the very
job that they act on, and are not asked.

For one job or leftover on a host that is marked as production it is the domain's name,
for many jobs of one domain too; for many of several domains a sentence with their
number. Nothing is typed before one start, since it takes nothing away, nor before an
act that reaches no host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.actions.bulk import BulkAct
from jobs.actions.verbs import VERBS, never_started
from jobs.models import CopyJob, Leftover
from jobs.names import alone, typable

_COUNTED: dict[str, Callable[[int], str]] = {
    "start": lambda n: ngettext("start %(count)d job", "start %(count)d jobs", n),
    "pivot": lambda n: ngettext("pivot %(count)d job", "pivot %(count)d jobs", n),
    "finish": lambda n: ngettext("finish %(count)d job", "finish %(count)d jobs", n),
    "cancel": lambda n: ngettext("cancel %(count)d job", "cancel %(count)d jobs", n),
    "speed": lambda n: ngettext(
        "set the bandwidth of %(count)d job", "set the bandwidth of %(count)d jobs", n
    ),
    "retry": lambda n: ngettext("retry %(count)d job", "retry %(count)d jobs", n),
}


def to_type_for_verb(job: CopyJob) -> str:
    """Return what is typed before a verb on `job`; "" for nothing."""
    if not job.host.production or never_started(job):
        return ""
    return _name_of(job)


def to_type_for_many(act: BulkAct, jobs: Sequence[CopyJob]) -> str:
    """Return what is typed before `act` on `jobs`; "" for nothing."""
    if len(jobs) > 1:
        domains = {(job.host_id, job.domain_uuid) for job in jobs}
        if len(domains) == 1:
            return _name_of(jobs[0])
        return _COUNTED[act.name](len(jobs)) % {"count": len(jobs)}
    return "".join(map(to_type_for_verb, jobs)) if act.name in VERBS else ""


def to_type_for_removals(leftovers: Sequence[Leftover]) -> str:
    """Return what is typed before `leftovers` are removed; "" for nothing."""
    if len(leftovers) > 1:
        count = len(leftovers)
        words = ngettext(
            "remove %(count)d leftover", "remove %(count)d leftovers", count
        )
        return words % {"count": count}
    return "".join(_name_of(one.job) for one in leftovers if one.host.production)


def _name_of(job: CopyJob) -> str:
    # A name of which nothing can be seen can't be typed.
    return typable(job.domain_name) or job.domain_uuid


def typing_error(wanted: str, typed: str) -> str:
    """Return what is wrong with `typed`; "" for `wanted`, or if nothing was wanted."""
    if not wanted or typable(typed) == wanted:
        return ""
    words = {"words": alone(wanted)}
    return _("Nothing was done yet: type “%(words)s” to confirm.") % words
