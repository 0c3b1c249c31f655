"""The operator: carries out the deeds of the plan over HTTP, and notes what came of it.

Needs Django to be set up: which job is meant, the operator reads in the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

from bench.chaos.browser import Browser, NoAnswer, NotSent, Page
from bench.chaos.ledger import Answer, Asked, Ledger
from bench.chaos.plan import Act, Adopt, Deed, Speed, Start
from bench.chaos.scene import OPERATOR, PASSWORD, Scene, copies_of, make_image
from jobs.console.strangers import Stranger
from jobs.models import CopyJob, Disk
from jobs.strangers import foreign_copies

_JOB = re.compile(r"/jobs/(\d+)/")
_REASON = "chaos"
T = TypeVar("T")


class Operator:
    """Signed in for the whole run. Used by one thread."""

    def __init__(self, scene: Scene, ledger: Ledger) -> None:
        self._scene = scene
        self._ledger = ledger
        self._browser = Browser(scene.stack.port)
        self._browser.sign_in(OPERATOR, PASSWORD)

    def do(self, deed: Deed) -> None:
        """Carry out a deed as far as it is possible just now."""
        match deed:
            case Start():
                self._start(deed)
            case Act():
                self._act(deed)
            case Speed():
                self._speed(deed)
            case Adopt():
                self._adopt(deed)

    def verb(self, job: int, verb: str) -> Answer:
        """Click a verb's button once."""
        answer, _ = self._sent(lambda: self._browser.post(f"/jobs/{job}/{verb}/"))
        self._ledger.note(Asked(verb, job, answer))
        return answer

    def _act(self, act: Act) -> None:
        job = self._one_of_jobs(act.which)
        if job is None:
            return
        # A server that may die takes a guest that was moved to it along.
        finish = act.verb == "pivot" and job.destination_kind == "network"
        for _ in range(1 + act.twice):
            self.verb(job.pk, "finish" if finish else act.verb)

    def _speed(self, speed: Speed) -> None:
        job = self._one_of_jobs(speed.which)
        if job is None:
            return
        fields = [("bandwidth", str(speed.bandwidth))]
        answer, _ = self._sent(
            lambda: self._browser.post(f"/jobs/{job.pk}/speed/", fields)
        )
        asked = Asked("speed", job.pk, answer, bandwidth=speed.bandwidth)
        self._ledger.note(asked)

    def _adopt(self, adopt: Adopt) -> None:
        foreign = [
            disk
            for disk in read(lambda: list(foreign_copies())) or ()
            if not disk.mirror.startswith("nbd:")
        ]
        if not foreign:
            return
        disk = foreign[adopt.which % len(foreign)]
        fields = [("sight", Stranger(disk).sight)]
        answer, page = self._sent(
            lambda: self._browser.post(f"/disks/{disk.pk}/adopt/", fields)
        )
        self._note_new("adopt", answer, page, disk.mirror)

    # -- a new copy --------------------------------------------------------------------

    def _start(self, start: Start) -> None:
        disk = self._free_disk(start)
        if disk is None:
            return
        destination, fields = self._form(start, disk)
        for _ in range(1 + start.twice):
            self._submit(f"/disks/{disk.pk}/copy/", fields, destination)

    def _submit(
        self, path: str, fields: list[tuple[str, str]], destination: str
    ) -> None:
        """As a person would: what the page warns of is read, and accepted."""
        answer, page = self._sent(lambda: self._browser.post(path, fields))
        if page is not None and page.status == 422 and page.warnings:
            accepted = [("accepted", token) for token in page.warnings]
            again = [*fields, *accepted]
            answer, page = self._sent(lambda: self._browser.post(path, again))
        self._note_new("request", answer, page, destination)

    def _note_new(
        self, verb: str, answer: Answer, page: Page | None, destination: str
    ) -> None:
        found = _JOB.search(page.location) if page else None
        if answer == Answer.ACCEPTED and not found:
            answer = Answer.UNKNOWN
        job = int(found[1]) if found else 0
        self._ledger.note(Asked(verb, job, answer, destination))

    def _form(self, start: Start, disk: Disk) -> tuple[str, list[tuple[str, str]]]:
        """Where the copy goes, and what is typed into the form for it."""
        host = self._scene.host_of(disk.domain.name)
        name = f"{disk.domain.name}-{disk.target}-{start.number}"
        policy = start.policy
        typed = {
            "when_ready": policy,
            "granularity": str(start.granularity or ""),
            "bandwidth": str(start.bandwidth or ""),
            "buf_size": "1048576" if start.bandwidth else "",
            "total_limit": str(start.total_limit or ""),
            "at_limit": "cancel",
            "reason": _REASON,
        }
        if start.synchronous:
            typed["synchronous_writes"] = "on"
        format_ = "raw" if start.kind in ("raw", "nbd") else "qcow2"
        path = str(copies_of(host) / f"{name}.{format_}")
        typed |= {"format": format_, "destination_kind": "file", "destination": path}
        match start.kind:
            case "volume":
                path = f"copies/{name}.qcow2"
                typed |= {"destination_kind": "volume", "pool": "copies"}
                typed["volume"] = f"{name}.qcow2"
            case "reuse":
                path = self._prepare(path)
                typed["reuse_external"] = "on"
            case "shallow" if read(disk.chain.count) not in (None, 0, 1):
                typed["shallow"] = "on"
            case "nbd":
                server = self._scene.nbd[start.server]
                path = server.uri
                typed |= {"destination_kind": "network", "protocol": "nbd"}
                typed |= {"servers": f"127.0.0.1:{server.port}", "name": server.export}
                typed["reuse_external"] = "on"
                if policy == "pivot":
                    typed["when_ready"] = "finish"
        return path, [(name, value) for name, value in typed.items() if value]

    def _prepare(self, path: str) -> str:
        make_image_once(path)
        self._ledger.made.add(path)
        return path

    # -- asking ------------------------------------------------------------------------

    def _sent(self, ask: Callable[[], Page]) -> tuple[Answer, Page | None]:
        try:
            page = ask()
        except NotSent:
            return Answer.NOT_SENT, None
        except NoAnswer:
            return Answer.UNKNOWN, None
        if page.location.startswith("/login/"):
            self._browser.sign_in(OPERATOR, PASSWORD)
            return Answer.NOT_SENT, None
        if page.status in (204, 302):
            return Answer.ACCEPTED, page
        if 400 <= page.status < 500:
            return Answer.REFUSED, page
        return Answer.UNKNOWN, page

    def _one_of_jobs(self, which: int) -> CopyJob | None:
        jobs = read(lambda: list(CopyJob.objects.active().order_by("pk")))
        return jobs[which % len(jobs)] if jobs else None

    def _free_disk(self, start: Start) -> Disk | None:
        """The disk of the plan, or one that nothing is copied from just now."""
        rows = Disk.objects.filter(gone_at=None, domain__gone_at=None)
        disks = read(lambda: list(rows.select_related("domain__host").order_by("pk")))
        active = CopyJob.objects.active().values_list("domain_name", "disk")
        busy = read(lambda: set(active))
        if not disks or busy is None:
            return None
        wanted = start.place.guest, start.place.target
        free = [
            disk
            for disk in disks
            if (disk.domain.name, disk.target) not in busy and not disk.mirror
        ]
        named = [disk for disk in disks if (disk.domain.name, disk.target) == wanted]
        chosen = [disk for disk in named if disk in free] or free or named
        return chosen[start.number % len(chosen)] if chosen else None


def read(question: Callable[[], T]) -> T | None:
    """The database's answer; None while it is away."""
    try:
        return question()
    except (DatabaseError, InterfaceError):
        connection.close()
        return None


def make_image_once(path: str) -> None:
    """For a copy that reuses it; the second click of two finds it there."""
    if not Path(path).exists():
        make_image(Path(path), "qcow2")
