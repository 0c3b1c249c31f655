"""Bounded waiting for calls that libvirt itself may never end.

Opening a connection has no timeout, and a call that asks a frozen QEMU waits until
that QEMU goes on. Neither can be interrupted, so each call is made in a thread that can
be left behind. What is left behind is counted: one call for each thing that is stuck,
and few for each host, because a libvirt daemon has 20 workers for everybody.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from jobs.hypervisor.errors import NoAnswer

T = TypeVar("T")

# A host, and what of it is asked: a domain's UUID, or "" for the daemon itself.
Key = tuple[str, str]

MOST_LEFT_BEHIND = 8

_left_behind: Counter[Key] = Counter()
_lock = threading.Lock()


def within(
    seconds: float,
    key: Key,
    call: Callable[[], T],
    abandon: Callable[[Future[T]], None],
) -> T:
    """What `call` returns or raises, or NoAnswer after `seconds`.

    The call may still take effect after NoAnswer; `abandon` is then told, with the
    future of its outcome. While a call with the same key is left behind, another one
    is not even begun.
    """
    _refuse_if_stuck(key)
    future: Future[T] = Future()
    threading.Thread(
        target=_settle, args=(future, call), name=f"libvirt {key[1]}", daemon=True
    ).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # just now, or the error is the call's own
            return future.result()
        _leave_behind(key, future)
        abandon(future)
        raise NoAnswer(f"No answer in {seconds:g} s.") from None


def left_behind(host: str) -> int:
    """How many calls to this host are still waiting, unattended, in this process."""
    with _lock:
        return sum(n for (name, _), n in _left_behind.items() if name == host)


def _refuse_if_stuck(key: Key) -> None:
    if _left_behind[key]:
        raise NoAnswer("An earlier request has not been answered yet.")
    if left_behind(key[0]) >= MOST_LEFT_BEHIND:
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
