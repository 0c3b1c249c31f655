"""Every destination against its source, and every file against the console's ledger."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from django.db.models import Q

from bench.chaos.ledger import Ledger
from bench.chaos.promises import Break, Promise
from bench.chaos.scene import FILLED, SPAN, Scene, copies_of
from jobs.lifecycle import ENDED, State
from jobs.models import CopyJob, Leftover
from lab.bootsector import lost_blocks, written_blocks
from lab.host import PrivateHost

# A file younger than this may belong to a copy that is just being begun.
YOUNG_SECONDS = 20.0
_FILLING = b"\xa5" * FILLED


class Images:
    """Judges the copies that have ended since the last time, and clears up."""

    def __init__(self, scene: Scene, ledger: Ledger) -> None:
        self._scene = scene
        self._ledger = ledger
        self._judged: set[int] = set()
        self.compared = 0
        self.removed = 0

    def judge(self) -> list[Break]:
        """Compare what was copied; then account for each file that nothing needs."""
        breaks: list[Break] = []
        for job in CopyJob.objects.filter(state__in=ENDED).order_by("pk"):
            if job.pk not in self._judged:
                self._judged.add(job.pk)
                breaks += self._judge(job)
        return [*breaks, *self._clear_up()]

    # -- copies ------------------------------------------------------------------------

    def _judge(self, job: CopyJob) -> Iterator[Break]:
        wrong = ""
        if job.state == State.COPIED and not self._overwritten(job):
            wrong = self._compare(job) if self._idle(job) else self._examine(job)
        elif job.state == State.PIVOTED and self._idle(job):
            wrong = self._compare(job)
        if wrong:
            yield Break(Promise.EQUAL, job.pk, f"{job.state}: {wrong}")

    def _overwritten(self, job: CopyJob) -> bool:
        """Whether a later copy went to the same place: an NBD server's is reused."""
        later = CopyJob.objects.filter(destination=job.destination, pk__gt=job.pk)
        return later.exclude(libvirt_id=None).exists()

    def _idle(self, job: CopyJob) -> bool:
        return not self._scene.plan_of(job.domain_name).writing

    def _place(self, job: CopyJob) -> str:
        for number, server in enumerate(self._scene.nbd):
            if job.destination == server.uri:
                return str(self._scene.directory / f"nbd-{number}" / "export.raw")
        return job.destination

    def _compare(self, job: CopyJob) -> str:
        self.compared += 1
        command = ["qemu-img", "compare", "-U", "-f", job.source_format]
        command += ["-F", job.destination_format, job.source, self._place(job)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
        said = (done.stdout + done.stderr).strip()
        return f"{job.source} and {job.destination} differ: {said}"

    def _examine(self, job: CopyJob) -> str:
        """A copy of a disk that is written to: as it was at one moment."""
        self.compared += 1
        undisturbed = job.domain_name not in self._ledger.disturbed
        with tempfile.TemporaryDirectory(dir=self._scene.directory) as folder:
            raw = Path(folder) / "copy.raw"
            said = to_raw(self._place(job), job.destination_format, raw)
            return said or whole(raw, gapless=undisturbed)

    # -- files -------------------------------------------------------------------------

    def _clear_up(self) -> Iterator[Break]:
        """Remove what nothing needs any more, so that a long run has room."""
        for host in self._scene.hosts.values():
            needed = self._needed(host)
            for path in copies_of(host).iterdir():
                young = time.time() - path.stat().st_ctime < YOUNG_SECONDS
                if young or str(path) in needed or path.name in needed:
                    continue
                if not self._accounted(host, path):
                    sentence = f"{path} is in no ledger"
                    yield Break(Promise.LEFTOVERS, 0, sentence)
                path.unlink(missing_ok=True)
                self.removed += 1

    def _needed(self, host: PrivateHost) -> set[str]:
        unjudged = ~Q(pk__in=self._judged)
        needed: set[str] = set()
        for job in CopyJob.objects.filter(unjudged, host_name=host.name):
            needed |= {job.source, job.destination, Path(job.destination).name}
        folders = (
            host.socket.parent / "qemu/run",
            host.directory / "config/libvirt/qemu",
        )
        texts = [p.read_text() for folder in folders for p in folder.glob("*.xml")]
        named = {
            str(path)
            for path in copies_of(host).iterdir()
            if any(str(path) in text for text in texts)
        }
        return needed | named

    def _accounted(self, host: PrivateHost, path: Path) -> bool:
        strange = {each.destination for each in self._ledger.strange}
        if str(path) in self._ledger.made | self._ledger.abandoned | strange:
            return True
        rows = Leftover.objects.filter(host_name=host.name, location=str(path))
        return rows.exists()


def to_raw(path: str, format_: str, raw: Path) -> str:
    """Convert an image, also one in use; return what went wrong."""
    command = ["qemu-img", "convert", "-U", "-f", format_, "-O", "raw", path, str(raw)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"can't be read: {done.stderr.strip()}"


def whole(raw: Path, *, gapless: bool) -> str:
    """What is wrong with the image of a writing guest.

    `gapless`: the guest wrote from its one and only start on, and nobody pulled its
    plug, so no block may be missing or torn.
    """
    with raw.open("rb") as image:
        image.seek(-FILLED, 2)
        if image.read() != _FILLING:
            return "the filling at its end is damaged"
    try:
        found = written_blocks(raw, SPAN)
    except ValueError as error:
        return str(error) if gapless else ""
    if not any(number is not None for number in found):
        return "nothing that the guest wrote is in it"
    lost = lost_blocks(raw, SPAN) if gapless else []
    return f"{len(lost)} blocks that the guest wrote are missing" if lost else ""
