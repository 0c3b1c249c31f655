"""Where a new copy is suggested to go: a place that is free, with room that is nobody
else's yet."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from jobs.console.pools import ShownPool
from jobs.console.storage import (
    EXTENSIONS,
    known_locations,
    plain,
    pool_of,
    takes_files,
    takes_volumes,
)
from jobs.models import Disk, StoragePool
from jobs.preflight import DEVICE_POOLS


@dataclass(frozen=True)
class Suggested:
    """A path, and the names of a pool and a volume; empty texts without a place."""

    destination: str = ""
    pool: str = ""
    volume: str = ""


def suggested(
    disk: Disk, pools: Sequence[ShownPool], file_format: str, today: date
) -> Suggested:
    """Return places for a copy of `disk` that nothing known uses; one query.

    The file beside the source while its pool has room for the disk's capacity, or lies
    in none; else in the file pool with the most room. The volume in the source's own
    pool while that has room, else in the roomiest one.
    """
    directory, pool = _directory(disk, pools), _pool(disk, pools)
    beside = posixpath.join(directory, _stem(disk, today)) if directory else ""
    inside = posixpath.join(pool.path or "/", _stem(disk, today)) if pool else ""
    stems = {beside, inside} - {""}
    taken = known_locations(disk.domain.host, stems) if stems else set()
    ending = EXTENSIONS[file_format]
    return Suggested(
        destination=_free_name(beside, ending, taken) if beside else "",
        pool=pool.name if pool else "",
        volume=posixpath.basename(_free_name(inside, ending, taken)) if pool else "",
    )


def _pool(disk: Disk, pools: Iterable[ShownPool]) -> StoragePool | None:
    usable = [each for each in pools if takes_volumes(each.pool)]
    own = _own(disk, usable)
    chosen = own if own and _fits(disk, own) else roomiest([disk], usable)
    return chosen.pool if chosen else None


def _directory(disk: Disk, pools: Sequence[ShownPool]) -> str:
    beside = posixpath.dirname(disk.source) if disk.source_kind == "file" else ""
    own = _own(disk, pools)
    if beside and (own is None or _fits(disk, own)):
        return beside
    usable = [each for each in pools if takes_files(each.pool) and each.pool.path]
    chosen = roomiest([disk], usable)
    return chosen.pool.path if chosen else ""


def _stem(disk: Disk, today: date) -> str:
    return f"{plain(disk.domain.name)}-{plain(disk.target)}-{today:%Y%m%d}"


def _free_name(stem: str, extension: str, taken: set[str]) -> str:
    number, path = 1, f"{stem}.{extension}"
    while path in taken:
        number += 1
        path = f"{stem}-{number}.{extension}"
    return path


# --- Room ---------------------------------------------------------------------------


def roomiest(disks: Sequence[Disk], pools: Iterable[ShownPool]) -> ShownPool | None:
    """Return the pool with the most room for copies of all of `disks`.

    None where no pool has what they need at least: preflight would stop them there.
    """
    able = [each for each in pools if _can_begin(disks, each)]
    return max(able, key=lambda each: each.room, default=None)


def _own(disk: Disk, pools: Iterable[ShownPool]) -> ShownPool | None:
    by_pool = {each.pool: each for each in pools}
    own = pool_of(disk.source, by_pool)
    return by_pool[own] if own else None


def _fits(disk: Disk, shown: ShownPool) -> bool:
    return (disk.capacity or 0) <= shown.room


def _can_begin(disks: Sequence[Disk], shown: ShownPool) -> bool:
    thick = shown.pool.kind in DEVICE_POOLS
    needed = sum((disk.capacity if thick else disk.allocation) or 0 for disk in disks)
    return needed <= shown.pool.available - shown.least
