"""Destinations in the words of the pages."""

from __future__ import annotations

from jobs.hypervisor import Destination, Secret, Server
from jobs.said import say
from jobs.units import bytes_text

_PROTOCOLS = {
    "nbd": "NBD",
    "rbd": "Ceph RBD",
    "iscsi": "iSCSI",
    "gluster": "Gluster",
}

_KINDS = {"file": say("file"), "block": say("block device")}


def place(destination: Destination) -> str:
    """Return where the copy goes as a person says it; empty while it is nowhere."""
    if destination.kind == "volume" and destination.volume:
        return say(
            "%(volume)s in the pool %(pool)s",
            volume=destination.volume,
            pool=destination.pool,
        )
    return destination.location


def kind(destination: Destination) -> str:
    """Return what kind of place it is: "file", "NBD with TLS", …"""
    if destination.kind == "network":
        name = _PROTOCOLS.get(destination.protocol or "", say("network"))
        return say("%(name)s with TLS", name=name) if destination.tls else name
    if destination.kind == "volume" and destination.volume:
        return say(
            "volume %(volume)s in the pool %(pool)s",
            volume=destination.volume,
            pool=destination.pool,
        )
    # An adopted copy may go anywhere that libvirt has a word for.
    return _KINDS.get(destination.kind, destination.kind)


def details(destination: Destination) -> list[tuple[str, str]]:
    """Return name and value of what is special about it; empty for a plain one."""
    found: list[tuple[str, str]] = []
    if destination.servers:
        found.append((say("Served by"), ", ".join(map(_server, destination.servers))))
    if destination.user:
        found.append((say("User"), destination.user))
    if destination.auth:
        found.append((say("Signs in with"), secret(destination.auth)))
    if destination.encryption:
        found.append(
            (
                say("Encryption"),
                say("LUKS, %(secret)s", secret=secret(destination.encryption)),
            )
        )
    if destination.slice_size:
        size, offset = destination.slice_size, destination.slice_offset
        part = say(
            "%(size)s from %(offset)s on",
            size=bytes_text(size),
            offset=bytes_text(offset),
        )
        found.append(
            (
                say("Part of it"),
                say(
                    "%(part)s (%(size)s bytes at %(offset)s)",
                    part=part,
                    size=size,
                    offset=offset,
                ),
            )
        )
    if destination.backing:
        found.append((say("Backing file"), destination.backing.location))
    return found


def secret(named: Secret) -> str:
    """Return a secret's name; its value is known to libvirt alone."""
    return (
        say("secret %(uuid)s", uuid=named.uuid)
        if named.uuid
        else say("secret of usage %(usage)s", usage=named.usage)
    )


def _server(server: Server) -> str:
    if server.socket:
        return say("the socket %(socket)s", socket=server.socket)
    name = f"[{server.name}]" if ":" in server.name else server.name
    return f"{name}:{server.port}" if server.port else name
