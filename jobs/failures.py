"""Why a copy failed: in QEMU's words where they were heard, else what is likely.

libvirt says "failed" and no more. The words come with the event, or a moment after a
sweep has found the copy gone; the likely cause is what the host's storage shows then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from jobs import heard, live
from jobs.actor import SYSTEM
from jobs.hypervisor import Evidence, Reason, meaning
from jobs.lifecycle import State
from jobs.models import CopyJob
from jobs.resolve import COPY_AGAIN, Decision, Side
from jobs.said import from_json, joined, say
from jobs.transition import Level, tell
from jobs.units import bytes_text

# A job that a sweep has ended gets its reason for so long.
LATE = timedelta(seconds=60)
# With less than this a storage counts as full.
NEXT_TO_NOTHING = 16 * 2**20
ON_SOURCE = say("The guest runs on its source.")


def sentence(job: CopyJob, qemu_text: str) -> str:
    """Return what QEMU's words mean, with the words themselves."""
    cause = _meaning(job, qemu_text).cause
    return say("%(cause)s (QEMU: %(words)s).", cause=cause, words=qemu_text)


def _meaning(job: CopyJob, qemu_text: str) -> Reason:
    return meaning(qemu_text, network=job.destination_kind == "network")


def explained(job: CopyJob, decision: Decision) -> Decision:
    """Return `decision`, a failure, with the reason if QEMU gave one by now."""
    job.refresh_from_db(fields=["qemu_text", "last_event"])
    recall([job])
    if job.last_event != "failed" or decision.side != Side.SOURCE:
        return decision
    if not job.qemu_text and decision.by_us:
        return decision  # it says already what failed
    if not job.qemu_text:
        reason = joined(say("The copy failed on the host."), ON_SOURCE)
        check = say("Check the destination's storage and free space.")
        remedy = joined(check, COPY_AGAIN)
        return replace(decision, reason=reason, remedy=remedy, by_us=True)
    return replace(
        decision,
        reason=joined(sentence(job, job.qemu_text), ON_SOURCE),
        remedy=_meaning(job, job.qemu_text).remedy,
        by_us=True,
    )


def keep(
    host_pk: int, domain_uuid: str, disk: str, status: str, heard: datetime, reason: str
) -> None:
    """Keep an event as evidence of how the copy on that disk ended."""
    said = {"qemu_text": reason} if reason else {}
    CopyJob.objects.on_host().filter(
        host=host_pk, domain_uuid=domain_uuid, disk=disk, started_at__lte=heard
    ).update(last_event=status, **said)


def recall(jobs: Iterable[CopyJob]) -> None:
    """Give jobs the evidence that the listener kept for them, should they have none.

    Whoever was told of it was killed then, or could not write it down. An earlier
    mirror to the same place may have ended so: what was heard before the job's start,
    or before its end was asked for, says nothing of this one.
    """
    unsure = [job for job in jobs if not job.last_event and job.started_at]
    for pk, ending in heard.endings_of(unsure).items():
        job = next(job for job in unsure if job.pk == pk)
        since = job.ending_at or job.started_at
        if since is None or ending.at < since.timestamp():
            continue
        fields = {"last_event": ending.status, "qemu_text": ending.reason}
        if CopyJob.objects.filter(pk=pk, last_event="").update(**fields) == 1:
            job.last_event, job.qemu_text = ending.status, ending.reason


def tell_late(
    host_pk: int, domain_uuid: str, disk: str, heard: datetime, reason: str
) -> None:
    """Give a job that was ended without knowing why its reason after all."""
    of_disk = CopyJob.objects.filter(host=host_pk, domain_uuid=domain_uuid, disk=disk)
    job = of_disk.filter(started_at__lte=heard).order_by("-id").first()
    if job is None or not _may_be_told(job, reason):
        return
    failure = joined(sentence(job, reason), ON_SOURCE)
    fields = job.saying(
        qemu_text=reason,
        last_event="failed",
        failure=failure,
        remedy=_meaning(job, reason).remedy,
        likely_cause="",
    )
    with transaction.atomic():
        same = CopyJob.objects.filter(
            pk=job.pk, state=State.FAILED, failure=job.failure
        )
        if same.update(**fields) == 1:  # else somebody else has told it meanwhile
            tell(job, f"The reason: {failure}", actor=SYSTEM, level=Level.ERROR)


def _may_be_told(job: CopyJob, reason: str) -> bool:
    if job.state != State.FAILED or job.ended_at is None or reason in job.failure:
        return False
    return timezone.now() - job.ended_at < LATE


# --- What is likely -------------------------------------------------------------------


def needs_a_guess(job: CopyJob) -> bool:
    """Tell whether a copy failed on the host and nobody heard why."""
    return (
        job.state == State.FAILED
        and job.libvirt_id is not None
        and not (job.qemu_text or job.likely_cause or job.libvirt_text)
    )


def keep_guess(job: CopyJob, evidence: Evidence) -> None:
    """Write down what the evidence makes likely, unless the reason came meanwhile."""
    guess = likely(job, evidence)
    if not guess:
        return
    with transaction.atomic():
        unexplained = CopyJob.objects.filter(pk=job.pk, qemu_text="", likely_cause="")
        if unexplained.update(**job.saying(likely_cause=guess)) == 1:
            tell(job, guess, actor=SYSTEM, level=Level.WARNING)


def likely(job: CopyJob, evidence: Evidence) -> str:
    """Return the likely cause in a sentence that says that it is one, or ""."""
    guesses = (guess(job, evidence) for guess in _GUESSES)
    return next(filter(None, guesses), "")


def _gone(job: CopyJob, evidence: Evidence) -> str:
    if evidence.destination.exists is not False:
        return ""
    return say(
        "Likely cause: the destination disappeared while the copy ran; there is "
        "nothing at %(destination)s now.",
        destination=job.destination,
    )


def _another_format(job: CopyJob, evidence: Evidence) -> str:
    found = evidence.destination.format
    if not job.reuse_external or found in ("", "raw", job.destination_format):
        return ""
    return say(
        "Likely cause: the destination was declared %(format)s but looks like "
        "%(found)s.",
        format=job.destination_format,
        found=found,
    )


def _another_size(job: CopyJob, evidence: Evidence) -> str:
    found = evidence.destination.capacity
    sliced = job.target_destination.slice_size
    if found is None or job.capacity is None or sliced or found == job.capacity:
        return ""
    if evidence.destination.format not in ("", job.destination_format):
        return ""
    return say(
        "Likely cause: the destination's size (%(found)s bytes) is not the disk's "
        "(%(capacity)s bytes); QEMU wants them equal to the byte.",
        found=found,
        capacity=job.capacity,
    )


def _full(job: CopyJob, evidence: Evidence) -> str:
    place = evidence.directory or evidence.pool
    free = place.available if place else None
    if free is None:
        return ""
    missing = _to_write(job)
    if free >= NEXT_TO_NOTHING and (missing is None or free >= missing):
        return ""
    if not missing:
        return say(
            "Likely cause: the destination's storage was full; %(free)s are free there "
            "now.",
            free=bytes_text(free),
        )
    return say(
        "Likely cause: the destination's storage was full; %(free)s are free there "
        "now, and about %(missing)s were still to come.",
        free=bytes_text(free),
        missing=bytes_text(missing),
    )


def _to_write(job: CopyJob) -> int | None:
    progress = live.progress_of([job.pk]).get(job.pk)
    if progress is None or progress.end <= 1:
        return None
    return max(0, progress.end - progress.current)


def _server(job: CopyJob, evidence: Evidence) -> str:
    if job.destination_kind != "network":
        return ""
    return say(
        "Likely cause: the server behind %(destination)s ended, refused a write, or "
        "could not be reached any more.",
        destination=job.destination,
    )


def _warned(job: CopyJob, evidence: Evidence) -> str:
    warned = [found for found in job.findings if found.get("level") == "warn"]
    if not warned:
        return ""
    cause, said = warned[0]["cause"], warned[0].get("said") or {}
    return say(
        "Likely cause, as was warned before the start: %(warning)s",
        warning=from_json(cause, said.get("cause")),
    )


_Guess = Callable[[CopyJob, Evidence], str]
_GUESSES: tuple[_Guess, ...] = (
    *(_gone, _another_format, _another_size, _full),
    *(_server, _warned),
)
