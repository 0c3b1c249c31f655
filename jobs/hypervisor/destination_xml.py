"""Destinations as the XML that virDomainBlockCopy takes."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from jobs.hypervisor.destination import Destination, Secret, Server
from jobs.hypervisor.destination_check import check

PATH_ATTRIBUTE = {"file": "file", "block": "dev"}
AUTH_TYPE = {"rbd": "ceph", "iscsi": "iscsi"}


def to_xml(destination: Destination) -> str:
    """The `<disk>` for virDomainBlockCopy, checked.

    Always with a driver type: without one libvirt takes the source's format, and
    probes a reused file, which a guest could have forged. A volume that has no path
    yet is shown as a volume, which libvirt would refuse: it has to be created first.
    """
    check(destination)
    disk = Element("disk", type=destination.source_type)
    disk.append(_source(destination))
    _format(SubElement(disk, "driver", type=destination.format), destination)
    if destination.backing is not None:
        disk.append(_backing(destination.backing))
    return ElementTree.tostring(disk, encoding="unicode")


def _source(destination: Destination) -> Element:
    source = Element("source", _place(destination))
    for server in destination.servers:
        source.append(Element("host", _host(server)))
    if destination.auth is not None:
        auth = SubElement(source, "auth", username=destination.user)
        auth.append(_secret(destination.auth, AUTH_TYPE[destination.protocol or ""]))
    if destination.encryption is not None:
        encryption = SubElement(source, "encryption", format="luks")
        encryption.append(_secret(destination.encryption, "passphrase"))
    if destination.slice_size:
        offset, size = str(destination.slice_offset), str(destination.slice_size)
        slices = SubElement(source, "slices")
        SubElement(slices, "slice", type="storage", offset=offset, size=size)
    return source


def _place(destination: Destination) -> dict[str, str]:
    kind = destination.source_type
    if kind == "volume":
        return {"pool": destination.pool, "volume": destination.volume}
    if kind != "network":
        return {PATH_ATTRIBUTE[kind]: destination.path}
    place: dict[str, str] = {"protocol": destination.protocol or ""}
    if destination.name:
        place["name"] = destination.name
    if destination.tls:
        place["tls"] = "yes"
    return place


def _host(server: Server) -> dict[str, str]:
    if server.socket:
        return {"transport": "unix", "socket": server.socket}
    port = {"port": str(server.port)} if server.port is not None else {}
    return {"name": server.name, **port}


def _secret(secret: Secret, type_: str) -> Element:
    named = {"uuid": secret.uuid} if secret.uuid else {"usage": secret.usage}
    return Element("secret", {"type": type_, **named})


def _format(element: Element, destination: Destination) -> None:
    if destination.metadata_cache:
        cache = SubElement(element, "metadata_cache")
        size = SubElement(cache, "max_size", unit="bytes")
        size.text = str(destination.metadata_cache)


def _backing(backing: Destination) -> Element:
    """Without an end mark: a chain that was declared too short would be corrupted."""
    store = Element("backingStore", type=backing.source_type)
    _format(SubElement(store, "format", type=backing.format), backing)
    store.append(_source(backing))
    if backing.backing is not None:
        store.append(_backing(backing.backing))
    return store
