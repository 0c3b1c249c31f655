"""Who calls: the account of the operating system, or a console user named by --as."""

from __future__ import annotations

import os
import pwd
import secrets

from django.contrib.auth.models import User

from jobs.actor import Actor
from jobs.commandline.answer import Failure

CHANNEL = "cli"


def os_user() -> str:
    """Return the account that the process runs as; the environment has no say."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def caller(console_user: str | None) -> Actor:
    """Return the actor behind a call.

    Whoever can run the command holds the console's secrets, so the account itself may
    do everything; with `console_user` that user's rights apply. The request id names
    the account in either case.
    """
    account = os_user()
    request_id = f"cli-{secrets.token_hex(4)}-{account}"[:64]
    if console_user is None:
        return Actor(name=account, channel=CHANNEL, request_id=request_id)
    user = User.objects.filter(username=console_user).first()
    if user is None:
        raise Failure(f"There is no user {console_user}.")
    if not user.is_active:
        raise Failure(f"The user {console_user} is disabled.")
    return Actor(
        name=user.get_username(), channel=CHANNEL, user=user, request_id=request_id
    )
