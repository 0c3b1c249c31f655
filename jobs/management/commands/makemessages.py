"""`manage.py makemessages`: brings locale/*.po into step with the sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandParser
from django.core.management.commands import makemessages

# Nothing that a person reads on a page lies there.
ELSEWHERE = ["bench", "build", "lab", "made_up", "tests", "typings", "var"]
_DATE = re.compile(r'^"POT-Creation-Date: .*\n', re.MULTILINE)


class Command(makemessages.Command):
    """Django's, for both domains and with options under which the files change only
    where texts did."""

    help = "Bring the files that are translated into step with the sources."
    # A message that is only like another has another meaning: nothing is guessed.
    msgmerge_options = [
        *makemessages.Command.msgmerge_options,
        "--no-fuzzy-matching",
    ]
    xgettext_options = [
        *makemessages.Command.xgettext_options,
        "--keyword=say:1",
        "--keyword=say_many:1,2",
    ]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(
            all=True,
            ignore_patterns=ELSEWHERE,
            add_location="file",
            no_wrap=True,
            no_obsolete=True,
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for domain in ("django", "djangojs"):
            super().handle(*args, **{**options, "domain": domain})

    def write_po_file(self, potfile: str, locale: str) -> None:
        super().write_po_file(potfile, locale)
        name = f"{self.domain}.po"
        file = Path(settings.LOCALE_PATHS[0]) / locale / "LC_MESSAGES" / name
        # It says when this ran, and that is no change.
        file.write_text(_DATE.sub("", file.read_text("utf-8")), "utf-8")
