"""A failed copy's reason and a leftover's removal, through the whole console."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest import MIB, Guest
from lab.host import PrivateHost
from lab.stack import Stack
from tests.integration.stack.running import (
    NEVER_READY,
    cli,
    guest,
    rack,
    stack,
    start,
    until,
    wait_for,
)

__all__ = ["guest", "rack", "stack"]

pytestmark = pytest.mark.integration


def test_the_listener_brings_qemus_reason(
    stack: Stack, guest: Guest, rack: PrivateHost
) -> None:
    """There was room enough when preflight looked."""
    small = rack.directory / f"small-{guest.name}"
    rack.mount_small(small, 96 * MIB)
    job = cli(
        stack,
        *("job", "start", "alder", guest.name, "vda"),
        *("--to", small / "copy.raw", "--format", "raw", *NEVER_READY),
    )
    wait_for(stack, job, "copying")
    rack.fill(small)
    ended = wait_for(stack, job, "failed")
    assert ended["qemu_text"] == "No space left on device"
    assert "storage is full (QEMU: No space left on device)" in ended["failure"]
    assert ended["likely_cause"] == ""


def leftover_of(stack: Stack, job: dict[str, object]) -> dict[str, object]:
    """What a job left, once it is measured."""
    shown = until(
        lambda: cli(stack, "job", "show", str(job["job"]))["leftovers"],
        lambda found: bool(found) and found[0]["measured_at"] is not None,
        30,
    )
    left: dict[str, object] = shown[0]
    return left


def test_a_worker_killed_in_a_removal_removes_it_later(
    stack: Stack, guest: Guest
) -> None:
    job = start(stack, guest, *NEVER_READY)
    wait_for(stack, job, "copying")
    stack.manage("blockcopy", "job", "cancel", str(job["job"]))
    wait_for(stack, job, "cancelled")
    left = leftover_of(stack, job)
    path = Path(str(left["location"]))
    number = str(left["leftover"])
    assert path.exists()
    stack.worker.kill()
    stack.manage("blockcopy", "leftover", "remove", number, "--reason", "ticket 17")
    assert path.exists()
    stack.worker.start()
    gone = until(
        lambda: cli(stack, "leftover", "show", number),
        lambda seen: seen["state"] == "removed" or seen["refusal"],
        60,
    )
    assert (gone["state"], gone["refusal"]) == ("removed", "")
    assert not path.exists()
