"""`blockcopy job foreign|adopt`: copies that somebody began elsewhere."""

from __future__ import annotations

from django.db.models import Q

from jobs import actions
from jobs.commandline import find
from jobs.commandline.answer import Answer, Call
from jobs.commandline.reaching import reached
from jobs.commandline.text import table
from jobs.commandline.waiting import READY
from jobs.strangers import EVERYWHERE, foreign_copies

_HEADINGS = ("HOST", "DOMAIN", "DISK", "WHAT", "SOURCE", "DESTINATION")


def list_all(call: Call) -> Answer:
    """List the copies that were begun elsewhere, as last seen."""
    call.must_see("disk")
    among = EVERYWHERE
    if call.options.host:
        among = Q(domain__host=find.host(call.options.host))
    records = [
        {
            "host": disk.domain.host.name,
            "domain": disk.domain.name,
            "disk": disk.target,
            "what": disk.mirror_job or "copy",
            "source": disk.source,
            "destination": disk.mirror,
        }
        for disk in foreign_copies(among)
    ]
    return Answer(records, table(_HEADINGS, [tuple(one.values()) for one in records]))


def adopt(call: Call) -> Answer:
    """Make a copy that was begun elsewhere a job of this console."""
    given = call.options
    disk = find.disk(find.domain(find.host(given.host), given.domain), given.disk)
    consequence = actions.adoption_consequence(disk)
    job = actions.adopt(disk, call.actor, given.reason)
    return reached(call, job, READY, f"It is job {job.pk}. {consequence}")
