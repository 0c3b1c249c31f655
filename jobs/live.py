"""What lives in Redis: progress numbers, wake-ups for pages, and who calls now.

Nothing here is needed to know the truth about a job: with Redis emptied the next
look fills it again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

import redis
import structlog
from django.conf import settings
from redis.exceptions import LockError, RedisError

from jobs.forecast import UNKNOWN, Forecast, Mark, forecast
from jobs.hypervisor import Progress
from jobs.lifecycle import WhenReady
from jobs.models import CopyJob, Host

log = structlog.get_logger(__name__)

CHANNEL = "blockcopy:wake"
PROGRESS_TTL = 3600  # seconds
FRESH_SECONDS = 5.0  # a number older than this says how old it is
LOCK_TTL = 6.0  # seconds; a killed worker's locks are gone after that
SMOOTHING_SECONDS = 10.0
# What a forecast rests on: so far back, and so far apart.
MARKED_SECONDS = 120.0
MARK_EACH_SECONDS = 20.0


@cache
def client() -> redis.Redis:
    """Return this process's Redis client (a pool; safe between threads)."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2
    )


# --- Progress ---------------------------------------------------------------------


@dataclass(frozen=True)
class LiveProgress:
    """Progress of a copy as last seen. Bytes, bytes/s, and seconds since the epoch.

    `rose_at`: when `current` was last seen to rise. Losing Redis loses it, and a copy
    that stands still looks as if it had just begun to. `marks`: where it stood in the
    last two minutes under the limit that is in force, oldest first.
    """

    current: int
    end: int
    bandwidth: int
    rate: float
    at: float
    rose_at: float
    marks: tuple[Mark, ...] = ()

    @property
    def percent(self) -> float | None:
        """How much is copied, 0 to 100; None while libvirt has no figure yet.

        `end` grows with what the guest writes, so this may step back; it never says
        that the mirror is ready (libvirt reports 0/1 and 1/1 at the start).
        """
        if self.end <= 1:
            return None
        return min(100.0, 100.0 * self.current / self.end)

    @property
    def forecast(self) -> Forecast:
        """The time until all is copied; unknown when the numbers are not fresh."""
        if not self.fresh:
            return UNKNOWN
        return forecast([*self.marks, Mark(self.at, self.current, self.end)])

    @property
    def age(self) -> float:
        """Seconds since the numbers were read from the host."""
        return max(0.0, time.time() - self.at)

    @property
    def fresh(self) -> bool:
        """Whether the numbers are of this moment."""
        return self.age <= FRESH_SECONDS


def _progress_key(job_pk: int) -> str:
    return f"blockcopy:progress:{job_pk}"


# One command for all jobs of a host: to pack one for each takes longer than what Redis
# does with it.
_SET_ALL = """
for at, key in ipairs(KEYS) do
    redis.call("SET", key, ARGV[at + 1], "EX", ARGV[1])
end
"""


def store_progress(seen: dict[int, Progress]) -> set[int]:
    """Store what was just read from a host, by job, with a smoothed rate; return the
    jobs whose limit is another one than at the last look."""
    if not seen:
        return set()
    before = progress_of(seen)
    now = time.time()
    entries = {
        _progress_key(pk): json.dumps(vars(_entry(before.get(pk), progress, now)))
        for pk, progress in seen.items()
    }
    store = client().register_script(_SET_ALL)
    store(keys=list(entries), args=[PROGRESS_TTL, *entries.values()])
    return {pk for pk, last in before.items() if last.bandwidth != seen[pk].bandwidth}


def _entry(before: LiveProgress | None, progress: Progress, now: float) -> LiveProgress:
    return LiveProgress(
        current=progress.current,
        end=progress.end,
        bandwidth=progress.bandwidth,
        rate=_rate(before, progress, now),
        at=now,
        rose_at=_rose_at(before, progress, now),
        marks=_marks(before, progress, now),
    )


def _rose_at(before: LiveProgress | None, progress: Progress, now: float) -> float:
    if before is None or progress.current > before.current:
        return now
    return min(now, before.rose_at)


def _marks(
    before: LiveProgress | None, progress: Progress, now: float
) -> tuple[Mark, ...]:
    """Another limit, or another copy under the same number, begins anew."""
    mark = Mark(now, progress.current, progress.end)
    kept = before.marks if before else ()
    changed = before is not None and before.bandwidth != progress.bandwidth
    if not kept or changed or progress.current < kept[-1].current:
        return (mark,)
    if now < kept[-1].at + MARK_EACH_SECONDS:
        return kept
    return (*(each for each in kept if each.at > now - MARKED_SECONDS), mark)


def _rate(before: LiveProgress | None, progress: Progress, now: float) -> float:
    """Smooth the rate (bytes/s) exponentially; libvirt tells none."""
    if before is None or now <= before.at:
        return 0.0
    gap = now - before.at
    fresh = max(0.0, (progress.current - before.current) / gap)
    if progress.bandwidth:
        # A limited copy begins with a burst of a buffer, which is not its rate.
        fresh = min(fresh, progress.bandwidth)
    if before.rate == 0.0:
        return fresh
    weight = min(1.0, gap / SMOOTHING_SECONDS)
    return before.rate + weight * (fresh - before.rate)


def progress_of(pks: Iterable[int]) -> dict[int, LiveProgress]:
    """Return what is known of the jobs' progress; empty when Redis is away."""
    ordered = list(pks)
    if not ordered:
        return {}
    try:
        found = client().mget([_progress_key(pk) for pk in ordered])
    except RedisError:
        return {}
    kept = ((pk, _kept(value)) for pk, value in zip(ordered, found, strict=True))
    return {pk: entry for pk, entry in kept if entry}


def _kept(value: bytes | str | None) -> LiveProgress | None:
    if not value:
        return None
    try:
        fields = json.loads(value)
        marks = tuple(Mark(*mark) for mark in fields.pop("marks", ()))
        return LiveProgress(**fields, marks=marks)
    except (AttributeError, TypeError, ValueError):
        return None  # kept by another version of the console


# --- Wake-ups ---------------------------------------------------------------------


def _publish(message: dict[str, object]) -> None:
    try:
        client().publish(CHANNEL, json.dumps(message))
    except RedisError as error:
        # Pages poll when they hear nothing.
        log.warning("no wake-up sent", error=str(error))


def wake(job: CopyJob, *, moved: bool = False) -> None:
    """Tell open pages that a job changed; `moved`: it came into another state."""
    _publish(
        {
            "kind": "job",
            "job": job.pk,
            "host": job.host_id,
            "domain": job.domain_id,
            "state": job.state,
            "moved": moved,
            "waits": job.when_ready == WhenReady.WAIT,
            "disk": job.disk,
            "name": job.domain_name,
            "on": job.host_name,
            "by": job.requested_by_id,
        }
    )


def wake_progress(host_pk: int, job_pks: Iterable[int]) -> None:
    """Tell open pages that there are newer progress numbers."""
    _publish({"kind": "progress", "host": host_pk, "jobs": list(job_pks)})


def wake_host(host: Host) -> None:
    """Tell open pages that a host or its inventory changed."""
    _publish({"kind": "host", "host": host.pk})


def wake_check(key: str) -> None:
    """Tell open pages that a check of theirs has its result."""
    _publish({"kind": "check", "key": key})


# --- Locks ------------------------------------------------------------------------


@contextmanager
def exclusively(name: str) -> Iterator[bool]:
    """Hold the lock `name` while the block runs; yields False if another holds it.

    The lock is renewed while it is held and ends by itself LOCK_TTL seconds after its
    holder was killed. It keeps work from being done twice at once; correctness does
    not rest on it.
    """
    lock = client().lock(f"blockcopy:lock:{name}", timeout=LOCK_TTL, thread_local=False)
    if not lock.acquire(blocking=False):
        yield False
        return
    done = threading.Event()
    renewer = threading.Thread(
        target=_renew, args=(lock, done), name=f"renew {name}", daemon=True
    )
    renewer.start()
    try:
        yield True
    finally:
        done.set()
        with suppress(LockError, RedisError):
            lock.release()


def _renew(lock: redis.lock.Lock, done: threading.Event) -> None:
    while not done.wait(LOCK_TTL / 3):
        with suppress(LockError, RedisError):
            lock.reacquire()


def call_lock(job_pk: int) -> str:
    """Return the name of the lock held while a job's verb is called."""
    return f"call:{job_pk}"


def calls_running(pks: Iterable[int]) -> set[int]:
    """Return those jobs for which a call to the hypervisor is under way."""
    ordered = list(pks)
    if not ordered:
        return set()
    names = [f"blockcopy:lock:{call_lock(pk)}" for pk in ordered]
    held = client().mget(names)
    return {pk for pk, token in zip(ordered, held, strict=True) if token}


def first_to_ask(name: str, seconds: float) -> bool:
    """Tell whether nobody asked for `name` in the last `seconds`, and note it."""
    key = f"blockcopy:asked:{name}"
    return bool(client().set(key, 1, nx=True, px=int(seconds * 1000)))


def taken_up(name: str) -> bool:
    """Let `first_to_ask` answer True again at once; tell whether somebody had asked."""
    return bool(client().delete(f"blockcopy:asked:{name}"))
