"""How much is made up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How many there are to be of each; `seed` decides all that is left to chance."""

    hosts: int = 1_000
    domains: int = 20_000
    disks: int = 50_000
    past: int = 200_000
    active: int = 2_000
    entries: int = 1_000_000
    people: int = 40
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what can't be: ValueError with a sentence."""
        for name, count in vars(self).items():
            if count < (name not in ("past", "active", "entries", "seed")):
                raise ValueError(f"There must be more {name}.")
        if not self.hosts <= self.domains <= self.disks:
            raise ValueError(
                "Each host has at least one domain, and each domain at least one disk."
            )
        if self.active * 3 > self.disks:
            raise ValueError("An active copy takes three disks, most of them idle.")
