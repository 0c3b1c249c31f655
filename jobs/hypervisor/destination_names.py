"""Names and secrets of a destination: what is wrong with one, in one sentence."""

from __future__ import annotations

import re

from jobs.hypervisor.destination import DestinationError, Secret
from jobs.said import say

NAME_MAX = 255
USAGE_MAX = 1024

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_name(field: str, name: str, what: str, longest: int = NAME_MAX) -> None:
    if not name.isprintable():
        raise DestinationError(
            field,
            say("The %(what)s contains control characters: remove them.", what=what),
        )
    if len(name.encode()) > longest:
        raise DestinationError(
            field,
            say(
                "The %(what)s is too long: use at most %(longest)s bytes.",
                what=what,
                longest=longest,
            ),
        )


def check_secret(field: str, secret: Secret) -> None:
    if bool(secret.uuid) == bool(secret.usage):
        raise DestinationError(
            field,
            say("Name the libvirt secret by its UUID or by its usage, one of them."),
        )
    if secret.uuid and not _UUID.fullmatch(secret.uuid):
        raise DestinationError(
            field,
            say(
                "The secret's UUID must be written as "
                "2a5b08e4-3dca-4ff9-9a1d-40389758d081."
            ),
        )
    check_name(field, secret.usage, say("secret's usage"), USAGE_MAX)
