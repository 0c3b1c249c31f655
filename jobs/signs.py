"""Celery's own signals become signs of life: see jobs.processes."""

from __future__ import annotations

import socket
from typing import Any

from celery.signals import after_task_publish, heartbeat_sent, worker_shutdown
from django.conf import settings

from jobs.processes import Kind, give_sign, take_back


def connect() -> None:
    """Register the receivers; called once when the app is ready."""
    heartbeat_sent.connect(_worker, dispatch_uid="sign of a worker")
    worker_shutdown.connect(_workers_end, dispatch_uid="end of a worker")
    # Only beat sends ticks, and they are published once the broker has them.
    after_task_publish.connect(
        _beat, sender="jobs.tasks.tick", dispatch_uid="sign of beat"
    )


def _worker(sender: Any, **_: Any) -> None:
    """A worker's consumer is at work: its own timer has come round."""
    give_sign(Kind.WORKER, sender.eventer.hostname, settings.BLOCKCOPY_SITES)


def _workers_end(sender: Any, **_: Any) -> None:
    take_back(Kind.WORKER, sender.hostname)


def _beat(**_: Any) -> None:
    give_sign(Kind.BEAT, socket.gethostname())
