"""A host that fails to time a LUKS key is asked again, and not for ever."""

from __future__ import annotations

import pytest

from jobs.hypervisor import DestinationUnusable, KeyNotTimed
from jobs.hypervisor.keys import TRIES, timing_keys


class Host:
    """Gives its answers one by one."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = list(answers)

    def start(self) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_asked_again_until_it_has_timed_the_key() -> None:
    host = Host(KeyNotTimed(), KeyNotTimed(), "started")
    assert timing_keys(host.start) == "started"


def test_gives_up() -> None:
    host = Host(*[KeyNotTimed() for _ in range(TRIES)], "never asked for")
    with pytest.raises(KeyNotTimed, match="too busy"):
        timing_keys(host.start)
    assert host.answers == ["never asked for"]


def test_anything_else_is_final() -> None:
    host = Host(DestinationUnusable(), "never asked for")
    with pytest.raises(DestinationUnusable):
        timing_keys(host.start)
    assert host.answers == ["never asked for"]
