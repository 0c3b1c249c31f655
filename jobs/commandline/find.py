"""Finding what the words of a command line name, or saying what there is instead."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from jobs.commandline.answer import Failure
from jobs.models import CopyJob, Disk, Domain, Host, Leftover, Site

_SHOWN = 10


def host(name: str) -> Host:
    """Return the host called `name`."""
    found = Host.objects.select_related("site").filter(name=name).first()
    if found is None:
        known = Host.objects.values_list("name", flat=True)
        raise Failure(f"There is no host {name}; known: {_some(known)}.")
    return found


def site(name: str) -> Site:
    """Return the site called `name`."""
    found = Site.objects.filter(name=name).first()
    if found is None:
        known = Site.objects.values_list("name", flat=True)
        raise Failure(f"There is no site {name}; known: {_some(known)}.")
    return found


def domain(on: Host, word: str) -> Domain:
    """Return the domain of a host with the name or the UUID `word`.

    One that is there comes before one of that name that is gone.
    """
    found = (
        on.domains.filter(Q(name=word) | Q(uuid=word.lower()))
        .order_by("gone_at")
        .select_related("host__site")
    )
    present = found.filter(gone_at=None).first()
    chosen = present or found.first()
    if chosen is None:
        known = on.domains.filter(gone_at=None).values_list("name", flat=True)
        raise Failure(
            f"{on} has no domain {word}; known: {_some(known)}. If it is new: "
            f"blockcopy host sync {on}."
        )
    return chosen


def disk(of: Domain, word: str) -> Disk:
    """Return the disk of a domain with the target or the source path `word`."""
    present = of.disks.filter(gone_at=None).select_related("domain__host__site")
    found = present.filter(target=word).first() or present.filter(source=word).first()
    if found is None:
        known = present.values_list("target", flat=True)
        raise Failure(f"{of.name} has no disk {word}; known: {_some(known)}.")
    return found


def job(pk: int) -> CopyJob:
    """Return the copy job with the number `pk`."""
    found = CopyJob.objects.select_related("host__site").filter(pk=pk).first()
    if found is None:
        raise Failure(f"There is no job {pk}.")
    return found


def leftover(pk: int) -> Leftover:
    """Return the leftover with the number `pk`."""
    found = Leftover.objects.select_related("host__site").filter(pk=pk).first()
    if found is None:
        raise Failure(f"There is no leftover {pk}.")
    return found


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return (", ".join(listed[:_SHOWN]) or "none") + more
