"""The options of a copy: which values they can have, and what libvirt gets of them."""

from __future__ import annotations

from dataclasses import replace

from jobs.hypervisor.destination import Destination
from jobs.hypervisor.errors import InvalidOption
from jobs.hypervisor.records import CopyOptions
from jobs.said import say

SMALLEST_GRANULARITY = 512
LARGEST_GRANULARITY = 64 * 1024 * 1024
LARGEST_NUMBER = 2**63 - 1

# virDomainBlockCopyFlags: libvirt's name, its number, the option. The numbers are here
# because libvirt-python knows only those names that the libvirt it was built with has.
FLAGS = (
    ("VIR_DOMAIN_BLOCK_COPY_SHALLOW", 1, "shallow"),
    ("VIR_DOMAIN_BLOCK_COPY_REUSE_EXT", 2, "reuse_external"),
    ("VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB", 4, ""),
    ("VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES", 8, "synchronous_writes"),
    ("VIR_DOMAIN_BLOCK_COPY_TARGET_ZEROED", 16, "target_zeroed"),
)
_NAMES = {
    "bandwidth": say("bandwidth"),
    "granularity": say("granularity"),
    "buf_size": "buf-size",
}
_PARAMETERS = (
    ("bandwidth", "bandwidth"),
    ("granularity", "granularity"),
    ("buf-size", "buf_size"),
)


def options_for(destination: Destination, options: CopyOptions) -> CopyOptions:
    """The options that libvirt really gets.

    A volume that the console has created is a reused file or device to it. So is a
    slice, since libvirt creates none (error 84): of a device or on a network that is
    there anyway, while a file is reused only if somebody says so (see check_together).
    """
    into_slice = destination.slice_size and destination.kind != "file"
    if destination.kind == "volume" or into_slice:
        return replace(options, reuse_external=True)
    return options


def check_together(destination: Destination, options: CopyOptions) -> None:
    """Raise InvalidOption for options that this destination can't have."""
    if destination.slice_size and not options_for(destination, options).reuse_external:
        raise InvalidOption.of(
            "reuse_external",
            say("A slice is part of a file that exists."),
            say("Allow the file to be reused, or leave the slice away."),
        )
    if options.target_zeroed and not _is_zeroed(destination):
        raise InvalidOption.of(
            "target_zeroed",
            say(
                "Only a new volume is known to be zeroed, and neither a raw "
                "device nor raw LUKS is."
            ),
            say("Leave “destination is zeroed” off."),
        )


def _is_zeroed(destination: Destination) -> bool:
    """Said of anything else, the guest would read what was there before. A new logical
    volume holds its last owner's data, and what LUKS makes of zeros is noise; in qcow2
    both are zero until they are written."""
    if destination.kind != "volume" or destination.format == "qcow2":
        return destination.kind == "volume"
    return destination.source_type != "block" and destination.encryption is None


def flag_names(options: CopyOptions, persistent: bool) -> tuple[str, ...]:
    """libvirt's names for the flags of virDomainBlockCopy, as virsh's manual has them.

    A persistent domain needs the transient-job flag, which nobody has to ask for.
    """
    return tuple(
        name
        for name, _, option in FLAGS
        if (getattr(options, option) if option else persistent)
    )


def flags(options: CopyOptions, persistent: bool) -> int:
    """The same as the number that libvirt takes."""
    names = flag_names(options, persistent)
    return sum(number for name, number, _ in FLAGS if name in names)


def parameters(options: CopyOptions) -> dict[str, int]:
    """Typed parameters of virDomainBlockCopy by libvirt's names, its defaults left out;
    the bandwidth is bytes/s there."""
    values = {name: getattr(options, option) for name, option in _PARAMETERS}
    return {name: value for name, value in values.items() if value}


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
        raise InvalidOption.of(
            "granularity",
            say("The granularity must be a power of two."),
            say("Choose 64 KiB, 128 KiB, 256 KiB …, or leave it to libvirt."),
        )
    if value and not SMALLEST_GRANULARITY <= value <= LARGEST_GRANULARITY:
        raise InvalidOption.of(
            "granularity",
            say("The granularity must be between 512 bytes and 64 MiB."),
            say("Choose one in between, or leave it to libvirt."),
        )


def _check_number(field: str, value: int) -> None:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        option = _NAMES[field]
        raise InvalidOption.of(
            field,
            say("The %(option)s must be a whole number, 0 to 2⁶³ - 1.", option=option),
            say("Choose a smaller one, or leave it away."),
        )
