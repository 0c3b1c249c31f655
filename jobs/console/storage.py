"""Where files lie: which storage pool a path is in, and which paths are free."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import reverse

from jobs.lifecycle import ACTIVE
from jobs.models import ChainLink, CopyJob, Disk, Host, Leftover, StoragePool
from jobs.models.search import beginning
from jobs.said import say
from jobs.units import bytes_text

# Pools whose volumes are files below the pool's path.
FILE_POOLS = frozenset({"dir", "fs", "netfs"})
# Pools in which libvirt makes a volume that QEMU then opens by a path.
VOLUME_POOLS = FILE_POOLS | {"logical"}
EXTENSIONS = {"qcow2": "qcow2", "raw": "img"}
# The longest stem: room below a file name's 255 bytes for a number and an extension.
_STEM_MAX = 200


def pools_of(host: Host) -> QuerySet[StoragePool]:
    """Return the pools that the host still has, by name."""
    return host.pools.filter(gone_at=None).order_by("name")


def pool_of(location: str, pools: Iterable[StoragePool]) -> StoragePool | None:
    """Return the pool in whose path `location` lies; the longest path wins."""
    around = [pool for pool in pools if _is_below(location, pool.path)]
    return max(around, key=lambda pool: len(pool.path), default=None)


def pool_address(pool: StoragePool) -> str:
    """Return the address of the storage page that shows `pool`."""
    query = urlencode({"host": pool.host.name, "q": pool.name})
    return f"{reverse('storage')}?{query}"


def _is_below(location: str, directory: str) -> bool:
    return bool(directory) and location.startswith(directory.rstrip("/") + "/")


def places(path: str, pools: Iterable[StoragePool]) -> list[tuple[str, StoragePool]]:
    """Return `path`'s file name in each pool of files, the roomiest pool first."""
    name = posixpath.basename(path)
    usable = [pool for pool in pools if pool.path and takes_files(pool)]
    usable.sort(key=lambda pool: -pool.available)
    return [(posixpath.join(pool.path, name), pool) for pool in usable]


def takes_files(pool: StoragePool) -> bool:
    return pool.active and pool.kind in FILE_POOLS


def takes_volumes(pool: StoragePool) -> bool:
    """Tell whether the console can make a volume in `pool` for a copy."""
    return pool.active and pool.kind in VOLUME_POOLS


def plain(name: str) -> str:
    """Return `name` with only what is safe in every shell and file system."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return kept[:_STEM_MAX] or "disk"


def with_room(pool: StoragePool) -> str:
    """Return a pool's name with what is free in it."""
    return say(
        "%(pool)s, %(free)s free", pool=pool.name, free=bytes_text(pool.available)
    )


def free_path(disk: Disk, path: str, extension: str = "") -> str:
    """Return `path`, or one with a number beside it if something is there already.

    As far as is known: what disks use, what jobs write to, what jobs left behind.
    `extension` is for a path that has none.
    """
    return free_paths(disk.domain.host, [path], extension)[0]


def free_paths(host: Host, paths: Sequence[str], extension: str = "") -> list[str]:
    """Return a free path for each of `paths`: see `free_path`; one query for all."""
    parts = [_parts(path, extension) for path in paths]
    taken = _in_use(host, {stem for stem, _ending in parts})
    return [
        _beside(path, stem, ending, taken)
        for path, (stem, ending) in zip(paths, parts, strict=True)
    ]


def _parts(path: str, extension: str) -> tuple[str, str]:
    stem, dot, ending = path.rpartition(".")
    return (stem, ending) if dot and "/" not in ending else (path, extension)


def _beside(path: str, stem: str, ending: str, taken: set[str]) -> str:
    number, free = 1, path
    while free in taken:
        number += 1
        free = f"{stem}-{number}.{ending}" if ending else f"{stem}-{number}"
    return free


def _in_use(host: Host, prefixes: set[str]) -> set[str]:
    """Return what is now at a path that begins with any of `prefixes`."""
    links = ChainLink.objects.filter(disk__gone_at=None, disk__domain__gone_at=None)
    disks = Disk.objects.filter(gone_at=None)
    return _locations(prefixes, links, CopyJob.objects.active(), disks, host)


def known_locations(host: Host, prefixes: set[str]) -> set[str]:
    """Return what is, or on this host ever was, at a path that begins with any of
    `prefixes`.

    Ended jobs count, since their files stay where they are, and so do old sources that
    a job left behind.
    """
    jobs = CopyJob.objects.filter(Q(host=host) | Q(state__in=ACTIVE))
    links, disks = ChainLink.objects.all(), Disk.objects.all()
    return _locations(prefixes, links, jobs, disks, host)


def _locations(
    prefixes: set[str],
    links: QuerySet[ChainLink],
    jobs: QuerySet[CopyJob],
    disks: QuerySet[Disk],
    host: Host,
) -> set[str]:
    """Return every place that begins with any of `prefixes` in these; one query."""
    left = Leftover.objects.there().filter(host=host)
    named: list[tuple[QuerySet[Any], str]] = [
        *((left, "location"), (jobs, "destination")),
        *((disks, "persistent_source"), (disks, "mirror")),
    ]
    found = _of(links, "location", prefixes)
    return set(found.union(*(_of(rows, field, prefixes) for rows, field in named)))


def _of(rows: QuerySet[Any], field: str, prefixes: set[str]) -> QuerySet[Any, str]:
    return beginning(rows.order_by(), field, prefixes).values_list(field, flat=True)
