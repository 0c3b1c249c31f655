"""What a command is asked, what it answers, and the ways in which it can fail."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from jobs.actor import Actor


class Status(IntEnum):
    """Exit statuses; 0 only when the command did what it was asked."""

    DONE = 0
    FAILED = 1  # refused, or not reached
    USAGE = 2
    TIMED_OUT = 3
    INTERRUPTED = 130  # as shells report Ctrl-C


class Failure(Exception):
    """The command did not do what it was asked; the message is one clear sentence.

    `data` goes into the JSON object beside the message, `text` is printed for people
    as an answer would be.
    """

    def __init__(
        self,
        message: str,
        *,
        status: Status = Status.FAILED,
        data: Mapping[str, Any] | None = None,
        text: str = "",
    ) -> None:
        self.message = message
        self.status = status
        self.data = dict(data or {})
        self.text = text
        super().__init__(message)


@dataclass(frozen=True)
class Answer:
    """What a command found or did: `data` for scripts, `text` for people.

    `streamed`: it has been written to standard output already.
    """

    data: Mapping[str, Any] | Sequence[Any]
    text: str
    streamed: bool = False


@dataclass(frozen=True)
class Call:
    """One call of a command: who calls, and with which arguments."""

    actor: Actor
    options: argparse.Namespace

    def must_see(self, model: str) -> None:
        """Raise Failure unless the caller may see objects of `model` ("host")."""
        if not self.actor.may(f"jobs.view_{model}"):
            raise Failure(f"The role of {self.actor.name} does not allow to see this.")


Command = Callable[[Call], Answer]
