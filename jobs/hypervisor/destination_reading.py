"""Destinations out of raw XML, for experts.

Of a destination libvirt reads the type, the source, the driver's type and metadata
cache, and the backing store (virDomainDiskDefParseSource; docs/formatdomain), and
leaves the rest unread without a word. Here whatever would not be kept is refused by
its name.
"""

from __future__ import annotations

from typing import Any, cast

from jobs.hypervisor.destination import (
    PROTOCOLS,
    Destination,
    DestinationError,
    Format,
    Kind,
    Secret,
    Server,
)
from jobs.hypervisor.destination_check import check
from jobs.hypervisor.destination_xml import AUTH_TYPE, PATH_ATTRIBUTE
from jobs.hypervisor.strict_xml import Node, parse, whole_number, wrong
from jobs.said import say

# libvirt's scaled integers (virScaleInteger), for sizes that a cache can have.
_UNITS = {
    **{"bytes": 1, "byte": 1, "b": 1},
    **{"KiB": 2**10, "K": 2**10, "k": 2**10, "KB": 10**3},
    **{"MiB": 2**20, "M": 2**20, "MB": 10**6},
    **{"GiB": 2**30, "G": 2**30, "GB": 10**9},
}


def from_xml(text: str) -> Destination:
    """The destination that was written as a `<disk>`, checked.

    Raises DestinationError, always on the field "xml": for what can't be read, for
    each element and attribute that a destination can't have, and for wrong values.
    """
    disk = parse(text)
    if disk.tag != "disk":
        raise wrong(say("The XML must be one <disk>, not <%(tag)s>.", tag=disk.tag))
    destination = _image(disk, disk.one_of("type", _KINDS, "file"), disk.only("driver"))
    try:
        check(destination)
    except DestinationError as error:
        raise wrong(error.cause) from error
    return destination


_KINDS = ("file", "block", "volume", "network")


def _image(node: Node, kind: str, driver: Node | None) -> Destination:
    """A `<disk>` or a `<backingStore>`, whose format is in `driver`."""
    source, below = node.need("source"), node.only("backingStore")
    node.end()
    return Destination(
        kind=cast(Kind, kind),
        **_format(driver, node.tag),
        **_SOURCES[kind](source),
        **_rest_of_source(source),
        backing=_backing(below),
    )


def _backing(node: Node | None) -> Destination | None:
    """None for an end mark too: above it says what a full copy has anyway, and below
    a backing file libvirt looks for itself, by the format that was declared."""
    if node is None or node.is_empty:
        return None
    return _image(node, node.one_of("type", _KINDS), node.only("format"))


def _format(driver: Node | None, parent: str) -> dict[str, Any]:
    if driver is None:
        tag = "driver" if parent == "disk" else "format"
        raise wrong(
            say(
                "<%(parent)s> has no <%(tag)s>: add <%(tag)s type='qcow2'/> or "
                "<%(tag)s type='raw'/>, so that the format is never guessed.",
                parent=parent,
                tag=tag,
            )
        )
    format_ = driver.one_of("type", ("raw", "qcow2"))
    cache = driver.only("metadata_cache")
    driver.end()
    return {"format": cast(Format, format_), "metadata_cache": _cache(cache)}


def _cache(node: Node | None) -> int:
    if node is None:
        return 0
    size = node.need("max_size")
    node.end()
    unit = _UNITS[size.one_of("unit", tuple(_UNITS), "bytes")]
    value = whole_number(size.text(), "<max_size>") * unit
    size.end()
    if not value:
        raise wrong(say("<max_size> must be more than 0."))
    return value


def _path(kind: str, node: Node) -> dict[str, Any]:
    attribute = PATH_ATTRIBUTE[kind]
    path = node.attribute(attribute)
    if not path:
        raise wrong(
            say(
                "<source> of a destination of the type %(kind)s names no place: "
                "write it into the attribute “%(attribute)s”.",
                kind=kind,
                attribute=attribute,
            )
        )
    return {"path": path}


def _volume(node: Node) -> dict[str, Any]:
    return {"pool": node.attribute("pool"), "volume": node.attribute("volume")}


def _network(node: Node) -> dict[str, Any]:
    protocol = node.one_of("protocol", PROTOCOLS)
    return {
        "protocol": protocol,
        "name": node.attribute("name"),
        "tls": node.one_of("tls", ("yes", "no"), "no") == "yes",
        "servers": tuple(_server(host) for host in node.all("host")),
        **_auth(node.only("auth"), protocol),
    }


_SOURCES = {
    "file": lambda node: _path("file", node),
    "block": lambda node: _path("block", node),
    "volume": _volume,
    "network": _network,
}


def _server(node: Node) -> Server:
    transport = node.one_of("transport", ("tcp", "unix"), "tcp")
    server = Server(
        node.attribute("name"), node.number("port"), node.attribute("socket")
    )
    node.end()
    if (transport == "unix") != bool(server.socket):
        raise wrong(
            say(
                "A <host> of the transport unix has a “socket”, and only such a "
                "one: write both or neither."
            )
        )
    return server


def _auth(node: Node | None, protocol: str) -> dict[str, Any]:
    if node is None:
        return {}
    if protocol not in AUTH_TYPE:
        raise wrong(
            say("<auth> cannot be used for %(protocol)s: remove it.", protocol=protocol)
        )
    user = node.attribute("username")
    secret = _secret(node.need("secret"), AUTH_TYPE[protocol])
    node.end()
    return {"user": user, "auth": secret}


def _secret(node: Node, type_: str) -> Secret:
    node.one_of("type", (type_,))
    secret = Secret(node.attribute("uuid"), node.attribute("usage"))
    node.end()
    return secret


def _rest_of_source(node: Node) -> dict[str, Any]:
    """What a source of any kind can have; nothing else may be left in it."""
    rest = {**_encryption(node.only("encryption")), **_slice(node.only("slices"))}
    node.end()
    return rest


def _encryption(node: Node | None) -> dict[str, Any]:
    if node is None:
        return {}
    node.one_of("format", ("luks",))
    node.one_of("engine", ("qemu",), "qemu")  # as libvirt itself shows it
    secret = _secret(node.need("secret"), "passphrase")
    node.end()
    return {"encryption": secret}


def _slice(node: Node | None) -> dict[str, Any]:
    if node is None:
        return {}
    part = node.need("slice")
    node.end()
    part.one_of("type", ("storage",))
    offset, size = part.number("offset"), part.number("size")
    part.end()
    if offset is None or not size:
        raise wrong(
            say("<slice> needs an “offset” and a “size”: write both, in bytes.")
        )
    return {"slice_offset": offset, "slice_size": size}
