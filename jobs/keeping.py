"""Keeping what grows: the audit log's end is noted elsewhere, and daily it is verified;
the samples of long copies are thinned."""

from __future__ import annotations

from pathlib import Path

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from blockcopy_web.celery import ENGINE_QUEUE
from jobs import audit, live
from jobs.actor import SYSTEM
from jobs.audit import checkpoints, webhook
from jobs.audit.chain import Keyring, Link
from jobs.audit.checkpoints import Checkpoint, checkpoint
from jobs.audit.log import checkpoint_file, verify_and_remember
from jobs.audit.sealing import keyring, newest

log = structlog.get_logger(__name__)

DAY = 86_400
MINUTE = 60
WRITTEN = "blockcopy:audit:checkpoint"  # Redis: number of the last checkpoint
SHORTER = "the audit log is shorter than it was: its end was cut off"


def tend() -> None:
    """Once a second: sign, write a checkpoint, have the log verified, where due."""
    end = newest()
    if end is None:
        return
    keys = keyring()
    _begin_to_sign(end, keys)
    if _due(end):
        tell(checkpoint(end, keys))
    if live.first_to_ask("audit verification", seconds=DAY):
        _send("verify_audit")


def tend_samples() -> None:
    """Once a second: have the samples of long copies thinned, each minute."""
    if live.first_to_ask("thinning of samples", seconds=MINUTE):
        _send("thin_samples")


def _begin_to_sign(end: Link, keys: Keyring) -> None:
    """Sign a first entry when there is a key, so that from then on none may lack it."""
    if keys.current and not end.key and live.first_to_ask("audit key", seconds=60):
        detail = f"Entries are signed from here on, with the key {keys.current}."
        audit.record(SYSTEM, "sign audit log", None, audit.Outcome.DONE, detail=detail)


def _due(end: Link) -> bool:
    """Tell whether a checkpoint is due, by the number of new entries and by time."""
    written = int(live.client().get(WRITTEN) or 0)
    if end.number == written:
        return False
    if end.number < written:
        _alarm(end.number, written)
        return False
    enough = end.number - written >= settings.BLOCKCOPY_AUDIT_CHECKPOINT_ENTRIES
    seconds = settings.BLOCKCOPY_AUDIT_CHECKPOINT_SECONDS
    return enough or live.first_to_ask("audit checkpoint", seconds=seconds)


def _alarm(now: int, known: int) -> None:
    if live.first_to_ask("audit alarm", seconds=60):
        log.error(SHORTER, newest=now, checkpoint=known)


def tell(made: Checkpoint) -> None:
    """Write a checkpoint to the log stream, the file and the web address."""
    live.client().set(WRITTEN, made.number)
    log.info("audit checkpoint", **made.fields, mac=made.mac)
    path = checkpoint_file()
    if path is not None:
        _write(path, made)
    if settings.BLOCKCOPY_AUDIT_WEBHOOK:
        _send("post_checkpoint", made.line)


def _write(path: Path, made: Checkpoint) -> None:
    try:
        if checkpoints.append(path, made):
            return
        known, end = checkpoints.newest(path), newest()
    except OSError as error:
        log.error("checkpoint not written", path=str(path), error=str(error))
        return
    # Either another worker was first, or the log is not what it was.
    if known is not None and end is not None and end.number < known.number:
        _alarm(end.number, known.number)


def _send(task: str, *args: object) -> None:
    try:
        current_app.send_task(
            f"jobs.tasks.{task}",
            args=args,
            queue=ENGINE_QUEUE,
            expires=300,
            retry=False,
        )
    except OperationalError as error:
        log.warning("broker did not answer", task=task, error=str(error))


def post(line: str) -> None:
    """Send a checkpoint to the web address of the settings; NotSent if that fails."""
    if settings.BLOCKCOPY_AUDIT_WEBHOOK:
        webhook.post(settings.BLOCKCOPY_AUDIT_WEBHOOK, line)


def verify() -> None:
    """Verify the log and remember what was found; loud if it is not whole."""
    with live.exclusively("audit verification") as mine:
        if not mine:
            return
        found = verify_and_remember()
    if not found.intact:
        log.error("the audit log is not whole", found=found.sentence)
