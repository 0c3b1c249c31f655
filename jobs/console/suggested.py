"""Where a new copy is suggested to go: a place that is free, with room that is nobody
else's yet."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
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
from jobs.models import Disk
from jobs.preflight import DEVICE_POOLS


def suggested_volume(
    disk: Disk, pools: Iterable[ShownPool], file_format: str, today: date
) -> tuple[str, str]:
    """Return the names of a pool with room and of a volume that nothing known uses.

    The source's own pool while it has room for the disk's capacity, else the roomiest
    one; two empty texts without any.
    """
    usable = [each for each in pools if takes_volumes(each.pool)]
    own = _own(disk, usable)
    chosen = own if own and _fits(disk, own) else roomiest([disk], usable)
    if chosen is None:
        return "", ""
    pool = chosen.pool
    stem = posixpath.join(pool.path or "/", _stem(disk, today))
    path = _free_name(disk, stem, EXTENSIONS[file_format])
    return pool.name, posixpath.basename(path)


def suggested_destination(
    disk: Disk, pools: Iterable[ShownPool], file_format: str, today: date
) -> str:
    """Return a path for a copy of `disk` that nothing known uses; "" without a place.

    Beside the source while its pool has room for the disk's capacity, or lies in none;
    else in the file pool with the most room.
    """
    directory = _directory(disk, list(pools))
    if not directory:
        return ""
    stem = posixpath.join(directory, _stem(disk, today))
    return _free_name(disk, stem, EXTENSIONS[file_format])


def _directory(disk: Disk, pools: list[ShownPool]) -> str:
    beside = posixpath.dirname(disk.source) if disk.source_kind == "file" else ""
    own = _own(disk, pools)
    if beside and (own is None or _fits(disk, own)):
        return beside
    usable = [each for each in pools if takes_files(each.pool) and each.pool.path]
    chosen = roomiest([disk], usable)
    return chosen.pool.path if chosen else ""


def _stem(disk: Disk, today: date) -> str:
    return f"{plain(disk.domain.name)}-{plain(disk.target)}-{today:%Y%m%d}"


def _free_name(disk: Disk, stem: str, extension: str) -> str:
    taken = known_locations(disk.domain.host, stem)
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
