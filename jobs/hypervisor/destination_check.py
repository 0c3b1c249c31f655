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
from jobs.said import say

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
    "file": say("A file"),
    "block": say("A device"),
    "volume": say("A storage volume"),
    "network": say("A network destination"),
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
            say(
                "The destination must be a file, a device, a storage volume or "
                "a network destination."
            ),
        )
    if destination.format not in FORMATS:
        raise DestinationError("format", say("The format must be raw or qcow2."))
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
                say(
                    "%(kind)s has no %(field)s: leave it away, or choose "
                    "another kind of destination.",
                    kind=_KIND_TEXT[destination.kind],
                    field=field.replace("_", " "),
                ),
            )


# --- Places on the host -----------------------------------------------------------


def _check_path(destination: Destination) -> None:
    path = destination.path
    if not path:
        raise DestinationError("path", say("The destination has no path: write it."))
    if not path.startswith("/"):
        raise DestinationError(
            "path", say("The destination must be an absolute path: begin it with “/”.")
        )
    if not path.isprintable():
        raise DestinationError(
            "path", say("The path contains control characters: remove them.")
        )
    if path == "/":
        raise DestinationError(
            "path", say("The destination must be a file or a device: add its name.")
        )
    if path != posixpath.normpath(path) or path.startswith("//"):
        raise DestinationError(
            "path",
            say("The path must be written without “..”, “.”, “//” and a last “/”."),
        )
    _check_lengths(path)


def _check_lengths(path: str) -> None:
    names = path.encode(errors="surrogateescape").split(b"/")
    if max(map(len, names)) > NAME_MAX or sum(map(len, names)) > PATH_MAX - len(names):
        raise DestinationError(
            "path",
            say(
                "The path is too long: use at most %(name_max)s bytes for each "
                "name and %(path_max)s for all.",
                name_max=NAME_MAX,
                path_max=PATH_MAX,
            ),
        )


def _check_volume(destination: Destination) -> None:
    names = (("pool", say("name of the pool")), ("volume", say("name of the volume")))
    for field, what in names:
        name = getattr(destination, field)
        if not name:
            raise DestinationError(
                field,
                say("The pool is missing: name it.")
                if field == "pool"
                else say("The volume is missing: name it."),
            )
        check_name(field, name, what)
        if "/" in name or name in (".", ".."):
            raise DestinationError(
                field,
                say(
                    "The %(what)s must be one name without “/”, not a path.",
                    what=what,
                ),
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
                say(
                    "The slice's %(field)s must be a whole number of bytes, a "
                    "multiple of %(sector)s.",
                    field=field[6:],
                    sector=SECTOR,
                ),
            )
    if destination.slice_offset and not destination.slice_size:
        raise DestinationError(
            "slice_size", say("A slice that begins later needs a size: write it.")
        )
    if destination.slice_offset + destination.slice_size > LARGEST_NUMBER:
        raise DestinationError(
            "slice_size", say("The slice is too large: make it smaller.")
        )


def _check_qcow2_only(destination: Destination) -> None:
    cache = destination.metadata_cache
    if type(cache) is not int or not 0 <= cache <= LARGEST_NUMBER:
        raise DestinationError(
            "metadata_cache",
            say("The metadata cache must be a whole number of bytes, 0 to 2⁶³ - 1."),
        )
    if destination.format == "qcow2":
        return
    if cache:
        raise DestinationError(
            "metadata_cache", say("Only qcow2 has a metadata cache: leave it away.")
        )
    if destination.backing is not None:
        raise DestinationError(
            "backing",
            say("Only qcow2 has a backing file: leave it away, or choose qcow2."),
        )


def _check_backing(backing: Destination, depth: int) -> None:
    if not depth:
        raise DestinationError(
            "backing",
            say(
                "The backing chain is too long: declare at most "
                "%(longest_backing)s files.",
                longest_backing=LONGEST_BACKING,
            ),
        )
    if backing.kind == "volume":
        raise DestinationError(
            "backing",
            say("A backing file is named by its path: write the volume's path."),
        )
    try:
        _check(backing, depth - 1)
    except DestinationError as error:
        if error.field == "backing":
            raise
        raise DestinationError(
            "backing", say("Backing file: %(cause)s", cause=error.cause)
        ) from error
