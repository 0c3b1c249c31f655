"""The first-run checklist: a step is ticked by what is so, not by what was clicked."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from jobs.actor import Actor
from jobs.models import Domain, Host
from jobs.said import say, say_many


@dataclass(frozen=True)
class Step:
    """What to do, where, whether it is done, and one more sentence about it."""

    words: str
    address: str
    done: bool
    hint: str


def first_steps(hosts: dict[str, int], actor: Actor) -> list[Step]:
    """Return the steps to the first copy. `hosts`: how many there are, answer, and
    have been read ("hosts", "answering", "synced"); two queries."""
    first = Host.objects.filter(enabled=True).order_by("last_seen_at", "pk").first()
    page = reverse("host", args=[first.pk]) if first else reverse("hosts")
    may_add = actor.may("jobs.add_host")
    running = Domain.objects.filter(gone_at=None, libvirt_id__isnull=False).count()
    return [
        Step(
            say("Add a libvirt host"),
            reverse("host-add") if may_add else reverse("hosts"),
            hosts["hosts"] > 0,
            say("By the fields of its address: ssh, TLS, or a socket.")
            if may_add
            else say("An administrator does this."),
        ),
        Step(
            say("Test the connection"),
            page,
            hosts["answering"] > 0,
            say(
                "Test connection, on the host’s page, says what is wrong if it is not."
            ),
        ),
        Step(
            say("Sync its inventory"),
            page,
            hosts["synced"] > 0,
            _found(running)
            if hosts["synced"]
            else say(
                "Sync now, on the host’s page; afterwards it is read each minute."
            ),
        ),
        Step(
            say("Start the first copy"),
            reverse("copy-new"),
            False,
            say(
                "Choose a disk of a running domain. Nothing changes for the "
                "guest until somebody pivots."
            ),
        ),
    ]


def _found(running: int) -> str:
    if not running:
        return say("No domain runs there yet; only a running one’s disk can be copied.")
    return say_many(
        "%(count)d running domain found.", "%(count)d running domains found.", running
    )
