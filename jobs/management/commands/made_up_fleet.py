"""`manage.py made_up_fleet`: fills an empty database with a fleet that never was."""

from __future__ import annotations

import os
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from jobs.commandline.caller import caller
from jobs.made_up import InUse, Size, make


class Command(BaseCommand):
    """For benches, and to see how the pages bear a large fleet."""

    help = (
        "Fill an empty database with hosts, domains, disks, copies and an audit log "
        "that are all made up, and say so. With BLOCKCOPY_PASSWORD in the environment "
        "the made-up people can sign in with it, mei.made-up as an operator."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        for name, count in vars(Size()).items():
            words = f"{count:,}" if count else "none"
            parser.add_argument(f"--{name}", type=int, default=count, help=words)

    def handle(self, *_: Any, **options: Any) -> None:
        """Fill the database, or end with one sentence that says why not."""
        try:
            size = Size(**{name: options[name] for name in vars(Size())})
            password = os.environ.get("BLOCKCOPY_PASSWORD", "")
            make(size, caller(None), password, tell=self.stdout.write)
        except (InUse, ValueError) as error:
            raise CommandError(str(error)) from error
