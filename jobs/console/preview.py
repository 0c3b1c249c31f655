"""What a copy would do, said before anything is started."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.console.job_xml import indented
from jobs.console.storage import EXTENSIONS, pool_of
from jobs.console.words import place
from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationError,
    HostFacts,
    flag_names,
    option_support,
    options_for,
    parameters,
    to_xml,
)
from jobs.lifecycle import WhenReady
from jobs.models import Host, StoragePool
from jobs.names import alone
from jobs.preflight import CopyRequest
from jobs.said import say
from jobs.units import bandwidth_text, bytes_text


@dataclass(frozen=True)
class Hint:
    """What to think of, and what would do about it: a field's id and another value."""

    words: str
    field: str = ""
    button: str = ""
    value: str = ""
    label: str = ""


@dataclass(frozen=True)
class Preview:
    """What would be sent to libvirt, what it will do, and what to think of first."""

    consequence: str
    xml: str
    flags: tuple[str, ...]
    parameters: tuple[tuple[str, int, str], ...]
    pool: StoragePool | None
    volume: str
    hints: tuple[Hint, ...]

    @property
    def indented(self) -> str:
        """Return the XML as people read it."""
        return indented(self.xml)


def preview_of(request: CopyRequest, pools: Iterable[StoragePool]) -> Preview:
    """Return the preview of `request`; it starts nothing and asks no host."""
    pool = _pool_of(request.destination, list(pools))
    options = options_for(request.destination, request.options)
    return Preview(
        consequence=consequence(request),
        xml=_xml(request),
        flags=flag_names(options, request.disk.domain.persistent),
        parameters=_parameters(options),
        pool=pool,
        volume=request.destination.volume,
        hints=tuple(_hints(request)),
    )


def _pool_of(destination: Destination, pools: list[StoragePool]) -> StoragePool | None:
    if destination.kind == "volume":
        named = (pool for pool in pools if pool.name == destination.pool)
        return next(named, None)
    return pool_of(destination.path, pools)


def consequence(request: CopyRequest) -> str:
    """Say in one or two sentences what starting the copy will lead to."""
    disk = request.disk
    name, source = alone(disk.domain.name), alone(disk.source)
    where = _where(request.destination)
    words = {"domain": name, "source": source, "where": where}
    begins = _begins(request, name, where)
    if request.when_ready == WhenReady.PIVOT:
        return say(
            "%(begins)s. As soon as both sides are in sync, %(domain)s runs from "
            "%(where)s without anybody asked; %(source)s stays and goes stale.",
            begins=begins,
            **words,
        )
    if request.when_ready == WhenReady.FINISH:
        frozen = (
            say("with the guest's file systems frozen, if its agent answers")
            if request.consistent
            else say("as after a power cut")
        )
        return say(
            "%(begins)s. As soon as both sides are in sync the mirror ends: %(domain)s "
            "stays on %(source)s, and %(where)s is kept as it is at that moment, "
            "%(frozen)s.",
            begins=begins,
            frozen=frozen,
            **words,
        )
    return say(
        "%(begins)s, then mirrored. %(domain)s stays on %(source)s until a person "
        "pivots, finishes or cancels.",
        begins=begins,
        **words,
    )


def _where(destination: Destination) -> str:
    if destination.kind == "volume" and destination.volume:
        return place(destination)
    return alone(place(destination)) or say("the destination")


def _begins(request: CopyRequest, name: str, where: str) -> str:
    disk = request.disk
    what: str = disk.target
    if disk.capacity:
        size = bytes_text(disk.capacity)
        what = say("%(disk)s (%(size)s)", disk=disk.target, size=size)
    words = {"domain": name, "disk": what, "where": where}
    if request.destination.kind != "volume":
        return say(
            "%(domain)s keeps running while %(disk)s is copied to %(where)s", **words
        )
    return say(
        "The volume %(volume)s is made for it, then %(domain)s keeps running while "
        "%(disk)s is copied to %(where)s",
        volume=alone(request.destination.volume),
        **words,
    )


def _xml(request: CopyRequest) -> str:
    try:
        return to_xml(request.destination)
    except DestinationError:
        return ""


def _parameters(options: CopyOptions) -> tuple[tuple[str, int, str], ...]:
    """Return name, exact value and its reading of what is not left to libvirt."""
    return tuple(
        (
            name,
            value,
            bandwidth_text(value) if name == "bandwidth" else bytes_text(value),
        )
        for name, value in parameters(options).items()
    )


def lacking(host: Host) -> dict[str, str]:
    """Return for each option why `host` lacks it, "" for what it has.

    What a host that was never seen can do is not known: nothing is greyed then.
    """
    if host.libvirt_version is None or host.hypervisor_version is None:
        return {}
    return option_support(
        HostFacts(
            hostname=host.reported_name,
            uuid=host.uuid,
            hypervisor=host.hypervisor,
            libvirt_version=host.libvirt_version,
            hypervisor_version=host.hypervisor_version,
        )
    )


def _hints(request: CopyRequest) -> Iterable[Hint]:
    destination = request.destination
    named = destination.path or destination.volume
    stem, dot, extension = named.rpartition(".")
    formats = {extension: name for name, extension in EXTENSIONS.items()}
    if dot and formats.get(extension, destination.format) != destination.format:
        fitting = f"{stem}.{EXTENSIONS[destination.format]}"
        field = {"file": "destination", "volume": "volume"}.get(destination.kind, "")
        yield Hint(
            say(
                "The name ends in .%(extension)s, the format is %(format)s.",
                extension=extension,
                format=destination.format,
            ),
            field=f"id_{field}" if field else "",
            button="place" if field == "destination" else "named",
            value=fitting,
            label=say("Call it %(name)s", name=posixpath.basename(fitting)),
        )
    if destination.kind == "block" and not destination.path.startswith("/dev/"):
        yield Hint(say("Block devices are usually below /dev."))
