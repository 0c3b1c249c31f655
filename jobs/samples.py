"""Samples of how far copies are, for their charts: taken, thinned, read.

They are written each ten seconds, and once a copy's limit is another one; one statement
for a whole host. Losing Redis or a worker loses one sample at most, and nothing rests
on them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, OuterRef, Q, Subquery
from django.utils import timezone

from jobs import live
from jobs.hypervisor import Hypervisor, Progress
from jobs.lifecycle import ACTIVE
from jobs.models import CopyJob, Host, JobSample

EVERY_SECONDS = 10.0
# For what the guests of a host together may take to tell what they write.
WRITES_SECONDS = 0.3
# A job keeps at most so many samples: more are thinned to KEPT, its NEWEST untouched.
MOST = 720
KEPT = 600
NEWEST = 60
# So many jobs are thinned at once.
JOBS_AT_ONCE = 50
DROPS_AT_ONCE = 500
# An ended job may have some samples too many, from its last minutes.
LATELY = timedelta(hours=1)


# --- Taking ------------------------------------------------------------------------


def take(
    hypervisor: Hypervisor,
    host: Host,
    jobs: Collection[CopyJob],
    seen: Mapping[int, Progress],
    limited_anew: Collection[int] = (),
) -> None:
    """Write a sample of each of `jobs` that was `seen`, when it is time for this host;
    at once of those that are `limited_anew`, for their charts to say since when.

    `seen` is of guests that have just answered: the others are not asked.
    """
    # libvirt says 0 of 0, or 1 of 1, while it knows nothing yet.
    telling = [job for job in jobs if job.pk in seen and seen[job.pk].end > 1]
    # Half a second less: the sweep comes each second and must not miss its turn.
    due = telling and live.first_to_ask(f"samples:{host.pk}", EVERY_SECONDS - 0.5)
    taken = telling if due else [job for job in telling if job.pk in limited_anew]
    if not taken:
        return
    now = timezone.now()
    uuids = {job.domain_uuid for job in taken}
    written = hypervisor.writes_many(uuids, WRITES_SECONDS)
    insert(
        JobSample(
            job=job,
            at=now,
            current=seen[job.pk].current,
            end=seen[job.pk].end,
            bandwidth=seen[job.pk].bandwidth,
            written=written.get(job.domain_uuid, {}).get(job.disk),
        )
        for job in taken
    )


def insert(samples: Iterable[JobSample]) -> None:
    """Write samples in one statement, however many there are.

    `bulk_create` needs one for each 166 of them on SQLite.
    """
    fields = [
        field for field in JobSample._meta.concrete_fields if not field.primary_key
    ]
    quoted = connection.ops.quote_name
    table = quoted(JobSample._meta.db_table)
    columns = ", ".join(quoted(str(field.column)) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    rows = [
        [
            field.get_db_prep_save(getattr(sample, field.attname), connection)
            for field in fields
        ]
        for sample in samples
    ]
    with connection.cursor() as cursor:
        # Names from the model, values apart.
        cursor.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
            rows,
        )


# --- Thinning ----------------------------------------------------------------------


def thin() -> None:
    """Thin the samples of jobs that have very many, evenly over their time."""
    now = timezone.now()
    growing = Q(state__in=ACTIVE) | Q(ended_at__gte=now - LATELY)
    many = (
        CopyJob.objects.filter(growing)
        .annotate(count=Count("samples"))
        .filter(count__gt=MOST)
        .order_by("pk")[:JOBS_AT_ONCE]
    )
    for job in many:
        _thin(job)


def _thin(job: CopyJob) -> None:
    samples = list(JobSample.objects.filter(job=job).values_list("pk", "at"))
    times = [at for _, at in samples]
    surplus = to_thin(times, job.ready_at)
    JobSample.objects.filter(pk__in=[samples[number][0] for number in surplus]).delete()


def to_thin(times: Sequence[datetime], ready_at: datetime | None = None) -> list[int]:
    """Return which of the samples taken at `times`, in order, are dropped.

    None for up to MOST. Otherwise those that are nearest to their neighbours, until
    KEPT are left or DROPS_AT_ONCE are found; the first, the first since `ready_at` and
    the NEWEST stay in any case.
    """
    if len(times) <= MOST:
        return []
    clock = [at.timestamp() for at in times]
    first_ready = _first_since(times, ready_at)
    left = list(range(len(times)))
    dropped: list[int] = []
    while len(left) > KEPT and len(dropped) < DROPS_AT_ONCE:
        crowded = min(
            (
                place
                for place in range(1, len(left) - NEWEST)
                if left[place] != first_ready
            ),
            key=lambda place: clock[left[place + 1]] - clock[left[place - 1]],
        )
        dropped.append(left.pop(crowded))
    return dropped


def _first_since(times: Sequence[datetime], moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return next((number for number, at in enumerate(times) if at >= moment), None)


# --- Reading -----------------------------------------------------------------------


def ready_ends(jobs: Collection[CopyJob]) -> dict[int, int]:
    """Return `end` of each job's first sample since it was ready; one query.

    What `end` grew by since then is what the mirror has carried.
    """
    ready = [job.pk for job in jobs if job.ready_at is not None]
    if not ready:
        return {}
    first = JobSample.objects.filter(
        job=OuterRef("pk"), at__gte=OuterRef("ready_at")
    ).order_by("at")
    found = CopyJob.objects.filter(pk__in=ready).values_list(
        "pk", Subquery(first.values("end")[:1])
    )
    return {pk: end for pk, end in found if end is not None}
