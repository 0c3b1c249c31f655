"""Measuring leftovers, and removing those that people asked to be removed.

A removal is done in steps, each of which may be the last one before a crash: asked
for; every host told what it has since then; the very file that was seen still lies
there; the deletion written down; deleted. The tick takes up whatever is unfinished.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from jobs import audit, dispatch, failures, live
from jobs.actor import SYSTEM
from jobs.hypervisor import (
    Destination,
    Evidence,
    HostBusy,
    HostUnreachable,
    Hypervisor,
    HypervisorError,
    ImageFacts,
    Use,
)
from jobs.leftovers import asked_at, hosts_to_tell, proof
from jobs.models import CopyJob, Leftover
from jobs.preflight.place import how_text
from jobs.reconcile import connect, note_silence
from jobs.said import joined, say
from jobs.transition import Level, tell
from jobs.units import bytes_text

log = structlog.get_logger(__name__)

# QEMU closes a file a moment after its job has ended, which writes to it.
SETTLED = timedelta(seconds=2)
SETTLED_FOR_GOOD = timedelta(seconds=30)
REFRESHED_EACH = timedelta(hours=6)
# A host that has not told what it has for so long is a reason to refuse.
PROOF_WITHIN = timedelta(seconds=60)
# Nobody carried the removal out: its workers are away.
CARRIED_OUT_WITHIN = timedelta(seconds=180)
# A volume of our own that was first looked at later than this may not be ours any more.
OURS_FOR = timedelta(seconds=120)
MEASURED_AT_ONCE = 10


# --- Once a second --------------------------------------------------------------------


def tend() -> None:
    """Ask for what the ledger needs: measuring, proof, removal."""
    _ask_for_measures()
    asked = Leftover.objects.to_remove().select_related("host__site", "job")
    for leftover in asked:
        _advance(leftover)


def _ask_for_measures() -> None:
    now = timezone.now()
    never = Q(measured_at=None, noted_at__lt=now - SETTLED)
    once_more = Q(
        measured_at__lt=F("noted_at") + SETTLED_FOR_GOOD,
        noted_at__lt=now - SETTLED_FOR_GOOD,
        removal_asked_at=None,
    )
    long_ago = Q(measured_at__lt=now - REFRESHED_EACH, removal_asked_at=None)
    due = Leftover.objects.there().filter(
        never | once_more | long_ago, host__enabled=True, host__error=""
    )
    for leftover in due.order_by("measured_at").select_related("host__site")[
        :MEASURED_AT_ONCE
    ]:
        if live.first_to_ask(f"measure:{leftover.pk}", seconds=60):
            dispatch.measure_leftover(leftover)


def _advance(leftover: Leftover) -> None:
    silent = list(hosts_to_tell(leftover))
    age = timezone.now() - asked_at(leftover)
    if silent and age < PROOF_WITHIN:
        for host in silent:
            if live.first_to_ask(f"proof:{host.pk}", seconds=5):
                dispatch.sync_host(host.site.name, host.pk)
    elif silent or (age > CARRIED_OUT_WITHIN and leftover.removing_at is None):
        refuse(leftover, *(proof(leftover) or [_not_carried_out(leftover)]))
    elif leftover.measured_at and live.first_to_ask(f"remove:{leftover.pk}", 10):
        dispatch.remove_leftover(leftover)


def _not_carried_out(leftover: Leftover) -> str:
    host, error = leftover.host_name, leftover.host.error
    if error:
        return say(
            "%(host)s could not be asked to remove it in time: %(error)s",
            host=host,
            error=error,
        )
    return say("%(host)s could not be asked to remove it in time.", host=host)


# --- Measuring ------------------------------------------------------------------------


def measure(pk: int) -> None:
    """Look at what lies there now, and why the copy failed if nobody heard that."""
    leftover = _open(pk)
    if leftover is None:
        return
    try:
        with connect(leftover.host) as hypervisor:
            facts = _look(hypervisor, leftover)
            if failures.needs_a_guess(leftover.job):
                failures.keep_guess(leftover.job, _evidence(hypervisor, leftover))
    except HostUnreachable as error:
        note_silence(leftover.host, error)
    except HypervisorError as error:
        log.warning("leftover not measured", leftover=pk, error=error.text)
        Leftover.objects.filter(pk=pk).update(measured_at=timezone.now())
    else:
        _keep(leftover, facts)


def _open(pk: int) -> Leftover | None:
    rows = Leftover.objects.there().select_related("host__site", "job__host")
    return rows.filter(pk=pk).first()


def _look(hypervisor: Hypervisor, leftover: Leftover) -> ImageFacts:
    return hypervisor.image(
        leftover.location, transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS
    )


def _evidence(hypervisor: Hypervisor, leftover: Leftover) -> Evidence:
    job = leftover.job
    return hypervisor.examine(
        job.domain_uuid,
        job.disk,
        job.target_destination,
        transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS,
    )


def _keep(leftover: Leftover, facts: ImageFacts) -> None:
    if facts.exists is False:
        words = say(
            "%(location)s on %(host)s was already gone when it was looked for.",
            **_it(leftover),
        )
        _close(leftover, words)
        return
    # A removal that was asked for since is about what was seen before.
    same = Leftover.objects.there().filter(
        pk=leftover.pk, removal_asked_at=leftover.removal_asked_at
    )
    same.update(
        bytes=facts.allocation,
        fingerprint=facts.fingerprint,
        measured_at=timezone.now(),
    )
    if facts.allocation != leftover.bytes:
        live.wake(leftover.job)


# --- Removing -------------------------------------------------------------------------


def remove(pk: int) -> None:
    """Carry out a removal that was asked for, or refuse it with the reason."""
    with live.exclusively(f"remove:{pk}") as mine:
        leftover = _open(pk)
        if not mine or leftover is None or leftover.removal_asked_at is None:
            return
        obstacles = proof(leftover)
        if obstacles:
            refuse(leftover, *obstacles)
            return
        try:
            with connect(leftover.host) as hypervisor:
                _remove(hypervisor, leftover)
        except HostUnreachable as error:
            note_silence(leftover.host, error)
        except HostBusy as error:
            # It may happen yet: the next look tells.
            log.warning("removal: no clear answer", leftover=pk, error=error.text)
        except HypervisorError as error:
            refuse(leftover, error.cause, error.remedy, error=error)


def _remove(hypervisor: Hypervisor, leftover: Leftover) -> None:
    facts = _look(hypervisor, leftover)
    if facts.exists is False:
        _gone(leftover)
        return
    obstacle = _another_file(leftover, facts)
    if obstacle:
        _look_anew(leftover, facts)
        refuse(leftover, obstacle)
        return
    users = _users_now(hypervisor, leftover)
    if users:
        refuse(leftover, *users)
        return
    if not _write_down(leftover):
        return  # withdrawn at the last moment
    claimed = proof(leftover)
    if claimed:  # by a copy that was asked for meanwhile
        refuse(leftover, *claimed)
        return
    hypervisor.delete_image(
        leftover.location,
        kind=leftover.storage_kind,
        transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS,
    )
    _removed(leftover)


def _another_file(leftover: Leftover, facts: ImageFacts) -> str:
    """Say why this may not be the file that was asked about, or an empty string."""
    if not facts.fingerprint or facts.exists is None:
        return say(
            "%(host)s can't tell what lies at %(location)s now; remove it on the host.",
            **_it(leftover),
        )
    where = {"location": leftover.location}
    if not leftover.fingerprint:
        return say("%(location)s had not been looked at before. Ask again.", **where)
    if leftover.fingerprint != facts.fingerprint:
        return say(
            "What lies at %(location)s has changed since it was looked at: it was "
            "written to, or is another file. It is left alone. Look at it, and ask "
            "again if it is to go all the same.",
            **where,
        )
    if leftover.removal_asked_by == SYSTEM.name and _looked_at_late(leftover):
        return say(
            "%(location)s was first looked at long after the copy failed; whether it "
            "is still that copy's volume is for a person to say.",
            **where,
        )
    return ""


def _looked_at_late(leftover: Leftover) -> bool:
    first = leftover.measured_at
    return first is None or first - leftover.noted_at > OURS_FOR


def _look_anew(leftover: Leftover, facts: ImageFacts) -> None:
    """Let the next asking be about what lies there now."""
    Leftover.objects.filter(pk=leftover.pk).update(
        bytes=facts.allocation,
        fingerprint=facts.fingerprint,
        measured_at=timezone.now(),
    )


def _users_now(hypervisor: Hypervisor, leftover: Leftover) -> list[str]:
    """Look on the leftover's own host for users, under any name of the file."""
    job = leftover.job
    place = Destination(
        "block" if leftover.storage_kind == "block" else "file", leftover.location
    )
    evidence = hypervisor.examine(
        job.domain_uuid,
        job.disk,
        place,
        transient_pools=settings.BLOCKCOPY_TRANSIENT_POOLS,
    )
    return [_use_text(leftover, use) for use in evidence.uses]


def _use_text(leftover: Leftover, use: Use) -> str:
    told = {
        "location": leftover.location,
        "domain": use.domain_name,
        "disk": use.target,
        "how": how_text(use),
    }
    if use.location == leftover.location:
        return say("%(location)s is used by %(domain)s (%(disk)s: %(how)s).", **told)
    return say(
        "%(location)s is used by %(domain)s (%(disk)s: %(how)s, as %(other)s).",
        other=use.location,
        **told,
    )


def _write_down(leftover: Leftover) -> bool:
    return _asking(leftover).update(removing_at=timezone.now()) == 1


def _asking(leftover: Leftover) -> QuerySet[Leftover]:
    """The row, as long as this very asking stands."""
    return Leftover.objects.there().filter(
        pk=leftover.pk, removal_asked_at=leftover.removal_asked_at
    )


# --- Outcomes -------------------------------------------------------------------------


def _removed(leftover: Leftover) -> None:
    it = _it(leftover)
    if leftover.bytes is None:
        words = say("%(location)s on %(host)s was removed.", **it)
    else:
        size = bytes_text(leftover.bytes)
        words = say("%(location)s on %(host)s was removed (%(size)s).", size=size, **it)
    _close(leftover, words, audited=True)


def _gone(leftover: Leftover) -> None:
    """It is not there: we were killed right after deleting it, or it was not we."""
    if leftover.removing_at is not None:
        _removed(leftover)
    else:
        words = say(
            "%(location)s on %(host)s was already gone when it was to be removed.",
            **_it(leftover),
        )
        _close(leftover, words, audited=True)


def _it(leftover: Leftover) -> dict[str, str]:
    return {"location": leftover.location, "host": leftover.host_name}


def _close(leftover: Leftover, words: str, *, audited: bool = False) -> None:
    now = timezone.now()
    with transaction.atomic():
        fields = leftover.saying(removed_at=now, closing=words, refusal="")
        if _asking(leftover).update(**fields) != 1:
            return  # somebody else has closed it
        if leftover.kind != Leftover.Kind.UNCERTAIN:  # there the other file stays
            job = CopyJob.objects.filter(pk=leftover.job_id)
            job.update(**leftover.job.saying(left_behind=words))
        tell(leftover.job, words, actor=SYSTEM)
        if audited:
            _audit(leftover, audit.Outcome.DONE, words)


def refuse(
    leftover: Leftover, *obstacles: str, error: HypervisorError | None = None
) -> None:
    """Leave the leftover where it is, and say why."""
    words = joined(*obstacles)
    fields = leftover.saying(refusal=words, removal_asked_at=None, removing_at=None)
    with transaction.atomic():
        if _asking(leftover).update(**fields) != 1:
            return
        message = f"{leftover} was not removed: {words}"
        tell(leftover.job, message, actor=SYSTEM, level=Level.WARNING)
        if error is None:
            _audit(leftover, audit.Outcome.REFUSED, words)
        else:
            _audit(leftover, audit.Outcome.FAILED, f"{words} ({error.text})")


def _audit(leftover: Leftover, outcome: audit.Outcome, detail: str) -> None:
    audit.record(
        SYSTEM,
        "remove leftover",
        leftover,
        outcome,
        intent=f"asked by {leftover.removal_asked_by}",
        reason=leftover.removal_reason,
        detail=detail,
    )
