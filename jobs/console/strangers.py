"""Copies that were begun elsewhere, as pages show them: what they are, and whether this
reader may adopt them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jobs.actions import stranger_why_not
from jobs.actor import Actor
from jobs.models import Disk
from jobs.said import say

# libvirt's names for block jobs that show a mirror.
_KINDS = {
    "": say("block copy"),
    "copy": say("block copy"),
    "active-commit": say("active commit"),
}


@dataclass(frozen=True)
class Stranger:
    """A disk with a block job that is none of ours."""

    disk: Disk
    why_not: str = ""

    @property
    def what(self) -> str:
        """Say what kind of block job it is."""
        return _KINDS.get(self.disk.mirror_job, self.disk.mirror_job)

    @property
    def sight(self) -> str:
        """Return what stands for what is seen now: another copy has another one.

        A digest, since a place may hold what a form would not send back unchanged.
        """
        seen = f"{self.disk.domain.libvirt_id} {self.disk.mirror}"
        return sha256(seen.encode(errors="surrogateescape")).hexdigest()[:16]


def show_strangers(disks: Iterable[Any], actor: Actor) -> list[Stranger]:
    """Return `foreign_copies` with why each can't be adopted; no further queries."""
    return [
        Stranger(disk, stranger_why_not(disk, disk.active_job, actor)) for disk in disks
    ]
