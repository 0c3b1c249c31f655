"""What the styleguide shows: parts of the pages with made-up contents, none of it kept.

Each specimen goes through the very templates and classes that the pages use, so that
what looks right here looks right there.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from jobs.actor import Actor
from jobs.console.chart import Chart, draw
from jobs.console.shown import ShownJob
from jobs.console.verdict import ShownFinding, Verdict
from jobs.lifecycle import ENDED, ON_HOST, State, WhenReady
from jobs.live import LiveProgress
from jobs.models import AuditEntry, CopyJob, Domain, Host, JobSample, StoragePool
from jobs.preflight import Finding, Level
from jobs.processes import Kind, Process

GIB = 2**30
FAMILIES = ("neutral", "blue", "violet", "green", "teal", "red", "orange")
SURFACES = (
    *("ground", "surface", "sunken", "line", "line-strong"),
    *("text", "muted", "accent", "accent-text", "accent-soft"),
)
BUTTONS = ("btn-primary", "btn-quiet", "btn-danger")
NOTES = ("", "note-info", "note-good", "note-warn", "note-bad")
TOASTS = ("toast-good", "toast-decide", "toast-bad")
# Names as people, or their enemies, give them: each is text, wherever it is shown.
NAMES = (
    "orders-db",
    "web-1",
    "a-name-of-a-virtual-machine-that-somebody-made-up-from-a-ticket-and-its-date",
    "<img src=x onerror=alert(1)>",
    "\u202egnirts a fo dne eht\u202c",
    "база данных 🗄️",
)


def specimens(actor: Actor) -> dict[str, Any]:
    """Return the styleguide's context, as `actor` sees it."""
    jobs = [_job(number, state) for number, state in enumerate(State)]
    rows = [_shown(job, actor) for job in jobs]
    return {
        "families": FAMILIES,
        "surfaces": SURFACES,
        "states": list(State),
        "buttons": BUTTONS,
        "notes": NOTES,
        "toasts": TOASTS,
        "outcomes": list(AuditEntry.Outcome),
        "domain_states": ("running", "paused", "shutoff", "crashed"),
        "hosts": _hosts(),
        "processes": _processes(),
        "pools": [_pool("fast", 31), _pool("images", 82), _pool("archive", 97)],
        "rows": rows,
        "waiting": _waiting(actor),
        "held": next(row for row in rows if row.state == State.MIRRORING),
        "chart": _chart(),
        "verdict": _verdict(),
    }


def _hosts() -> list[Host]:
    now = timezone.now()
    return [
        Host(pk=1, name="alder", last_seen_at=now),
        Host(pk=2, name="birch", error="refused", error_at=now),
        Host(pk=3, name="cedar"),
        Host(pk=4, name="dogwood", enabled=False),
    ]


def _processes() -> list[Process]:
    now = time.time()
    return [
        Process(Kind.WORKER, "Worker", alive=True, at=now - 2, count=2),
        Process(Kind.BEAT, "Beat", alive=False, at=now - 300),
        Process(Kind.LISTENER, "Listener", alive=None),
    ]


def _pool(name: str, used: int) -> StoragePool:
    return StoragePool(
        name=name, capacity=100 * GIB, available=(100 - used) * GIB, allocation=0
    )


def _job(number: int, state: State) -> CopyJob:
    asked = timezone.now() - timedelta(minutes=11, seconds=7 * number)
    started, ready = asked + timedelta(seconds=2), asked + timedelta(minutes=4)
    was_ready = state in (
        *(State.MIRRORING, State.PIVOTING, State.FINISHING),
        *(State.PIVOTED, State.COPIED),
    )
    name = NAMES[number % len(NAMES)]
    silent = state == State.STARTING
    seen = asked if silent else timezone.now()
    host = Host(pk=1, name="alder", last_seen_at=seen, error="silent" * silent)
    return CopyJob(
        pk=1000 + number,
        host=host,
        domain=Domain(pk=1, host=host, name=name),
        host_name=host.name,
        domain_name=name,
        disk="vda",
        state=state,
        when_ready=WhenReady.WAIT,
        source="/srv/images/orders-db.qcow2",
        source_format="qcow2",
        destination="/srv/fast/somewhere-deep/below/orders-db-20261126.qcow2",
        destination_format="qcow2",
        capacity=40 * GIB,
        requested_by_name="olga",
        requested_at=asked,
        start_at=asked + timedelta(hours=4) if state == State.REQUESTED else None,
        started_at=None if state in (State.REQUESTED, State.QUEUED) else started,
        ready_at=ready if was_ready else None,
        ended_at=ready + timedelta(minutes=3) if state in ENDED else None,
    )


def _shown(job: CopyJob, actor: Actor) -> ShownJob:
    if job.state not in ON_HOST:
        return ShownJob(job, None, actor)
    now = time.time()
    done = 40 * GIB if job.ready_at else 17 * GIB
    progress = LiveProgress(
        current=done, end=40 * GIB, bandwidth=0, rate=212e6, at=now - 1, rose_at=now
    )
    return ShownJob(job, progress, actor, ready_end=39 * GIB)


def _waiting(actor: Actor) -> list[ShownJob]:
    """A short name in sync for minutes, and a long one for days."""
    jobs = [_job(number, State.MIRRORING) for number in (19, 20)]
    jobs[1].ready_at = timezone.now() - timedelta(days=2, hours=3, minutes=4)
    return [_shown(job, actor) for job in jobs]


def _chart() -> Chart | None:
    began = timezone.now() - timedelta(minutes=10)
    return draw([_sample(began, number) for number in range(60)], began)


def _sample(began: datetime, number: int) -> JobSample:
    return JobSample(
        at=began + timedelta(seconds=10 * number),
        current=number * (600 - 4 * number) * 2**20,
        end=22 * GIB + number * 40 * 2**20,
        bandwidth=0,
        written=number * 40 * 2**20 + (number % 7) * 2**20,
    )


def _verdict() -> Verdict:
    findings = (
        Finding(
            "there_is_room",
            Level.STOP,
            "The pool fast has 3 GiB free.",
            "Choose another.",
        ),
        Finding(
            "sparse_stays_sparse",
            Level.WARN,
            "A raw copy is not sparse there.",
            "Take qcow2.",
        ),
        Finding(
            "guest_can_do_less", Level.NOTICE, "No snapshot until the job ends.", ""
        ),
        Finding("host_answers", Level.PASS, "alder answers.", ""),
    )
    return Verdict(tuple(ShownFinding(each, "", each.rule, False) for each in findings))
