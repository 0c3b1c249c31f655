"""Destinations on a network: what is wrong with one, in one sentence."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable

from jobs.hypervisor.destination import (
    PROTOCOLS,
    Destination,
    DestinationError,
    Server,
)
from jobs.hypervisor.destination_names import check_name, check_secret
from jobs.said import say

SOCKET_PATH_MAX = 107  # sun_path in unix(7)
EXPORT_MAX = 4096  # the NBD protocol's longest string
IQN_MAX = 223  # RFC 3720
LUN_MAX = 16383  # SCSI's flat space addressing

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\.?\Z){_LABEL}\.?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_ISCSI_NAME = re.compile(
    r"iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])\.[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[^\s/]+)?"
    r"|eui\.[0-9A-Fa-f]{16}|naa\.(?:[0-9A-Fa-f]{16}|[0-9A-Fa-f]{32})"
)


def check_network(destination: Destination) -> None:
    protocol = destination.protocol
    if protocol not in PROTOCOLS:
        raise DestinationError(
            "protocol", say("The protocol must be nbd, rbd, iscsi or gluster.")
        )
    check_name("name", destination.name, "name", EXPORT_MAX)
    if protocol in _NAMES:
        _NAMES[protocol](destination.name)
    _check_servers(destination)
    _check_tls(destination)
    _check_auth(destination)


def _check_image(name: str) -> None:
    pool, slash, image = name.partition("/")
    if not slash or not pool or not image or "/" in image:
        raise DestinationError(
            "name", say("Write the pool and the image as pool/image.")
        )
    if "@" in name:
        raise DestinationError(
            "name", say("A snapshot cannot be written to: name the image without “@”.")
        )


def _check_target(name: str) -> None:
    target, _, lun = name.partition("/")
    if not _ISCSI_NAME.fullmatch(target) or len(target.encode()) > IQN_MAX:
        raise DestinationError(
            "name",
            say(
                "Write the target's iSCSI name and the LUN as "
                "iqn.2024-01.org.example:storage/1."
            ),
        )
    if not re.fullmatch(r"0|[1-9][0-9]{0,4}", lun) or int(lun) > LUN_MAX:
        raise DestinationError(
            "name",
            say(
                "Add the LUN to the target's name: “/” and 0 to %(lun_max)s.",
                lun_max=LUN_MAX,
            ),
        )


def _check_gluster(name: str) -> None:
    volume, slash, path = name.partition("/")
    if not slash or not volume or not path:
        raise DestinationError(
            "name", say("Write the volume and the image's path in it as volume/path.")
        )
    if name != posixpath.normpath(name) or volume in (".", ".."):
        raise DestinationError(
            "name",
            say("The name must be written without “..”, “.”, “//” and a last “/”."),
        )


_NAMES: dict[str, Callable[[str], None]] = {
    "rbd": _check_image,
    "iscsi": _check_target,
    "gluster": _check_gluster,
}


def _check_servers(destination: Destination) -> None:
    servers, protocol = destination.servers, destination.protocol
    if not servers:
        what = say("a monitor") if protocol == "rbd" else say("a server")
        raise DestinationError(
            "servers", say("The destination has no server: name %(what)s.", what=what)
        )
    if len(servers) > 1 and protocol in ("nbd", "iscsi"):
        raise DestinationError(
            "servers",
            say(
                "%(protocol)s has one server: leave the others away.", protocol=protocol
            ),
        )
    for server in servers:
        if server.socket:
            _check_socket(destination, server)
        else:
            _check_host_name(server.name)
        _check_port(server.port)
    if len(set(servers)) != len(servers):
        raise DestinationError("servers", say("A server is there twice: name it once."))


def _check_socket(destination: Destination, server: Server) -> None:
    if destination.protocol not in ("nbd", "gluster"):
        raise DestinationError(
            "servers",
            say(
                "%(protocol)s knows no Unix sockets: name a host instead.",
                protocol=destination.protocol,
            ),
        )
    if server.name or server.port is not None:
        raise DestinationError(
            "servers",
            say("A server is a host or a Unix socket: leave one of them away."),
        )
    path = server.socket
    if not path.startswith("/") or path != posixpath.normpath(path):
        raise DestinationError(
            "servers",
            say("The socket must be an absolute path without “..”, “.” and “//”."),
        )
    check_name("servers", path, say("socket's path"), SOCKET_PATH_MAX)


def _check_host_name(name: str) -> None:
    if not name:
        raise DestinationError(
            "servers", say("A server has no name: write a host name or an address.")
        )
    if ":" in name:
        _check_ipv6(name)
    elif not _is_ipv4(name) and (len(name) > 253 or not _HOST_NAME.fullmatch(name)):
        raise DestinationError(
            "servers",
            say(
                "%(name)s is no host name: write a name such as "
                "storage.example.org or an address.",
                name=ascii(name[:60]),
            ),
        )


def _check_ipv6(name: str) -> None:
    """IPv6Address takes anything for a zone."""
    address, percent, zone = name.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        zone, percent = "", "%"
    if percent and not _ZONE.fullmatch(zone):
        raise DestinationError(
            "servers",
            say(
                "%(name)s is no IPv6 address: write it as 2001:db8::1, without "
                "brackets, and the port on its own.",
                name=ascii(name[:60]),
            ),
        )


def _is_ipv4(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _check_port(port: int | None) -> None:
    if port is not None and (type(port) is not int or not 1 <= port <= 65535):
        raise DestinationError(
            "servers", say("The port must be a number from 1 to 65535.")
        )


def _check_tls(destination: Destination) -> None:
    if not destination.tls:
        return
    if destination.protocol != "nbd":
        raise DestinationError(
            "tls",
            say(
                "%(protocol)s has no TLS here: switch it off.",
                protocol=destination.protocol,
            ),
        )
    if any(server.socket for server in destination.servers):
        raise DestinationError(
            "tls",
            say(
                "TLS checks a host's name, which a Unix socket has not: switch "
                "it off, or name a host."
            ),
        )


def _check_auth(destination: Destination) -> None:
    user, auth = destination.user, destination.auth
    if not user and auth is None:
        return
    if destination.protocol not in ("rbd", "iscsi"):
        raise DestinationError(
            "user" if user else "auth",
            say(
                "%(protocol)s knows no users: leave user and secret away.",
                protocol=destination.protocol,
            ),
        )
    if not user:
        raise DestinationError(
            "user", say("The secret needs a user: name the user too.")
        )
    if auth is None:
        raise DestinationError(
            "auth", say("The user needs a secret: name the secret too.")
        )
    check_name("user", user, say("user's name"))
    check_secret("auth", auth)
