"""Typed destinations of a copy, and the one text by which places are compared."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal
from xml.etree import ElementTree

from jobs.hypervisor.errors import DestinationUnusable
from jobs.said import say

KINDS = ("file", "block", "volume", "network")
PROTOCOLS = ("nbd", "rbd", "iscsi", "gluster")
FORMATS = ("raw", "qcow2")

# What libvirt adds to a server without a port, and then shows in the live XML
# (virStorageSourceNetworkDefaultPort). For rbd it adds none: librados has two.
DEFAULT_PORTS = {"nbd": 10809, "iscsi": 3260, "gluster": 24007}

# These would make one text of two places.
_ESCAPES = str.maketrans({character: f"%{ord(character):02X}" for character in "%?#&"})


class DestinationError(DestinationUnusable):
    """A destination that no host could use; `field` names the wrong part."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, cause=message, remedy=say("Correct the destination."))
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
    `protocol`; `user` and `auth` sign in, `tls` is for nbd (without it the host's own
    default is taken).

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
        if self.kind == "network":
            return network_location(self.protocol or "", self.name, self.servers)
        if self.kind == "volume" and not self.path:
            return f"{self.pool}/{self.volume}"
        return self.path

    @property
    def source_type(self) -> Literal["file", "block", "volume", "network"]:
        """The `type` that libvirt gets.

        A created volume is a file or a device, since libvirt refuses volumes as
        destinations. Which of the two, its path says: the volumes of logical, disk,
        iscsi, scsi and mpath pools are below /dev, those of dir, fs and netfs pools
        are not (/dev/shm is a file system of its own). "volume" only while there is
        no path yet.
        """
        if self.kind != "volume" or not self.path:
            return self.kind
        folder, _, name = self.path.removeprefix("/dev/").partition("/")
        in_memory = folder == "shm" and name
        device = self.path.startswith("/dev/") and not in_memory
        return "block" if device else "file"


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


def location(source: ElementTree.Element | None) -> str:
    """One text for a `<source>` of any type; "" for none.

    Network sources become `protocol://host:port,host:port/name`, Unix sockets follow
    as `?socket=/path`, volumes are `pool/volume`.
    """
    if source is None:
        return ""
    for attribute in ("file", "dev", "dir"):
        if value := source.get(attribute):
            return value
    if protocol := source.get("protocol"):
        servers = [_server(host) for host in source.iterfind("host")]
        return network_location(protocol, source.get("name", ""), servers)
    if volume := source.get("volume"):
        return f"{source.get('pool', '')}/{volume}"
    return source.get("path", "")


def _server(host: ElementTree.Element) -> Server:
    port = host.get("port", "")
    return Server(
        host.get("name", ""),
        int(port) if port.isdecimal() else None,
        host.get("socket", ""),
    )


def network_location(protocol: str, name: str, servers: Iterable[Server]) -> str:
    """One text for a place on a network, whether libvirt wrote it down or a person.

    Ports that libvirt would add are added, names of hosts are in lower case, numeric
    addresses in their shortest form. The order of the servers counts.
    """
    hosts, sockets = [], []
    for server in servers:
        if server.socket:
            sockets.append(f"socket={server.socket.translate(_ESCAPES)}")
        else:
            hosts.append(_authority(protocol, server))
    if protocol == "iscsi" and "/" not in name:
        name += "/0"  # so QEMU takes it
    scheme = f"{protocol}+unix" if sockets and not hosts else protocol
    query = f"?{'&'.join(sockets)}" if sockets else ""
    return f"{scheme}://{','.join(hosts)}/{name.translate(_ESCAPES)}{query}"


def _authority(protocol: str, server: Server) -> str:
    port = DEFAULT_PORTS.get(protocol) if server.port is None else server.port
    return _host_text(server.name) + ("" if port is None else f":{port}")


def _host_text(name: str) -> str:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower()
    return f"[{address}]" if address.version == 6 else str(address)
