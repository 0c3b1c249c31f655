"""libvirt's event loop: one thread in each process that opens connections.

It must run before the first connection is opened. Without it keepalive does not work,
and a server drops the connection after 30 s while `isAlive` still says 1.
"""

from __future__ import annotations

import os
import threading
import time

import libvirt

_lock = threading.Lock()
_process: int | None = None


def start_event_loop() -> None:
    """Start the loop unless this process has one; never in a fork of one that has.

    A forked child inherits a registered loop without its thread, and can hang on its
    locks for ever; so this raises RuntimeError there.
    """
    global _process
    if _process not in (None, os.getpid()):  # asked before the lock: a fork can hold it
        raise RuntimeError(
            "This process was forked from one that had used libvirt already; start it "
            "afresh, or open the first connection after the fork."
        )
    with _lock:
        if _process is None:
            libvirt.registerErrorHandler(_ignore, None)
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=_run, name="libvirt events", daemon=True).start()
            _process = os.getpid()


def _run() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            time.sleep(0.1)  # a loop that ends would silently end every connection


def _ignore(_context: object, _error: object) -> None:
    """Errors are raised as well; libvirt would also print each to stderr."""
