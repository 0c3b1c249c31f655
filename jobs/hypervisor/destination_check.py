"""What is wrong with a destination, each in one sentence that says what to do."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable

from jobs.hypervisor.destination import (
    FORMATS,
    KINDS,
    PROTOCOLS,
    Destination,
    DestinationError,
    Secret,
    Server,
)

PATH_MAX = 4095
NAME_MAX = 255
SOCKET_PATH_MAX = 107  # sun_path in unix(7)
EXPORT_MAX = 4096  # the NBD protocol's longest string
IQN_MAX = 223  # RFC 3720
LUN_MAX = 16383  # SCSI's flat space addressing
USAGE_MAX = 1024
SECTOR = 512
LARGEST_NUMBER = 2**63 - 1
LONGEST_BACKING = 20

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\.?\Z){_LABEL}\.?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ISCSI_NAME = re.compile(
    r"iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])\.[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[^\s/]+)?"
    r"|eui\.[0-9A-Fa-f]{16}|naa\.(?:[0-9A-Fa-f]{16}|[0-9A-Fa-f]{32})"
)

# What a destination of each kind may have besides its format.
_COMMON = ("encryption", "backing", "metadata_cache")
_SLICE = ("slice_offset", "slice_size")
_FIELDS = {
    "file": ("path", *_COMMON, *_SLICE),
    "block": ("path", *_COMMON, *_SLICE),
    "volume": ("pool", "volume", "path", *_COMMON),
    "network": (
        *("protocol", "name", "servers", "tls", "user", "auth"),
        *(*_COMMON, *_SLICE),
    ),
}
_OPTIONAL = (
    *("path", "pool", "volume", "protocol", "name", "servers", "tls", "user", "auth"),
    *(*_COMMON, *_SLICE),
)
_KIND_TEXT = {
    "file": "A file",
    "block": "A device",
    "volume": "A storage volume",
    "network": "A network destination",
}


def check(destination: Destination) -> None:
    """Raise DestinationError unless a host could make sense of it.

    The formats are a list because libvirt would accept any (vmdk too), and a place
    must be written in one way only, since identity is compared by its text.
    """
    _check(destination, LONGEST_BACKING)


def _check(destination: Destination, depth: int) -> None:
    if destination.kind not in KINDS:
        raise DestinationError(
            "kind",
            "The destination must be a file, a device, a storage volume or a network "
            "destination.",
        )
    if destination.format not in FORMATS:
        raise DestinationError("format", "The format must be raw or qcow2.")
    _refuse_unused_fields(destination)
    _PLACES[destination.kind](destination)
    if destination.encryption is not None:
        _check_secret("encryption", destination.encryption)
    _check_slice(destination)
    _check_qcow2_only(destination)
    if destination.backing is not None:
        _check_backing(destination.backing, depth)


def _refuse_unused_fields(destination: Destination) -> None:
    used = _FIELDS[destination.kind]
    for field in _OPTIONAL:
        if getattr(destination, field) and field not in used:
            raise DestinationError(
                field,
                f"{_KIND_TEXT[destination.kind]} has no {field.replace('_', ' ')}: "
                "leave it away, or choose another kind of destination.",
            )


# --- Places on the host -----------------------------------------------------------


def _check_path(destination: Destination) -> None:
    path = destination.path
    if not path:
        raise DestinationError("path", "The destination has no path: write it.")
    if not path.startswith("/"):
        raise DestinationError(
            "path", "The destination must be an absolute path: begin it with “/”."
        )
    if not path.isprintable():
        raise DestinationError(
            "path", "The path contains control characters: remove them."
        )
    if path == "/":
        raise DestinationError(
            "path", "The destination must be a file or a device: add its name."
        )
    if path != posixpath.normpath(path) or path.startswith("//"):
        raise DestinationError(
            "path", "The path must be written without “..”, “.”, “//” and a last “/”."
        )
    _check_lengths(path)


def _check_lengths(path: str) -> None:
    names = path.encode(errors="surrogateescape").split(b"/")
    if max(map(len, names)) > NAME_MAX or sum(map(len, names)) > PATH_MAX - len(names):
        raise DestinationError(
            "path",
            f"The path is too long: use at most {NAME_MAX} bytes for each name and "
            f"{PATH_MAX} for all.",
        )


def _check_volume(destination: Destination) -> None:
    for field, what in (("pool", "pool"), ("volume", "volume")):
        name = getattr(destination, field)
        if not name:
            raise DestinationError(field, f"The {what} is missing: name it.")
        _check_name(field, name, f"name of the {what}")
        if "/" in name or name in (".", ".."):
            raise DestinationError(
                field,
                f"The name of the {what} must be one name without “/”, not a path.",
            )
    if destination.path:
        _check_path(destination)


def _check_name(field: str, name: str, what: str, longest: int = NAME_MAX) -> None:
    if not name.isprintable():
        raise DestinationError(
            field, f"The {what} contains control characters: remove them."
        )
    if len(name.encode()) > longest:
        raise DestinationError(
            field, f"The {what} is too long: use at most {longest} bytes."
        )


# --- Places on a network ----------------------------------------------------------


def _check_network(destination: Destination) -> None:
    protocol = destination.protocol
    if protocol not in PROTOCOLS:
        raise DestinationError(
            "protocol", "The protocol must be nbd, rbd, iscsi or gluster."
        )
    _check_name("name", destination.name, "name", EXPORT_MAX)
    if protocol in _NAMES:
        _NAMES[protocol](destination.name)
    _check_servers(destination)
    _check_tls(destination)
    _check_auth(destination)


def _check_image(name: str) -> None:
    pool, slash, image = name.partition("/")
    if not slash or not pool or not image or "/" in image:
        raise DestinationError("name", "Write the pool and the image as pool/image.")
    if "@" in name:
        raise DestinationError(
            "name", "A snapshot cannot be written to: name the image without “@”."
        )


def _check_target(name: str) -> None:
    target, _, lun = name.partition("/")
    if not _ISCSI_NAME.fullmatch(target) or len(target.encode()) > IQN_MAX:
        raise DestinationError(
            "name",
            "Write the target's iSCSI name and the LUN as "
            "iqn.2024-01.org.example:storage/1.",
        )
    if not re.fullmatch(r"0|[1-9][0-9]{0,4}", lun) or int(lun) > LUN_MAX:
        raise DestinationError(
            "name", f"Add the LUN to the target's name: “/” and 0 to {LUN_MAX}."
        )


def _check_gluster(name: str) -> None:
    volume, slash, path = name.partition("/")
    if not slash or not volume or not path:
        raise DestinationError(
            "name", "Write the volume and the image's path in it as volume/path."
        )
    if name != posixpath.normpath(name) or volume in (".", ".."):
        raise DestinationError(
            "name", "The name must be written without “..”, “.”, “//” and a last “/”."
        )


_NAMES: dict[str, Callable[[str], None]] = {
    "rbd": _check_image,
    "iscsi": _check_target,
    "gluster": _check_gluster,
}


def _check_servers(destination: Destination) -> None:
    servers, protocol = destination.servers, destination.protocol
    if not servers:
        what = "a monitor" if protocol == "rbd" else "a server"
        raise DestinationError(
            "servers", f"The destination has no server: name {what}."
        )
    if len(servers) > 1 and protocol in ("nbd", "iscsi"):
        raise DestinationError(
            "servers", f"{protocol} has one server: leave the others away."
        )
    for server in servers:
        if server.socket:
            _check_socket(destination, server)
        else:
            _check_host_name(server.name)
        _check_port(server.port)
    if len(set(servers)) != len(servers):
        raise DestinationError("servers", "A server is there twice: name it once.")


def _check_socket(destination: Destination, server: Server) -> None:
    if destination.protocol not in ("nbd", "gluster"):
        raise DestinationError(
            "servers",
            f"{destination.protocol} knows no Unix sockets: name a host instead.",
        )
    if server.name or server.port is not None:
        raise DestinationError(
            "servers", "A server is a host or a Unix socket: leave one of them away."
        )
    path = server.socket
    if not path.startswith("/") or path != posixpath.normpath(path):
        raise DestinationError(
            "servers",
            "The socket must be an absolute path without “..”, “.” and “//”.",
        )
    _check_name("servers", path, "socket's path", SOCKET_PATH_MAX)


def _check_host_name(name: str) -> None:
    if not name:
        raise DestinationError(
            "servers", "A server has no name: write a host name or an address."
        )
    if ":" in name:
        _check_ipv6(name)
    elif not _is_ipv4(name) and (len(name) > 253 or not _HOST_NAME.fullmatch(name)):
        raise DestinationError(
            "servers",
            f"{name[:60]!a} is no host name: write a name such as storage.example.org "
            "or an address.",
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
            f"{name[:60]!a} is no IPv6 address: write it as 2001:db8::1, without "
            "brackets, and the port on its own.",
        )


def _is_ipv4(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _check_port(port: int | None) -> None:
    if port is not None and (type(port) is not int or not 1 <= port <= 65535):
        raise DestinationError("servers", "The port must be a number from 1 to 65535.")


def _check_tls(destination: Destination) -> None:
    if not destination.tls:
        return
    if destination.protocol != "nbd":
        raise DestinationError(
            "tls", f"{destination.protocol} has no TLS here: switch it off."
        )
    if any(server.socket for server in destination.servers):
        raise DestinationError(
            "tls",
            "TLS checks a host's name, which a Unix socket has not: switch it off, or "
            "name a host.",
        )


def _check_auth(destination: Destination) -> None:
    user, auth = destination.user, destination.auth
    if not user and auth is None:
        return
    if destination.protocol not in ("rbd", "iscsi"):
        raise DestinationError(
            "user" if user else "auth",
            f"{destination.protocol} knows no users: leave user and secret away.",
        )
    if not user:
        raise DestinationError("user", "The secret needs a user: name the user too.")
    if auth is None:
        raise DestinationError("auth", "The user needs a secret: name the secret too.")
    _check_name("user", user, "user's name")
    _check_secret("auth", auth)


_PLACES: dict[str, Callable[[Destination], None]] = {
    "file": _check_path,
    "block": _check_path,
    "volume": _check_volume,
    "network": _check_network,
}


# --- What any kind can have -------------------------------------------------------


def _check_secret(field: str, secret: Secret) -> None:
    if bool(secret.uuid) == bool(secret.usage):
        raise DestinationError(
            field, "Name the libvirt secret by its UUID or by its usage, one of them."
        )
    if secret.uuid and not _UUID.fullmatch(secret.uuid):
        raise DestinationError(
            field,
            "The secret's UUID must be written as "
            "2a5b08e4-3dca-4ff9-9a1d-40389758d081.",
        )
    _check_name(field, secret.usage, "secret's usage", USAGE_MAX)


def _check_slice(destination: Destination) -> None:
    for field in _SLICE:
        value = getattr(destination, field)
        if type(value) is not int or not 0 <= value <= LARGEST_NUMBER or value % SECTOR:
            raise DestinationError(
                field,
                f"The slice's {field[6:]} must be a whole number of bytes, a multiple "
                f"of {SECTOR}.",
            )
    if destination.slice_offset and not destination.slice_size:
        raise DestinationError(
            "slice_size", "A slice that begins later needs a size: write it."
        )
    if destination.slice_offset + destination.slice_size > LARGEST_NUMBER:
        raise DestinationError("slice_size", "The slice is too large: make it smaller.")


def _check_qcow2_only(destination: Destination) -> None:
    cache = destination.metadata_cache
    if type(cache) is not int or not 0 <= cache <= LARGEST_NUMBER:
        raise DestinationError(
            "metadata_cache",
            "The metadata cache must be a whole number of bytes, 0 to 2⁶³ - 1.",
        )
    if destination.format == "qcow2":
        return
    if cache:
        raise DestinationError(
            "metadata_cache", "Only qcow2 has a metadata cache: leave it away."
        )
    if destination.backing is not None:
        raise DestinationError(
            "backing", "Only qcow2 has a backing file: leave it away, or choose qcow2."
        )


def _check_backing(backing: Destination, depth: int) -> None:
    if not depth:
        raise DestinationError(
            "backing",
            f"The backing chain is too long: declare at most {LONGEST_BACKING} files.",
        )
    if backing.kind == "volume":
        raise DestinationError(
            "backing", "A backing file is named by its path: write the volume's path."
        )
    try:
        _check(backing, depth - 1)
    except DestinationError as error:
        if error.field == "backing":
            raise
        raise DestinationError("backing", f"Backing file: {error.cause}") from error
