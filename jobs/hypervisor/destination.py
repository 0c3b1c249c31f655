"""Typed destinations and options of a copy, and the XML that libvirt gets."""

from __future__ import annotations

import posixpath
from dataclasses import asdict, dataclass
from typing import Any, Literal
from xml.etree import ElementTree

from jobs.hypervisor.errors import DestinationUnusable, InvalidOption
from jobs.hypervisor.records import CopyOptions

KINDS = ("file", "block")
FORMATS = ("raw", "qcow2")
PATH_MAX = 4095
NAME_MAX = 255
SMALLEST_GRANULARITY = 512
LARGEST_GRANULARITY = 64 * 1024 * 1024
LARGEST_NUMBER = 2**63 - 1

_SOURCE_ATTRIBUTE = {"file": "file", "block": "dev"}


class DestinationError(DestinationUnusable):
    """A destination that no host could use; `field` names the wrong part."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, cause=message, remedy="Correct the destination.")
        self.field = field
        self.args = (field, message)


Kind = Literal["file", "block", "volume", "network"]
Protocol = Literal["nbd", "rbd", "iscsi", "gluster"]
Format = Literal["raw", "qcow2"]


@dataclass(frozen=True)
class Server:
    """Where a network destination is served: a name with a port, or a Unix socket's
    path on the host. Without a port it is the protocol's own."""

    name: str = ""
    port: int | None = None
    socket: str = ""


@dataclass(frozen=True)
class Secret:
    """A libvirt secret on the host, by UUID or by usage; never its value."""

    uuid: str = ""
    usage: str = ""


@dataclass(frozen=True)
class Destination:
    """Where a copy goes.

    file: `path`, new or reused. block: `path` of a device that exists. volume: a
    `volume` to be created in `pool`; `path` is its path once it has been created.
    network: `name` (export, pool/image, IQN/LUN, volume/path) on `servers` by
    `protocol`; `user` and `auth` sign in, `tls` is for nbd.

    `encryption` is LUKS with the passphrase in that secret. `slice_size` bytes from
    `slice_offset` on are used of something larger; 0 is all of it. `backing` declares
    the backing file of a reused shallow destination, `metadata_cache` (bytes, 0 is
    libvirt's default) the qcow2 metadata cache: both only ever come from raw XML.
    """

    kind: Kind
    path: str = ""
    format: Format = "qcow2"
    pool: str = ""
    volume: str = ""
    protocol: Protocol | None = None
    name: str = ""
    servers: tuple[Server, ...] = ()
    tls: bool = False
    user: str = ""
    auth: Secret | None = None
    encryption: Secret | None = None
    slice_offset: int = 0
    slice_size: int = 0
    backing: Destination | None = None
    metadata_cache: int = 0

    @property
    def location(self) -> str:
        """The text by which hosts' sources and mirrors are compared with it."""
        if self.kind == "volume" and not self.path:
            return f"{self.pool}/{self.volume}"
        return self.path


def destination_to_json(destination: Destination) -> dict[str, Any]:
    """What is kept with a job: nested dicts, lists, texts and numbers."""
    return asdict(destination)


def destination_from_json(kept: dict[str, Any]) -> Destination:
    """The destination that `destination_to_json` made this of."""
    nested: dict[str, Any] = {
        "servers": tuple(Server(**server) for server in kept.get("servers", ())),
        **{
            name: Secret(**kept[name])
            for name in ("auth", "encryption")
            if kept.get(name)
        },
    }
    if kept.get("backing"):
        nested["backing"] = destination_from_json(kept["backing"])
    return Destination(**{**kept, **nested})


def check(destination: Destination) -> None:
    """Raise DestinationError unless a host could make sense of it.

    The formats are a list because libvirt would accept any (vmdk too), and the path
    must be written in one way only, since identity is compared by its text.
    """
    if destination.kind not in KINDS:
        raise DestinationError("kind", "The destination must be a file or a device.")
    if destination.format not in FORMATS:
        raise DestinationError("format", "The format must be raw or qcow2.")
    _check_path(destination.path)


def _check_path(path: str) -> None:
    if not path:
        raise DestinationError("path", "The destination has no path.")
    if not path.startswith("/"):
        raise DestinationError("path", "The destination must be an absolute path.")
    if not path.isprintable():
        raise DestinationError("path", "The path contains control characters.")
    if path == "/":
        raise DestinationError("path", "The destination must be a file or a device.")
    if path != posixpath.normpath(path) or path.startswith("//"):
        raise DestinationError(
            "path", "The path must be written without “..”, “.”, “//” and a last “/”."
        )
    _check_lengths(path)


def _check_lengths(path: str) -> None:
    names = path.encode(errors="surrogateescape").split(b"/")
    if max(map(len, names)) > NAME_MAX or sum(map(len, names)) > PATH_MAX - len(names):
        raise DestinationError("path", "The path is too long.")


def location(source: ElementTree.Element | None) -> str:
    """One text for a `<source>` of any type; "" for none.

    Network sources become `protocol://host:port/name`, volumes `pool/volume`.
    """
    if source is None:
        return ""
    for attribute in ("file", "dev", "dir"):
        if value := source.get(attribute):
            return value
    if protocol := source.get("protocol"):
        return _network_location(protocol, source)
    if volume := source.get("volume"):
        return f"{source.get('pool', '')}/{volume}"
    return source.get("path", "")


def _network_location(protocol: str, source: ElementTree.Element) -> str:
    name = source.get("name", "")
    host = source.find("host")
    if host is None:
        return f"{protocol}:///{name}"
    if socket := host.get("socket"):
        return f"{protocol}+unix:///{name}?socket={socket}"
    port = f":{host.get('port')}" if host.get("port") else ""
    return f"{protocol}://{host.get('name', '')}{port}/{name}"


def to_xml(destination: Destination) -> str:
    """The `<disk>` for virDomainBlockCopy, checked.

    Always with a driver type: without one libvirt takes the source's format, and
    probes a reused file, which a guest could have forged.
    """
    check(destination)
    disk = ElementTree.Element("disk", type=destination.kind)
    attribute = _SOURCE_ATTRIBUTE[destination.kind]
    ElementTree.SubElement(disk, "source", {attribute: destination.path})
    ElementTree.SubElement(disk, "driver", type=destination.format)
    return ElementTree.tostring(disk, encoding="unicode")


def check_options(options: CopyOptions) -> None:
    """Raise InvalidOption for a value that libvirt or QEMU would refuse."""
    _check_granularity(options.granularity)
    _check_number("bandwidth", options.bandwidth)
    _check_number("buf_size", options.buf_size)


def check_bandwidth(bytes_per_second: int) -> None:
    """Raise InvalidOption unless it is 0 (unlimited) up to 2**63 - 1 bytes/s."""
    _check_number("bandwidth", bytes_per_second)


def _check_granularity(value: int) -> None:
    _check_number("granularity", value)
    if value & (value - 1):
        raise InvalidOption.of("granularity", "granularity must be a power of two.")
    if value and not SMALLEST_GRANULARITY <= value <= LARGEST_GRANULARITY:
        raise InvalidOption.of(
            "granularity", "granularity must be between 512 bytes and 64 MiB."
        )


def _check_number(field: str, value: int) -> None:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise InvalidOption.of(field, f"{field} must be a whole number, 0 to 2⁶³ - 1.")
