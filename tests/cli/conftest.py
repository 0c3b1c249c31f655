"""Running `manage.py blockcopy …` in this process, as the shell would."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from jobs import checks
from jobs.commandline.waiting import WakeUps
from jobs.lifecycle import State
from jobs.management.commands.blockcopy import Command
from jobs.models import CopyJob, Disk, Host, Leftover
from jobs.preflight import Finding
from tests.cli.copies import TO


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value that standard output holds, and nothing else."""
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def blockcopy(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run one command line; also checks that no traceback is shown."""
    # A command closes its connections at its end; the test still needs its own.
    monkeypatch.setattr(connections, "close_all", lambda: None)

    def run(*words: object) -> Result:
        argv = ["manage.py", "blockcopy", *map(str, words)]
        monkeypatch.setattr(sys, "argv", argv)
        capsys.readouterr()
        status = 0
        try:
            Command().run_from_argv(argv)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Result(status, said.out, said.err)

    return run


Script = Callable[..., None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Take a step of the script each time that a command waits.

    A command that still waits after the last step fails the test.
    """

    def play(*steps: Callable[[], object]) -> None:
        left = list(steps)

        def wait(self: WakeUps, seconds: float) -> None:
            assert left, "the command waits for what does not come"
            left.pop(0)()

        monkeypatch.setattr(WakeUps, "wait", wait)

    return play


Says = Callable[..., None]


@pytest.fixture(autouse=True)
def host_says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Be the worker that checks copies; at first its host has nothing to say.

    `found` is the format of what lies at the destination. With None no worker answers.
    """
    said: list[tuple[list[Finding], str] | None] = [([], "")]

    def worker(host: Host, key: str, request: Any) -> None:
        if said[-1] is not None:
            checks.keep(key, *said[-1])

    monkeypatch.setattr("jobs.dispatch.check_copy", worker)

    def say(*findings: Finding | None, found: str = "") -> None:
        told = [finding for finding in findings if finding is not None]
        said.append((told, found) if len(told) == len(findings) else None)

    return say


@pytest.fixture
def job(disk: Disk) -> CopyJob:
    """A job that copies."""
    return CopyJob.objects.create(
        host=disk.domain.host,
        domain=disk.domain,
        host_name="alder",
        domain_name="web",
        domain_uuid=disk.domain.uuid,
        disk="vda",
        source=disk.source,
        destination=TO,
        destination_format="qcow2",
        destination_xml="<disk/>",
        requested_by_name="olga",
        capacity=disk.capacity,
        state=State.COPYING,
        libvirt_id=7,
        started_at=timezone.now(),
    )


@pytest.fixture
def leftover(job: CopyJob) -> Leftover:
    """What a job that ended left behind, as measured since."""
    CopyJob.objects.update(state=State.CANCELLED, ended_at=timezone.now())
    job.refresh_from_db()
    return Leftover.objects.create(
        host=job.host,
        job=job,
        host_name="alder",
        domain_name=job.domain_name,
        kind=Leftover.Kind.PARTIAL,
        location=TO,
        storage_kind="file",
        bytes=3 * 2**30,
        measured_at=timezone.now(),
    )
