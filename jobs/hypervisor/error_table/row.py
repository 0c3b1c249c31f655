"""What a row of the table is, and libvirt's codes by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass

import libvirt

from jobs.hypervisor.errors import HypervisorError


@dataclass(frozen=True)
class Row:
    """Where `codes` is empty any code fits; an empty text keeps the class's own.

    `said` is an example of what libvirt says, which this row and no earlier one fits.
    """

    codes: tuple[int, ...]
    pattern: str
    kind: type[HypervisorError]
    said: str
    cause: str = ""
    remedy: str = ""
    retryable: bool | None = None

    def fits(self, code: int | None, text: str) -> bool:
        return (not self.codes or code in self.codes) and bool(
            re.search(self.pattern, text, re.IGNORECASE)
        )


@dataclass(frozen=True)
class Section:
    """Rows that belong together, under a title."""

    title: str
    rows: tuple[Row, ...]


INTERNAL = libvirt.VIR_ERR_INTERNAL_ERROR
NO_MEMORY = libvirt.VIR_ERR_NO_MEMORY
NO_SUPPORT = libvirt.VIR_ERR_NO_SUPPORT
NO_CONNECT = libvirt.VIR_ERR_NO_CONNECT
INVALID_CONN = libvirt.VIR_ERR_INVALID_CONN
INVALID_ARG = libvirt.VIR_ERR_INVALID_ARG
OPERATION_FAILED = libvirt.VIR_ERR_OPERATION_FAILED
NO_SOURCE = libvirt.VIR_ERR_NO_SOURCE
XML_ERROR = libvirt.VIR_ERR_XML_ERROR
OPERATION_DENIED = libvirt.VIR_ERR_OPERATION_DENIED
XML_DETAIL = libvirt.VIR_ERR_XML_DETAIL
SYSTEM_ERROR = libvirt.VIR_ERR_SYSTEM_ERROR
RPC = libvirt.VIR_ERR_RPC
NO_DOMAIN = libvirt.VIR_ERR_NO_DOMAIN
AUTH_FAILED = libvirt.VIR_ERR_AUTH_FAILED
NO_STORAGE_POOL = libvirt.VIR_ERR_NO_STORAGE_POOL
NO_STORAGE_VOL = libvirt.VIR_ERR_NO_STORAGE_VOL
OPERATION_INVALID = libvirt.VIR_ERR_OPERATION_INVALID
INVALID_SECRET = libvirt.VIR_ERR_INVALID_SECRET
NO_SECRET = libvirt.VIR_ERR_NO_SECRET
CONFIG_UNSUPPORTED = libvirt.VIR_ERR_CONFIG_UNSUPPORTED
OPERATION_TIMEOUT = libvirt.VIR_ERR_OPERATION_TIMEOUT
ARGUMENT_UNSUPPORTED = libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
OPERATION_ABORTED = libvirt.VIR_ERR_OPERATION_ABORTED
AUTH_CANCELLED = libvirt.VIR_ERR_AUTH_CANCELLED
OVERFLOW = libvirt.VIR_ERR_OVERFLOW
BLOCK_COPY_ACTIVE = libvirt.VIR_ERR_BLOCK_COPY_ACTIVE
OPERATION_UNSUPPORTED = libvirt.VIR_ERR_OPERATION_UNSUPPORTED
AGENT_UNRESPONSIVE = libvirt.VIR_ERR_AGENT_UNRESPONSIVE
RESOURCE_BUSY = libvirt.VIR_ERR_RESOURCE_BUSY
ACCESS_DENIED = libvirt.VIR_ERR_ACCESS_DENIED
STORAGE_VOL_EXIST = libvirt.VIR_ERR_STORAGE_VOL_EXIST
AUTH_UNAVAILABLE = libvirt.VIR_ERR_AUTH_UNAVAILABLE
AGENT_UNSYNCED = libvirt.VIR_ERR_AGENT_UNSYNCED
LIBSSH = libvirt.VIR_ERR_LIBSSH
# Newer than the oldest library that the console is built with (libvirt 11.2).
AGENT_COMMAND_TIMEOUT = 112
AGENT_COMMAND_FAILED = 113

# Codes that come with a system call's or QEMU's words, whatever it was about.
ANY_FAILURE = (SYSTEM_ERROR, INTERNAL, OPERATION_FAILED)


def code_name(code: int) -> str:
    """Return libvirt's own name for a code: "NO_DOMAIN" for 42."""
    newer = {
        AGENT_COMMAND_TIMEOUT: "AGENT_COMMAND_TIMEOUT",
        AGENT_COMMAND_FAILED: "AGENT_COMMAND_FAILED",
    }
    known = {
        value: name.removeprefix("VIR_ERR_")
        for name, value in vars(libvirt).items()
        # WARNING and ERROR are levels, not codes.
        if name.startswith("VIR_ERR_") and name not in _LEVELS
    }
    return {**newer, **known}[code]


_LEVELS = ("VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR")
