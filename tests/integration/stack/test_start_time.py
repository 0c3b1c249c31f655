"""A copy that is to start at a time, through the running console on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lab.guest import Guest
from lab.stack import Stack
from tests.integration.stack.running import (
    cli,
    guest,
    rack,
    show,
    stack,
    start,
    wait_for,
)

__all__ = ["guest", "rack", "stack"]


# More than a command line takes on a busy machine.
SOON, LATER = timedelta(seconds=30), timedelta(hours=1)


def at(ahead: timedelta) -> str:
    """Return what `--at` takes for a time that is so far ahead."""
    return (datetime.now(UTC) + ahead).isoformat()


def test_not_before_and_then_once(stack: Stack, guest: Guest) -> None:
    job = start(stack, guest, "--at", at(SOON))
    assert (job["state"], job["start_at"] is not None) == ("requested", True)
    assert guest.host.virsh("blockjob", guest.name, "vda", "--info").strip() in (
        "",
        "No current block job for vda",
    )
    ready = wait_for(stack, job, "mirroring", timeout=90)
    assert ready["started_at"] >= ready["start_at"]
    begun = [event["new_state"] for event in ready["events"]].count("starting")
    told = [entry["outcome"] for entry in entries(stack, job, "start")]
    assert (begun, sorted(told)) == (1, ["asked", "done"])
    assert ready["disk_xml"].keys() == {"before"}
    assert str(guest.disks[0].path) in ready["disk_xml"]["before"]
    pivoted = cli(stack, "job", "pivot", str(job["job"]), "--wait")
    assert pivoted["state"] == "pivoted"
    assert pivoted["destination"] in show(stack, job)["disk_xml"]["after"]


def test_now_after_all(stack: Stack, guest: Guest) -> None:
    job = start(stack, guest, "--at", at(LATER))
    cli(stack, "job", "start-now", str(job["job"]), "--wait", "--timeout", "60")
    assert show(stack, job)["state"] == "mirroring"
    cli(stack, "job", "cancel", str(job["job"]), "--wait")


def test_what_changed_until_then_stops_it(stack: Stack, guest: Guest) -> None:
    job = start(stack, guest, "--at", at(SOON))
    taken = guest.host.images / f"{guest.name}-copy.qcow2"
    taken.write_bytes(b"dear to somebody")
    failed = wait_for(stack, job, "failed", timeout=90)
    assert str(taken) in failed["failure"]
    assert taken.read_bytes() == b"dear to somebody"
    taken.unlink()


def entries(stack: Stack, job: dict[str, object], action: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = cli(
        stack, "audit", "list", "--job", str(job["job"]), "--action", action
    )
    return found
