"""What a copy would do, said before anything is started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.console.storage import EXTENSIONS, pool_of
from jobs.hypervisor import CopyOptions, DestinationError, to_xml
from jobs.lifecycle import WhenReady
from jobs.models import StoragePool
from jobs.preflight import CopyRequest
from jobs.units import bandwidth_text, bytes_text


@dataclass(frozen=True)
class Preview:
    """What would be sent to libvirt, what it will do, and what to think of first."""

    consequence: str
    xml: str
    flags: tuple[str, ...]
    parameters: tuple[tuple[str, int, str], ...]
    pool: StoragePool | None
    hints: tuple[str, ...]


def preview_of(request: CopyRequest, pools: Iterable[StoragePool]) -> Preview:
    """Return the preview of `request`; it starts nothing and asks no host."""
    pool = pool_of(request.destination.path, pools)
    return Preview(
        consequence=consequence(request),
        xml=_xml(request),
        flags=_flags(request),
        parameters=_parameters(request.options),
        pool=pool,
        hints=tuple(_hints(request, pool)),
    )


def consequence(request: CopyRequest) -> str:
    """Say in one or two sentences what starting the copy will lead to."""
    disk, path = request.disk, request.destination.path or "the destination"
    name = disk.domain.name
    size = f" ({bytes_text(disk.capacity)})" if disk.capacity else ""
    begins = f"{name} keeps running while {disk.target}{size} is copied to {path}"
    if request.when_ready == WhenReady.PIVOT:
        return (
            f"{begins}. As soon as both sides are in sync, {name} runs from {path} "
            f"without anybody asked; {disk.source} stays and goes stale."
        )
    if request.when_ready == WhenReady.FINISH:
        return (
            f"{begins}. As soon as both sides are in sync the mirror ends: {name} "
            f"stays on {disk.source}, and {path} is kept as it is at that moment, as "
            "after a power cut."
        )
    return (
        f"{begins}, then mirrored. {name} stays on {disk.source} until a person "
        "pivots, finishes or cancels."
    )


def _xml(request: CopyRequest) -> str:
    try:
        return to_xml(request.destination)
    except DestinationError:
        return ""


def _flags(request: CopyRequest) -> tuple[str, ...]:
    """Return libvirt's names for the flags of virDomainBlockCopy."""
    options = request.options
    named = (
        ("SHALLOW", options.shallow),
        ("REUSE_EXT", options.reuse_external),
        ("TRANSIENT_JOB", request.disk.domain.persistent),
        ("SYNCHRONOUS_WRITES", options.synchronous_writes),
    )
    return tuple(f"VIR_DOMAIN_BLOCK_COPY_{name}" for name, given in named if given)


def _parameters(options: CopyOptions) -> tuple[tuple[str, int, str], ...]:
    """Return name, exact value and its reading of what is not left to libvirt."""
    given = (
        ("bandwidth", options.bandwidth, bandwidth_text(options.bandwidth)),
        ("granularity", options.granularity, bytes_text(options.granularity)),
        ("buf-size", options.buf_size, bytes_text(options.buf_size)),
    )
    return tuple(entry for entry in given if entry[1])


def _hints(request: CopyRequest, pool: StoragePool | None) -> Iterable[str]:
    destination, disk = request.destination, request.disk
    if pool is not None and disk.capacity and pool.available < disk.capacity:
        yield (
            f"{pool.name} has {bytes_text(pool.available)} free, the disk can grow to "
            f"{bytes_text(disk.capacity)}. A copy that runs out of space fails; the "
            "guest goes on."
        )
    for file_format, extension in EXTENSIONS.items():
        named_so = destination.path.endswith(f".{extension}")
        if named_so and file_format != destination.format:
            yield f"The name ends in .{extension}, the format is {destination.format}."
    if destination.kind == "block" and not destination.path.startswith("/dev/"):
        yield "Block devices are usually below /dev."
    if disk.shareable:
        yield (
            f"Other domains may write to {disk.target} too; what they write is not "
            "mirrored."
        )
    if request.options.reuse_external:
        yield (
            "The file must have exactly the disk's size inside, "
            f"{bytes_text(disk.capacity)}; with any other the copy fails after its "
            "start."
        )
