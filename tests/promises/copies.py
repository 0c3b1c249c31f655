"""Are the destinations what the jobs say?"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.promises.kinds import Broken, Kind
from tests.promises.rows import Database, Job


def judge(
    database: Database, idle: Collection[str], unseen: Collection[str]
) -> Iterator[Broken]:
    """Files can be read; those of the domains in `idle` hold what their sources hold.

    `unseen` are destinations that can't be judged: damaged, or not there for us.
    """
    newest = {job.destination: job for job in database.jobs.values()}
    for job in database.jobs.values():
        done = job.state in ("copied", "pivoted")
        is_file = job.destination_kind in ("file", "volume")
        if not done or not is_file or newest[job.destination] is not job:
            continue
        if job.destination in unseen or job.destination_format not in ("raw", "qcow2"):
            continue
        yield from _judge(job, idle=job.domain in idle)


def _judge(job: Job, *, idle: bool) -> Iterator[Broken]:
    if not Path(job.destination).exists():
        yield Broken(Kind.COPY, job.pk, f"it is {job.state}, the file is not there")
        return
    if job.state == "copied" and job.destination_format == "qcow2":
        words = _failed("check", "-f", "qcow2", job.destination)
        if words:
            yield Broken(Kind.COPY, job.pk, f"it is copied: {words}")
    if idle and Path(job.source).exists():
        formats = ("-f", job.source_format, "-F", job.destination_format)
        words = _failed("compare", *formats, job.source, job.destination)
        if words:
            yield Broken(Kind.COPY, job.pk, f"it is {job.state}: {words}")


def _failed(verb: str, *words: str) -> str:
    """Why a command of qemu-img fails, on one line; "" if it does not."""
    command = ["qemu-img", verb, "--force-share", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return " ".join((done.stdout + done.stderr).split())
