"""Reading an inventory: one at a time, and again for whoever asked meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jobs import live, tasks
from jobs.models import Host
from tests.workers import Workers, workers

__all__ = ["workers"]


@pytest.mark.django_db(transaction=True)
def test_a_request_during_an_inventory_is_not_lost(
    host: Host, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def slowly(host: Host) -> None:
        read.append(host.name)
        if len(read) == 1:
            tasks.sync_host(host.pk)
            tasks.sync_host(host.pk)

    monkeypatch.setattr(tasks, "_sync", slowly)
    tasks.sync_host(host.pk)
    assert workers.inbox == [("sync_host", (host.pk,))]
    workers.work()
    assert read == ["alder", "alder"]
    assert workers.inbox == []


def test_an_ask_counts_until_it_is_taken_up(redis: None) -> None:
    assert live.first_to_ask("look", seconds=60)
    assert not live.first_to_ask("look", seconds=60)
    assert live.taken_up("look")
    assert not live.taken_up("look")
    assert live.first_to_ask("look", seconds=60)


@pytest.mark.django_db(transaction=True)
def test_each_host_is_looked_at_for_strangers_once_in_a_period(
    workers: Workers, host: Host, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BLOCKCOPY_SWEEP_SECONDS = 5
    turns = []
    for second in range(5):
        monkeypatch.setattr(time, "time", lambda second=second: 1_000_000.0 + second)
        workers.inbox.clear()
        tasks.tick()
        turns += [args for name, args in workers.inbox if name == "observe_strangers"]
    assert turns == [(host.pk,)]
