"""A host's address as typed fields, and the one place that makes a URI of them.

libvirt's URIs can run commands (`ext`, `command=`), read files and reach any socket,
so a URI is never taken from anyone. It is built here on every open, and of what a user
typed only a socket path inside an allowed directory reaches its query part.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from jobs.hypervisor.errors import HypervisorError
from jobs.said import say

TRANSPORTS = ("local", "socket", "ssh", "tls")
MODES = ("system", "session")
SOCKET_PATH_MAX = 107

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")

# Which fields each transport has; the others must be empty.
_FIELDS = {
    "local": (),
    "socket": ("socket",),
    "ssh": ("host_name", "port", "user"),
    "tls": ("host_name", "port"),
}


class AddressError(HypervisorError, ValueError):
    """An address that is not one; `field` names the wrong part."""

    cause = say("The host's address is not valid.")
    remedy = say("Correct the host's address.")

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, cause=message)
        self.field = field
        self.args = (field, message)


@dataclass(frozen=True)
class Address:
    """Where a host's libvirt is. `socket` is the path of its Unix socket."""

    transport: Literal["local", "socket", "ssh", "tls"]
    host_name: str = ""
    port: int | None = None
    user: str = ""
    mode: Literal["system", "session"] = "system"
    socket: str = ""


@dataclass(frozen=True)
class AddressPolicy:
    """What the server's settings allow and add; never anything from a user.

    Without `socket_prefixes` no socket may be used. `ssh_key` is a private key and
    `known_hosts` the only host keys to trust; without the latter ssh uses the files of
    its own user. `pki_path` is a directory of certificates for TLS.
    """

    socket_prefixes: tuple[str, ...] = ()
    ssh_key: str = ""
    known_hosts: str = ""
    pki_path: str = ""


def validate(address: Address, policy: AddressPolicy) -> None:
    """Raise AddressError unless `address` is well formed and allowed."""
    if address.transport not in TRANSPORTS:
        raise AddressError("transport", say("The transport is unknown."))
    if address.mode not in MODES:
        raise AddressError("mode", say("The mode must be system or session."))
    _refuse_unused_fields(address)
    if address.transport == "socket":
        _allowed_socket(address.socket, policy)
    if address.transport in ("ssh", "tls"):
        _check_host_name(address.host_name)
        _check_port(address.port)
    if address.user and not _USER.fullmatch(address.user):
        raise AddressError(
            "user", say("The user name contains characters it cannot have.")
        )


def uri(address: Address, policy: AddressPolicy) -> str:
    """The connection URI, after validating again: stored rows can be stale."""
    validate(address, policy)
    if address.transport == "local":
        return f"qemu:///{address.mode}"
    if address.transport == "socket":
        path = quote(_allowed_socket(address.socket, policy), safe="/")
        return f"qemu+unix:///{address.mode}?socket={path}"
    query = urlencode(_query(address, policy), safe="/,", quote_via=quote)
    return f"qemu+{_driver(address, policy)}://{_authority(address)}/{address.mode}" + (
        f"?{query}" if query else ""
    )


def _driver(address: Address, policy: AddressPolicy) -> str:
    """libvirt hands a known-hosts file to libssh, but not to the ssh program."""
    if address.transport == "ssh" and policy.known_hosts:
        return "libssh"
    return address.transport


def _query(address: Address, policy: AddressPolicy) -> dict[str, str]:
    if address.transport == "tls":
        return {"pkipath": policy.pki_path} if policy.pki_path else {}
    query = {"no_tty": "1"}  # ssh would otherwise ask for a password and hang
    if policy.ssh_key:
        query["keyfile"] = policy.ssh_key
    if policy.known_hosts:
        query["known_hosts"] = policy.known_hosts
        query["known_hosts_verify"] = "normal"
        query["sshauth"] = "agent,privkey" if policy.ssh_key else "agent"
    return query


def _authority(address: Address) -> str:
    name = address.host_name
    host = f"[{name}]" if ":" in name else name.lower()
    user = f"{address.user}@" if address.user else ""
    port = f":{address.port}" if address.port is not None else ""
    return f"{user}{host}{port}"


def _refuse_unused_fields(address: Address) -> None:
    for field in ("host_name", "port", "user", "socket"):
        given = getattr(address, field) not in ("", None)
        if given and field not in _FIELDS[address.transport]:
            raise AddressError(
                field,
                say(
                    "The transport %(transport)s does not use this field.",
                    transport=address.transport,
                ),
            )


def _check_host_name(name: str) -> None:
    if not name:
        raise AddressError("host_name", say("The host name is missing."))
    if ":" in name:
        _check_ipv6(name)
    elif len(name) > 253 or not _HOST_NAME.fullmatch(name):
        raise AddressError("host_name", say("This is not a host name."))


def _check_ipv6(name: str) -> None:
    try:
        scope = ipaddress.IPv6Address(name).scope_id
    except ValueError:
        raise AddressError("host_name", say("This is not a host name.")) from None
    if scope is not None:
        raise AddressError("host_name", say("An address with a zone cannot be used."))


def _check_port(port: int | None) -> None:
    if port is not None and (type(port) is not int or not 1 <= port <= 65535):
        raise AddressError("port", say("The port must be a number from 1 to 65535."))


def _allowed_socket(path: str, policy: AddressPolicy) -> str:
    """The socket's real path, `..` and links resolved, inside an allowed directory."""
    if not path.startswith("/") or not path.isprintable():
        raise AddressError("socket", say("The socket must be an absolute path."))
    real = os.path.realpath(path)
    if not any(_is_below(real, prefix) for prefix in policy.socket_prefixes):
        raise AddressError(
            "socket", say("The server's settings do not allow this socket.")
        )
    if len(os.fsencode(real)) > SOCKET_PATH_MAX:
        raise AddressError("socket", say("The socket's path is longer than 107 bytes."))
    return real


def _is_below(path: str, prefix: str) -> bool:
    directory = os.path.realpath(prefix)
    return path != directory and os.path.commonpath([path, directory]) == directory
