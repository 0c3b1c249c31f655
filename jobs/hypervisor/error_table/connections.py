"""What libvirt says of connections; whatever a destination says comes before."""

from __future__ import annotations

from jobs.hypervisor.error_table.row import (
    AUTH_CANCELLED,
    AUTH_FAILED,
    AUTH_UNAVAILABLE,
    INTERNAL,
    INVALID_CONN,
    LIBSSH,
    NO_CONNECT,
    RPC,
    SYSTEM_ERROR,
    Row,
    Section,
)
from jobs.hypervisor.errors import (
    HostUnreachable,
)
from jobs.said import say

_CREDENTIALS = say("The host does not accept the console's credentials.")
_CHECK_CREDENTIALS = say(
    "Check the console's key or certificate and what the host trusts."
)
# What a broken connection says, at whichever call notices it first.
_BROKEN = (
    "client socket is closed|keepalive timeout|end of file while "
    "reading data|cannot (recv|write) data|broken pipe|connection "
    "reset|transport is closed|connection (refused|closed)|unable "
    "to connect to server|failed to connect socket|unable to "
    "resolve address"
)

CONNECTIONS = Section(
    "Connections",
    # After the destinations, whose servers can refuse as well.
    (
        Row(
            (INTERNAL,),
            r"unexpected qemu uri path",
            HostUnreachable,
            "internal error: unexpected QEMU URI path '/system', try qemu:///session",
            say(
                "The daemon at this address runs in the other mode (system or session)."
            ),
            say("Change the host's mode."),
            False,
        ),
        Row(
            (SYSTEM_ERROR, AUTH_FAILED, LIBSSH),
            r"host key",
            HostUnreachable,
            "Cannot recv data: Host key verification failed.: Connection reset by peer",
            say("The host's ssh key is unknown or has changed."),
            say("Put the right key into the console's known-hosts file."),
            False,
        ),
        Row(
            (SYSTEM_ERROR, INTERNAL, RPC, LIBSSH),
            r"permission denied \(|failed to authenticate|keyboard interactive"
            r"|cannot read ca|certificate",
            HostUnreachable,
            "Cannot recv data: virt@alder: Permission denied (publickey).: Connection "
            "reset by peer",
            _CREDENTIALS,
            _CHECK_CREDENTIALS,
            False,
        ),
        Row(
            (AUTH_FAILED, AUTH_CANCELLED, AUTH_UNAVAILABLE),
            "",
            HostUnreachable,
            "authentication failed: no",
            _CREDENTIALS,
            _CHECK_CREDENTIALS,
            False,
        ),
        Row(
            (INTERNAL, SYSTEM_ERROR, RPC, NO_CONNECT),
            _BROKEN,
            HostUnreachable,
            "internal error: client socket is closed",
        ),
        Row(
            (RPC, NO_CONNECT, INVALID_CONN, LIBSSH),
            "",
            HostUnreachable,
            "Cannot get the program that was called",
        ),
    ),
)
