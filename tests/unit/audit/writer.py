"""What a process does that writes as the workers do; `main` takes it and a number.

migrate   make the tables and a few jobs
move N    N times: move a job there and back, each move with its audit entry
mixed N   N transactions that append first and change jobs after it, in any order
"""

from __future__ import annotations

import os
import random
import sys

from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from jobs import audit, transition
from jobs.actor import SYSTEM
from jobs.lifecycle import State
from jobs.models import CopyJob, Domain, Host, Site

JOBS = 4
DONE = audit.Outcome.DONE
UUID = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"
NOW = {"uuid": UUID, "state": "running", "seen_at": timezone.now()}


def migrate(_: int) -> None:
    call_command("migrate", verbosity=0)
    host = Host.objects.create(
        name="alder", site=Site.objects.get(), transport="local", enabled=False
    )
    domain = Domain.objects.create(host=host, name="web", persistent=True, **NOW)
    for number in range(JOBS):
        CopyJob.objects.create(
            host=host,
            domain=domain,
            host_name="alder",
            domain_name="web",
            domain_uuid=UUID,
            disk=f"vd{'abcd'[number]}",
            source="/a",
            destination=f"/b{number}",
            destination_format="qcow2",
            destination_xml="<disk/>",
            requested_by_name="olga",
            state=State.MIRRORING,
        )


def move(count: int) -> None:
    """Move jobs to and fro; who comes second to one changes nothing."""
    moved = 0
    while moved < count:
        job = CopyJob.objects.order_by("?")[0]
        new = State.MIRRORING if job.state == State.PIVOTING else State.PIVOTING
        moved += transition.move(
            job,
            new,
            "to and fro",
            actor=SYSTEM,
            audited={"action": "move", "outcome": DONE},
        )


def mixed(count: int) -> None:
    """Append between changes of several jobs: what a careless caller might do.

    The jobs are changed in one order, as everywhere; only the entries come between.
    """
    for _ in range(count):
        with transaction.atomic():
            audit.record(SYSTEM, "before", None, DONE)
            for pk in sorted(random.sample(range(1, JOBS + 1), 2)):
                CopyJob.objects.filter(pk=pk).update(failure=str(os.getpid()))
                audit.record(SYSTEM, "between", None, DONE)


def main() -> None:
    """Do what the command line says."""
    {"migrate": migrate, "move": move, "mixed": mixed}[sys.argv[1]](int(sys.argv[2]))
