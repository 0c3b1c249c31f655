"""What is wrong with a destination, each in one sentence that says what to do."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from jobs.hypervisor.destination import (
    FORMATS,
    KINDS,
    Destination,
    DestinationError,
)
from jobs.hypervisor.destination_names import NAME_MAX, check_name, check_secret
from jobs.hypervisor.destination_network import check_network

PATH_MAX = 4095
SECTOR = 512
LARGEST_NUMBER = 2**63 - 1
LONGEST_BACKING = 20

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
        check_secret("encryption", destination.encryption)
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
        check_name(field, name, f"name of the {what}")
        if "/" in name or name in (".", ".."):
            raise DestinationError(
                field,
                f"The name of the {what} must be one name without “/”, not a path.",
            )
    if destination.path:
        _check_path(destination)


_PLACES: dict[str, Callable[[Destination], None]] = {
    "file": _check_path,
    "block": _check_path,
    "volume": _check_volume,
    "network": check_network,
}


# --- What any kind can have -------------------------------------------------------


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
