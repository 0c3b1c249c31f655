"""Storage pools as their page shows them: what is free and promised in each, what jobs
left there, and which write into it now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from jobs.console.storage import pool_of
from jobs.lifecycle import ON_HOST
from jobs.models import CopyJob, Leftover, StoragePool
from jobs.preflight import Promise, goes_to, promises

# The most jobs, and hosts with the same storage, that a row names; the pages where all
# are listed have the others.
MOST_JOBS = 3
MOST_HOSTS = 3
# What is told of a job here, and what tells where it goes and how much it will take.
_OF_A_JOB = (
    *("state", "host", "domain", "domain_name", "disk", "capacity"),
    *("destination", "destination_kind", "destination_format", "destination_spec"),
)


@dataclass(frozen=True)
class ShownPool:
    """A pool with what is going on in it.

    `others`: pools of other hosts that are known to be the same storage; what happens
    there happens here. `left`: the bytes of each leftover, None for one not measured.
    """

    pool: StoragePool
    others: list[StoragePool] = field(default_factory=list)
    promised: list[Promise] = field(default_factory=list)
    left: list[int | None] = field(default_factory=list)

    # --- Room -----------------------------------------------------------------------

    @cached_property
    def least(self) -> int:
        """Bytes that active jobs will still take, at least."""
        return sum(each.least for each in self.promised)

    @cached_property
    def most(self) -> int:
        """Bytes that active jobs will still take, at most."""
        return sum(each.most for each in self.promised)

    @property
    def room(self) -> int:
        """Bytes that are left if all that is promised is taken; may be below 0."""
        return self.pool.available - self.most

    @property
    def will_overflow(self) -> bool:
        """Whether what is promised at least is more than there is."""
        return self.least > self.pool.available

    @property
    def may_overflow(self) -> bool:
        """Whether what is promised at most is more than there is, and not at least."""
        return self.least <= self.pool.available < self.most

    @property
    def stale(self) -> bool:
        """Whether nobody can tell how it is now: it was so when the host was seen."""
        return self.pool.host.stale

    # --- The same storage elsewhere -------------------------------------------------

    @property
    def elsewhere(self) -> list[StoragePool]:
        """Return some of the others, by host."""
        return self.others[:MOST_HOSTS]

    @property
    def more_elsewhere(self) -> int:
        """Return how many hosts have it besides."""
        return max(0, len(self.others) - MOST_HOSTS)

    @property
    def same_address(self) -> str:
        """Return where all that are the same storage are listed."""
        return f"{reverse('storage')}?{urlencode({'q': self.pool.source})}"

    # --- Jobs -----------------------------------------------------------------------

    @property
    def jobs(self) -> list[CopyJob]:
        """Return some of the jobs that write into it, or will, those that do first."""
        found = [each.job for each in self.promised]
        return sorted(found, key=lambda job: job.state not in ON_HOST)[:MOST_JOBS]

    @property
    def more_jobs(self) -> int:
        """Return how many jobs there are besides."""
        return max(0, len(self.promised) - MOST_JOBS)

    @property
    def jobs_address(self) -> str:
        """Return where all of the jobs are listed."""
        query = {"state": "active"}
        if self.pool.path:
            query["destination"] = _folder(self.pool)
        return f"{reverse('jobs')}?{urlencode(query)}"

    # --- Leftovers ------------------------------------------------------------------

    @property
    def left_bytes(self) -> int:
        return sum(taken or 0 for taken in self.left)

    @property
    def unmeasured(self) -> int:
        return sum(taken is None for taken in self.left)

    @property
    def leftovers_address(self) -> str:
        """Return where the leftovers in it are listed."""
        query = {"q": _folder(self.pool)}
        if not self.others:
            query["host"] = str(self.pool.host_id)
        return f"{reverse('leftovers')}?{urlencode(query)}"


def _folder(pool: StoragePool) -> str:
    return pool.path.rstrip("/") + "/"


def show_pools(
    pools: Iterable[StoragePool], *, leftovers: bool = True
) -> list[ShownPool]:
    """Return `pools` with what is going on in them; a fixed number of queries, and one
    request to Redis. With `leftovers` unset without what jobs left there."""
    rows = list(pools)
    around = _around(rows)
    near = Q(host__in={pool.host_id for pool in around})
    shown, sources = {pool.pk for pool in rows}, {pool.source for pool in rows} - {""}
    asked = [pool for pool in around if pool.pk in shown or pool.source in sources]
    folders = {_folder(pool) for pool in asked}
    # A volume that has no path yet goes by its pool's name.
    names = {f"{pool.name}/" for pool in asked}
    going = near & _begins("destination", folders | names)
    promised: dict[int, list[Promise]] = {}
    jobs = CopyJob.objects.active().filter(going).only(*_OF_A_JOB)
    for promise in promises(jobs):
        promised.setdefault(promise.job.host_id, []).append(promise)
    left = _leftovers(near & _begins("location", folders), around) if leftovers else {}
    return [_shown(pool, around, promised, left) for pool in rows]


def _begins(field: str, beginnings: set[str]) -> Q:
    either = (Q(**{f"{field}__startswith": each}) for each in sorted(beginnings))
    return reduce(or_, either, Q(pk__in=()))


def _around(rows: list[StoragePool]) -> list[StoragePool]:
    """All pools of the hosts of `rows`, and those that are the same storage elsewhere.

    The others of a host say which of them a file lies in.
    """
    same = Q(source__in={pool.source for pool in rows if pool.source})
    near = Q(host__in={pool.host_id for pool in rows})
    found = StoragePool.objects.filter(same | near, gone_at=None).select_related("host")
    return list(found.only("kind", "name", "path", "source", "host__name"))


def _leftovers(which: Q, pools: list[StoragePool]) -> dict[int, list[int | None]]:
    """The bytes of what jobs left, by the pool that it lies in."""
    of_host: dict[int, list[StoragePool]] = {}
    for pool in pools:
        of_host.setdefault(pool.host_id, []).append(pool)
    found: dict[int, list[int | None]] = {}
    rows = Leftover.objects.there().filter(which)
    for host, location, taken in rows.values_list("host_id", "location", "bytes"):
        inside = pool_of(location, of_host.get(host, []))
        if inside is not None:
            found.setdefault(inside.pk, []).append(taken)
    return found


def _shown(
    pool: StoragePool,
    around: list[StoragePool],
    promised: dict[int, list[Promise]],
    left: dict[int, list[int | None]],
) -> ShownPool:
    others = [other for other in around if _is_same(pool, other)]
    whole = [pool, *others]
    return ShownPool(
        pool=pool,
        others=others,
        promised=[
            each
            for one in whole
            for each in promised.get(one.host_id, ())
            if goes_to(each.job, one.name, one.path)
        ],
        left=[row for one in whole for row in left.get(one.pk, [])],
    )


def _is_same(pool: StoragePool, other: StoragePool) -> bool:
    """Whether two hosts' pools are one storage, as far as the hosts' definitions say.

    A like name, path or size says nothing.
    """
    named = bool(pool.source) and (pool.kind, pool.source) == (other.kind, other.source)
    return named and pool.host_id != other.host_id
