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
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from jobs.hypervisor.errors import NoAnswer

T = TypeVar("T")

# A host, and what of it is asked: a domain's UUID, or "" for the daemon itself.
Key = tuple[str, str]

# Calls left behind on one host before another one about a guest is not begun.
MOST_LEFT_BEHIND = 16
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
        leave_behind(key, future)
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


def waits_for(host: str, name: str) -> bool:
    """Whether a call about `name` is still waiting, unattended."""
    return bool(_left_behind[host, name])


def left_behind(host: str) -> int:
    """How many calls to this host are still waiting, unattended, in this process."""
    with _lock:
        return sum(n for (name, _), n in _left_behind.items() if name == host)


def leave_behind(key: Key, future: Future[T]) -> None:
    """Count a call as waiting, unattended, until `future` is settled."""
    with _lock:
        _left_behind[key] += 1
    future.add_done_callback(lambda _: _forget(key))


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


def _forget(key: Key) -> None:
    with _lock:
        _left_behind[key] -= 1
        if not _left_behind[key]:
            del _left_behind[key]
