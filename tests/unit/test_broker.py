"""What the worker makes of a Redis that was lost while tasks were under way."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.transport.redis import Channel, QoS

from blockcopy_web.celery import Acknowledging


def acknowledge(kind: Any) -> None:
    """Let `kind` acknowledge a task on a channel whose connection was closed."""
    channel: Any = Channel.__new__(Channel)
    channel.connection = None
    kind(channel).ack("a task of the Redis that was")


def test_a_closed_channel_acknowledges_nothing() -> None:
    assert Channel.QoS is Acknowledging
    acknowledge(Acknowledging)


def test_kombu_itself_would_end_the_worker() -> None:
    """Once it does not, ours is not needed any more."""
    with pytest.raises(AttributeError, match="client"):
        acknowledge(QoS)
