"""`manage.py listen`: libvirt's events become looks at the jobs, at once."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from redis.exceptions import RedisError

from jobs import leases
from jobs.leases import Leases


class Command(BaseCommand):
    """Runs one listener; start as many as the fleet needs, each with its own name."""

    help = "Listen to the events of the hosts, and have their jobs looked at."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--name",
            default=leases.default_name(),
            help="the listener's own name (default: this machine's)",
        )
        parser.add_argument(
            "--site",
            action="append",
            metavar="NAME",
            help="a site whose hosts it hears (default: BLOCKCOPY_SITES)",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="only tell by the exit status whether the listener of that name is "
            "well",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Listen until SIGTERM or SIGINT, or check."""
        if options["check"]:
            self._check(options["name"])
            return
        # Here, so that a check starts quickly: it needs no libvirt.
        from jobs.listener import Listener

        listener = Listener(
            Leases(options["name"], options["site"] or settings.BLOCKCOPY_SITES)
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: listener.stop())
        listener.run()

    def _check(self, name: str) -> None:
        try:
            alive = leases.is_alive(name)
        except RedisError as error:
            raise CommandError(f"Redis does not answer: {error}") from error
        if not alive:
            raise CommandError(f"The listener {name} gave no sign for 15 seconds.")
        self.stdout.write(f"The listener {name} is well.")
