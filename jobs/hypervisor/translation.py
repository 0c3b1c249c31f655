"""libvirt's errors -> ours, by the table in jobs.hypervisor.error_table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from jobs.hypervisor.error_table import TABLE, Row
from jobs.hypervisor.errors import (
    HostUnreachable,
    HypervisorError,
    InvalidOption,
    Refused,
)
from jobs.said import say

_CHECK_ADDRESS = say("Check the host's transport, mode, name and port.")
_NEVER_SEEN = Row((), "", Refused, "")
_NOT_OPENED = Row((), "", HostUnreachable, "")


def translate(
    error: libvirt.libvirtError, connection: libvirt.virConnect | None = None
) -> HypervisorError:
    """Our error for libvirt's.

    A call on a connection that has just died fails with code 1, like much else; so
    the connection, where there is one, is asked whether it is alive.
    """
    code, text = error.get_error_code(), error.get_error_message() or str(error)
    if connection is not None and not is_alive(connection):
        return HostUnreachable(text, code=code)
    return _from_table(code, text, _NEVER_SEEN)


def translate_open(error: libvirt.libvirtError) -> HypervisorError:
    """The same for a connection that could not be opened: always HostUnreachable."""
    code, text = error.get_error_code(), error.get_error_message() or str(error)
    found = _from_table(code, text, _NOT_OPENED)
    if isinstance(found, HostUnreachable):
        return found
    return HostUnreachable(text, code=code, remedy=_CHECK_ADDRESS)


def _from_table(code: int | None, text: str, otherwise: Row) -> HypervisorError:
    row = next((row for row in TABLE if row.fits(code, text)), otherwise)
    return row.kind(
        text, code=code, cause=row.cause, remedy=row.remedy, retryable=row.retryable
    )


@contextmanager
def translated(connection: libvirt.virConnect) -> Iterator[None]:
    """Raise our errors instead of libvirt's for what is called on `connection`."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise translate(error, connection) from error


@contextmanager
def options_translated() -> Iterator[None]:
    """InvalidOption for numbers that libvirt-python cannot even hand over."""
    try:
        yield
    except (OverflowError, TypeError) as error:
        raise InvalidOption(str(error)) from error


def is_alive(connection: libvirt.virConnect) -> bool:
    """What the client library knows, without asking the host."""
    try:
        return connection.isAlive() == 1
    except libvirt.libvirtError:
        return False
