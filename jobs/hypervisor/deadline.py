"""Bounded waiting for calls that libvirt itself may never end.

Opening a connection has no timeout, and a call that asks a frozen QEMU waits until
that QEMU goes on. Neither can be interrupted, so each call is made in a thread that can
be left behind. What is left behind is counted: one call for each thing that is stuck,
and few for each host, because a libvirt daemon has 20 workers for everybody. Those who
wait for daemons that are silent are counted as well: many dead hosts at once must leave
threads for the living ones.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from jobs.hypervisor.errors import NoAnswer

T = TypeVar("T")

# A host, and what of it is asked: a domain's UUID, or "" for the daemon itself.
Key = tuple[str, str]

MOST_LEFT_BEHIND = 8
# How often a row of calls is looked after.
STEP_SECONDS = 0.1
# For so long anybody may wait for a daemon; then only so many of this process, of whose
# threads (16 as a rule) enough must be left.
BRIEF_SECONDS = 1.0
MOST_PATIENT = 8

_left_behind: Counter[Key] = Counter()
_lock = threading.Lock()
_patient = threading.BoundedSemaphore(MOST_PATIENT)


def within(
    seconds: float,
    key: Key,
    call: Callable[[], T],
    abandon: Callable[[Future[T]], None],
    *,
    bounded: bool = True,
) -> T:
    """What `call` returns or raises, or NoAnswer after `seconds`.

    The call may still take effect after NoAnswer; `abandon` is then told, with the
    future of its outcome. While a call with the same key is left behind, another one
    is not even begun; nor, if it is `bounded`, while many are on the same host. What is
    not bounded a daemon answers by itself, at once or not for long: that is waited for
    as `patience` says.
    """
    _refuse_if_stuck(key, bounded=bounded)
    future: Future[T] = Future()
    threading.Thread(
        target=_settle, args=(future, call), name=f"libvirt {key[1]}", daemon=True
    ).start()
    began = time.monotonic()
    if not _awaited(future, seconds, patiently=bounded):
        abandon(future)  # first: when it is forgotten, it has been dealt with
        _leave_behind(key, future)
        waited = round(time.monotonic() - began, 1)
        raise NoAnswer(f"No answer in {waited:g} s.")
    return future.result()


def _awaited(future: Future[T], seconds: float, *, patiently: bool) -> bool:
    if patiently or seconds <= BRIEF_SECONDS:
        return _is_settled(future, seconds)
    if _is_settled(future, BRIEF_SECONDS):
        return True
    with patience() as granted:
        return granted and _is_settled(future, seconds - BRIEF_SECONDS)


def _is_settled(future: Future[T], seconds: float) -> bool:
    return bool(wait([future], seconds).done)


@contextmanager
def patience() -> Iterator[bool]:
    """Whether a thread may wait for a daemon for longer than BRIEF_SECONDS.

    False while many do. A host that is refused so is asked again a second later.
    """
    granted = _patient.acquire(blocking=False)
    try:
        yield granted
    finally:
        if granted:
            _patient.release()


def each_within(
    seconds: float,
    host: str,
    keys: Sequence[str],
    call: Callable[[str], T],
    abandon: Callable[[Future[None]], None],
) -> tuple[dict[str, T | BaseException], list[str]]:
    """`call` for one key after the other, and the keys that it did not come to.

    What a call raises is its answer. The first that takes longer than `seconds` is
    left behind as in `within`, without an answer, and ends the row. One thread serves
    them all: to bound each by a thread of its own would take longer than most calls.
    """
    row = _Row(keys, call)
    threading.Thread(target=row.run, name=f"libvirt {host}", daemon=True).start()
    while not row.ended.wait(STEP_SECONDS):
        stuck = row.stop_if_stuck(seconds)
        if stuck is not None:
            _leave_behind((host, keys[stuck]), row.future)
            abandon(row.future)
            return row.answers, list(keys[stuck + 1 :])
    return row.answers, []


class _Row(Generic[T]):
    """Calls made one after the other, and which of them is under way since when."""

    def __init__(self, keys: Sequence[str], call: Callable[[str], T]) -> None:
        self.answers: dict[str, T | BaseException] = {}
        self.ended = threading.Event()
        self.future: Future[None] = Future()
        self._keys = keys
        self._call = call
        self._lock = threading.Lock()
        self._stopped = False
        self._current = 0
        self._since = time.monotonic()

    def run(self) -> None:
        for number, key in enumerate(self._keys):
            if not self._step(number):
                break
            answer = _answer(self._call, key)
            with self._lock:
                if not self._stopped:
                    self.answers[key] = answer
        self.ended.set()
        self.future.set_result(None)

    def _step(self, number: int) -> bool:
        with self._lock:
            self._current, self._since = number, time.monotonic()
            return not self._stopped

    def stop_if_stuck(self, seconds: float) -> int | None:
        """The number of the call that is stuck; no other begins after it."""
        with self._lock:
            if self.ended.is_set() or time.monotonic() - self._since < seconds:
                return None
            self._stopped = True
            return self._current


def _answer(call: Callable[[str], T], key: str) -> T | BaseException:
    try:
        return call(key)
    except BaseException as error:  # noqa: BLE001  it is handed over as the answer
        return error


def waits_for(host: str, name: str) -> bool:
    """Whether a call about `name` is still waiting, unattended."""
    return bool(_left_behind[host, name])


def left_behind(host: str) -> int:
    """How many calls to this host are still waiting, unattended, in this process."""
    with _lock:
        return sum(n for (name, _), n in _left_behind.items() if name == host)


def _refuse_if_stuck(key: Key, *, bounded: bool) -> None:
    if _left_behind[key]:
        raise NoAnswer("An earlier request has not been answered yet.")
    if bounded and left_behind(key[0]) >= MOST_LEFT_BEHIND:
        raise NoAnswer("Too many requests to this host have not been answered yet.")


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
        future.set_exception(error)


def _leave_behind(key: Key, future: Future[T]) -> None:
    with _lock:
        _left_behind[key] += 1
    future.add_done_callback(lambda _: _forget(key))


def _forget(key: Key) -> None:
    with _lock:
        _left_behind[key] -= 1
        if not _left_behind[key]:
            del _left_behind[key]
