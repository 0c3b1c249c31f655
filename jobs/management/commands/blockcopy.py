"""`manage.py blockcopy …`: hosts, domains, copy jobs, audit log, users."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management import BaseCommand, CommandParser
from django.db import DatabaseError

from jobs.actions import ActionError, Invalid
from jobs.audit import NotRecorded
from jobs.commandline.answer import Answer, Call, Failure, Status
from jobs.commandline.caller import caller
from jobs.commandline.findings import finding_records
from jobs.commandline.parser import add_commands


class Command(BaseCommand):
    """Prints what a command answers; its failure is a sentence and an exit status."""

    help = "Copies of running disks from the command line."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_commands(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        """Run one command and print its answer."""
        given = argparse.Namespace(**options)
        try:
            answer = _answer(given)
        except Failure as failure:
            self._fail(failure, as_json=given.json)
        except KeyboardInterrupt:
            self._fail(
                Failure("Interrupted.", status=Status.INTERRUPTED), as_json=given.json
            )
        else:
            self._show(answer, as_json=given.json)

    def _show(self, answer: Answer, *, as_json: bool) -> None:
        if not answer.streamed:
            self.stdout.write(json.dumps(answer.data) if as_json else answer.text)

    def _fail(self, failure: Failure, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**failure.data, "error": failure.message}))
        elif failure.text:
            self.stdout.write(failure.text)
        self.stderr.write(failure.message)
        raise SystemExit(int(failure.status))


def _answer(given: argparse.Namespace) -> Answer:
    """Run the command; whatever it was refused becomes a Failure."""
    if getattr(given, "timeout", None) and not getattr(given, "wait", True):
        raise Failure("--timeout needs --wait.", status=Status.USAGE)
    try:
        answer: Answer = given.command(Call(caller(given.console_user), given))
    except Invalid as error:
        found = finding_records(error.problems)
        raise Failure(str(error), data={"problems": found}) from error
    except ActionError as error:
        raise Failure(str(error)) from error
    except NotRecorded as error:
        raise Failure(str(error).strip()) from error
    except DatabaseError as error:
        raise Failure(
            f"The database does not do its part ({str(error).strip()}). Is "
            "DATABASE_URL right, and did “manage.py migrate” run?"
        ) from error
    return answer
