"""libvirt's errors -> ours: one table of code and text.

libvirt reuses its codes (8 is an unknown disk, a missing job and a bad number; 1 is
anything), so most rows need the text as well. Codes are virErrorNumber; the texts were
seen with libvirt 9.0. The first row that fits is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import libvirt

from jobs.hypervisor.errors import (
    DestinationExists,
    DestinationUnusable,
    DiskNotFound,
    DomainNotFound,
    DomainNotRunning,
    HostBusy,
    HostUnreachable,
    HypervisorError,
    InvalidOption,
    JobActive,
    NoJob,
    NotReady,
    PivotFailed,
    Refused,
    StillEnding,
)


@dataclass(frozen=True)
class Row:
    """Where `codes` is empty any code fits; an empty text keeps the class's own."""

    codes: tuple[int, ...]
    pattern: str
    kind: type[HypervisorError]
    cause: str = ""
    remedy: str = ""
    retryable: bool | None = None

    def fits(self, code: int | None, text: str) -> bool:
        return (not self.codes or code in self.codes) and bool(
            re.search(self.pattern, text, re.IGNORECASE)
        )


INTERNAL = libvirt.VIR_ERR_INTERNAL_ERROR
NO_SECRET = libvirt.VIR_ERR_NO_SECRET
NO_STORAGE_POOL = libvirt.VIR_ERR_NO_STORAGE_POOL
NO_STORAGE_VOL = libvirt.VIR_ERR_NO_STORAGE_VOL
STORAGE_VOL_EXIST = libvirt.VIR_ERR_STORAGE_VOL_EXIST
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
OPERATION_INVALID = libvirt.VIR_ERR_OPERATION_INVALID
CONFIG_UNSUPPORTED = libvirt.VIR_ERR_CONFIG_UNSUPPORTED
OPERATION_TIMEOUT = libvirt.VIR_ERR_OPERATION_TIMEOUT
ARGUMENT_UNSUPPORTED = libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
AUTH_CANCELLED = libvirt.VIR_ERR_AUTH_CANCELLED
OVERFLOW = libvirt.VIR_ERR_OVERFLOW
BLOCK_COPY_ACTIVE = libvirt.VIR_ERR_BLOCK_COPY_ACTIVE
OPERATION_UNSUPPORTED = libvirt.VIR_ERR_OPERATION_UNSUPPORTED
ACCESS_DENIED = libvirt.VIR_ERR_ACCESS_DENIED
AUTH_UNAVAILABLE = libvirt.VIR_ERR_AUTH_UNAVAILABLE
LIBSSH = libvirt.VIR_ERR_LIBSSH

_CHECK_ADDRESS = "Check the host's transport, mode, name and port."
_CREDENTIALS = "The host does not accept the console's credentials."
_CHECK_CREDENTIALS = "Check the console's key or certificate and what the host trusts."
_FREE_SPACE = "Free some space there, or choose another destination."
_RIGHTS = (
    "Let the user that runs QEMU on the host write there; with SELinux or AppArmor "
    "the path must be allowed as well."
)

# What a broken connection says, at whichever call notices it first.
_BROKEN = (
    r"client socket is closed|keepalive timeout|end of file while reading data"
    r"|cannot (recv|write) data|broken pipe|connection reset|transport is closed"
    r"|connection (refused|closed)|unable to connect to server"
    r"|failed to connect socket|unable to resolve address"
)

TABLE: tuple[Row, ...] = (
    # The domain's QEMU went away during the call; it is not the host that is gone.
    Row((OPERATION_TIMEOUT,), "", HostBusy),
    Row(
        (),
        r"qemu monitor|from monitor|guest unexpectedly quit|domain is no longer running"
        r"|domain is not running",
        DomainNotRunning,
    ),
    Row((BLOCK_COPY_ACTIVE,), r"not ready for pivot", NotReady),
    Row((BLOCK_COPY_ACTIVE,), "", JobActive),
    Row((OPERATION_INVALID,), r"still being ended", StillEnding),
    Row(
        (OPERATION_INVALID,),
        r"domain is not transient",
        Refused,
        "libvirt refuses copies of persistent domains without the transient-job flag.",
        "The host's libvirt may be older than 3.5, which the console cannot use.",
    ),
    Row((NO_DOMAIN,), "", DomainNotFound),
    Row((INVALID_ARG,), r"invalid uuid|valid uuid", DomainNotFound),
    Row((INVALID_ARG,), r"disk .*not found in domain|invalid path", DiskNotFound),
    Row((INVALID_ARG,), r"does not have an active block job", NoJob),
    Row((OPERATION_FAILED,), r"failed while pivoting", PivotFailed),
    # Storage pools and volumes.
    Row(
        (NO_STORAGE_POOL,),
        "",
        DestinationUnusable,
        "The host has no such storage pool.",
        "Choose one of the host's pools; reading its inventory again shows them.",
    ),
    Row(
        (NO_STORAGE_VOL,),
        "",
        DestinationUnusable,
        "The storage pool has no such volume.",
        "Look at what the pool has; somebody may have removed the volume.",
    ),
    Row(
        (STORAGE_VOL_EXIST, OPERATION_INVALID),
        r"volume target path .* already exists|volume .* exists already",
        DestinationExists,
        "The storage pool has a volume of that name already.",
        "Choose another name.",
    ),
    Row(
        (OPERATION_INVALID,),
        r"storage pool .* is not active",
        DestinationUnusable,
        "The storage pool is not active.",
        "Start the pool on the host, or choose another one.",
    ),
    Row(
        (),
        r"asynchronous jobs running|is still being allocated|volume .* still in use",
        DestinationUnusable,
        "The storage pool is busy with this volume or another one.",
        "Wait until it is done, and try again.",
        True,
    ),
    Row(
        (NO_SUPPORT,),
        r"pool does not support",
        DestinationUnusable,
        "A pool of this kind cannot do that with its volumes.",
        "Choose a directory, file system or logical pool.",
    ),
    Row(
        (NO_SECRET,),
        "",
        DestinationUnusable,
        "The host does not have the secret, or the secret has no value.",
        "Define the secret on the host and set its value, or refer to another one.",
    ),
    Row(
        (),
        r"inaccessible backing store",
        DestinationUnusable,
        "The disk's backing file cannot be read where the volume is to be made.",
        "Copy the whole chain instead of a shallow copy.",
    ),
    Row(
        (),
        r"file too large|image size is too large",
        DestinationUnusable,
        "The storage cannot hold an image of that size.",
        "Choose another pool or another format.",
    ),
    # Destinations.
    Row((CONFIG_UNSUPPORTED,), r"already exists and is not a block", DestinationExists),
    Row(
        (),
        r"no space left|not enough free space",
        DestinationUnusable,
        "The destination's storage is full.",
        _FREE_SPACE,
    ),
    Row(
        (),
        r"failed to get .* lock",
        DestinationUnusable,
        "The destination is in use by a disk of a running guest.",
        "Choose another destination.",
    ),
    Row(
        (SYSTEM_ERROR,),
        r"missing destination file",
        DestinationUnusable,
        "The file or device that was to be reused is not there.",
        "Create it first with exactly the disk's size, or let the copy create a file.",
    ),
    Row(
        (SYSTEM_ERROR,),
        r"copy target.*no such file",
        DestinationUnusable,
        "The destination's directory does not exist on the host.",
        "Create the directory on the host, or choose another one.",
    ),
    Row(
        (SYSTEM_ERROR, INTERNAL, OPERATION_FAILED),
        r"(copy target|destination|could not open|blockdev).*permission denied",
        DestinationUnusable,
        "The host may not write at the destination.",
        _RIGHTS,
    ),
    Row(
        (SYSTEM_ERROR, INTERNAL, OPERATION_FAILED),
        r"copy target|failed to format image|could not open|read-only file system",
        DestinationUnusable,
    ),
    Row(
        (INTERNAL, CONFIG_UNSUPPORTED),
        r"image is not in|destination format must be specified|driver format value",
        DestinationUnusable,
        "The file that was to be reused has another format than was said.",
        "Say the format that the file really has.",
    ),
    Row(
        (INVALID_ARG, CONFIG_UNSUPPORTED),
        r"blockdev flag requested|not a block device",
        DestinationUnusable,
        "The destination is not a block device.",
        "Say file instead of device, or name a device.",
    ),
    Row(
        (INVALID_ARG,),
        r"absolute path must be used",
        DestinationUnusable,
        "The destination must be an absolute path.",
        "Write the whole path, from “/” on.",
    ),
    Row(
        (INTERNAL,),
        r"failed to connect to|requested export not available",
        DestinationUnusable,
        "The host cannot reach the destination's server or export.",
        "Check that the server runs and that the export's name is right.",
    ),
    Row((NO_SOURCE, XML_ERROR, XML_DETAIL), "", DestinationUnusable),
    # Options.
    Row(
        (CONFIG_UNSUPPORTED,),
        r"into a raw file is not possible",
        InvalidOption,
        "A shallow copy needs a format with a backing file, which raw is not.",
        "Choose qcow2, or copy the whole chain.",
    ),
    Row(
        (INTERNAL,),
        r"\[512B, 64MB\]|expects uint32|parameter 'buf-size'",
        InvalidOption,
    ),
    Row(
        (INVALID_ARG, ARGUMENT_UNSUPPORTED),
        r"unsupported flags|parameter .* not supported",
        InvalidOption,
        "The host's libvirt is too old for one of the options.",
        "Leave the option away, or update the host.",
    ),
    # Disks that no copy can be made of.
    Row(
        (INTERNAL,),
        r"failed to update capacity data",
        Refused,
        "The drive is empty.",
        "Choose a disk that has a source.",
    ),
    Row(
        (OPERATION_UNSUPPORTED,),
        r"can't pivot a shared disk",
        Refused,
        "A shareable disk can only be copied to a format that can be shared.",
        "Choose raw as the destination's format.",
    ),
    # Connections; after the destinations, whose servers can refuse as well.
    Row(
        (INTERNAL,),
        r"unexpected qemu uri path",
        HostUnreachable,
        "The daemon at this address runs in the other mode (system or session).",
        "Change the host's mode.",
        False,
    ),
    Row(
        (SYSTEM_ERROR, AUTH_FAILED, LIBSSH),
        r"host key",
        HostUnreachable,
        "The host's ssh key is unknown or has changed.",
        "Put the right key into the console's known-hosts file.",
        False,
    ),
    Row(
        (SYSTEM_ERROR, INTERNAL, RPC, LIBSSH),
        r"permission denied \(|failed to authenticate|keyboard interactive"
        r"|cannot read ca|certificate",
        HostUnreachable,
        _CREDENTIALS,
        _CHECK_CREDENTIALS,
        False,
    ),
    Row(
        (AUTH_FAILED, AUTH_CANCELLED, AUTH_UNAVAILABLE),
        "",
        HostUnreachable,
        _CREDENTIALS,
        _CHECK_CREDENTIALS,
        False,
    ),
    Row((INTERNAL, SYSTEM_ERROR, RPC, NO_CONNECT), _BROKEN, HostUnreachable),
    Row((RPC, NO_CONNECT, INVALID_CONN, LIBSSH), "", HostUnreachable),
    # Whatever is left of these codes.
    Row(
        (NO_SUPPORT,),
        "",
        Refused,
        "The host's hypervisor cannot copy disks of running domains.",
        "Only QEMU can do this.",
    ),
    Row(
        (OPERATION_DENIED, ACCESS_DENIED),
        "",
        Refused,
        "The console has no right to do this on the host.",
        "Check the host's libvirt access rules.",
    ),
    Row((INVALID_ARG, ARGUMENT_UNSUPPORTED, OVERFLOW), "", InvalidOption),
)


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
    return _from_table(code, text, Row((), "", Refused))


def translate_open(error: libvirt.libvirtError) -> HypervisorError:
    """The same for a connection that could not be opened: always HostUnreachable."""
    code, text = error.get_error_code(), error.get_error_message() or str(error)
    found = _from_table(code, text, Row((), "", HostUnreachable))
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
