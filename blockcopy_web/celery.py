"""The Celery application: which queues exist and what ticks.

Tasks are hints to look again, never the memory of anything (see docs/architecture.md),
so they are acknowledged early, keep no result and expire rather than pile up.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu.entity import Queue
from kombu.transport.redis import Channel, QoS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "blockcopy_web.settings")

# A closed channel would give back what it had taken and not acknowledged. When Redis
# was just lost that ends in an AttributeError, and the worker with it. Nothing needs to
# be given back: the tick asks again.
Channel.do_restore = False


class Acknowledging(QoS):
    """Acknowledges nothing any more on a channel that was closed meanwhile.

    When Redis is lost while a task waits for a thread, kombu tries to, ends in an
    AttributeError that it does not expect, and the worker takes no task any more.
    """

    def ack(self, delivery_tag: str) -> None:
        """Tell Redis that a message was taken, if it is the Redis that gave it."""
        if self.channel.connection is not None:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]


Channel.QoS = Acknowledging

ENGINE_QUEUE = "engine"


def site_queue(site: str) -> str:
    """Return the queue that the workers near `site`'s hypervisors serve."""
    return f"site.{site}"


app = Celery("blockcopy_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])


@app.on_after_configure.connect
def choose_queues(sender: Celery, **_: Any) -> None:
    """Serve the engine's queue and those of the sites named in the settings."""
    from django.conf import settings

    names = [ENGINE_QUEUE, *map(site_queue, settings.BLOCKCOPY_SITES)]
    sender.conf.task_queues = [
        Queue(name)  # type: ignore[no-untyped-call]
        for name in names
    ]


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Leave logging as Django's settings made it."""
