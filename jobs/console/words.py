"""Destinations in the words of the pages."""

from __future__ import annotations

from jobs.hypervisor import Destination, Secret, Server
from jobs.units import bytes_text

_PROTOCOLS = {"nbd": "NBD", "rbd": "Ceph RBD", "iscsi": "iSCSI", "gluster": "Gluster"}


def place(destination: Destination) -> str:
    """Return where the copy goes as a person says it; empty while it is nowhere."""
    if destination.kind == "volume" and destination.volume:
        return f"{destination.volume} in the pool {destination.pool}"
    return destination.location


def kind(destination: Destination) -> str:
    """Return what kind of place it is: "file", "NBD with TLS", …"""
    if destination.kind == "network":
        name = _PROTOCOLS.get(destination.protocol or "", "network")
        return f"{name} with TLS" if destination.tls else name
    if destination.kind == "volume" and destination.volume:
        return f"volume {destination.volume} in the pool {destination.pool}"
    # An adopted copy may go anywhere that libvirt has a word for.
    return "block device" if destination.kind == "block" else destination.kind


def details(destination: Destination) -> list[tuple[str, str]]:
    """Return name and value of what is special about it; empty for a plain one."""
    found = []
    if destination.servers:
        found.append(("Served by", ", ".join(map(_server, destination.servers))))
    if destination.user:
        found.append(("User", destination.user))
    if destination.auth:
        found.append(("Signs in with", secret(destination.auth)))
    if destination.encryption:
        found.append(("Encryption", f"LUKS, {secret(destination.encryption)}"))
    if destination.slice_size:
        size, offset = destination.slice_size, destination.slice_offset
        part = f"{bytes_text(size)} from {bytes_text(offset)} on"
        found.append(("Part of it", f"{part} ({size} bytes at {offset})"))
    if destination.backing:
        found.append(("Backing file", destination.backing.location))
    return found


def secret(named: Secret) -> str:
    """Return a secret's name; its value is known to libvirt alone."""
    return f"secret {named.uuid}" if named.uuid else f"secret of usage {named.usage}"


def _server(server: Server) -> str:
    if server.socket:
        return f"the socket {server.socket}"
    name = f"[{server.name}]" if ":" in server.name else server.name
    return f"{name}:{server.port}" if server.port else name
