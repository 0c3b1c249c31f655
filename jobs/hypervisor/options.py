"""The options of a copy: which values they can have, and what libvirt gets of them."""

from __future__ import annotations

from dataclasses import replace

from jobs.hypervisor.destination import Destination
from jobs.hypervisor.errors import InvalidOption
from jobs.hypervisor.records import CopyOptions

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
_PARAMETERS = (
    ("bandwidth", "bandwidth"),
    ("granularity", "granularity"),
    ("buf-size", "buf_size"),
)


def options_for(destination: Destination, options: CopyOptions) -> CopyOptions:
    """The options that libvirt really gets: a volume that the console has created is
    always a reused file or device to it."""
    if destination.kind == "volume":
        return replace(options, reuse_external=True)
    return options


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
        raise InvalidOption.of("granularity", "granularity must be a power of two.")
    if value and not SMALLEST_GRANULARITY <= value <= LARGEST_GRANULARITY:
        raise InvalidOption.of(
            "granularity", "granularity must be between 512 bytes and 64 MiB."
        )


def _check_number(field: str, value: int) -> None:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise InvalidOption.of(field, f"{field} must be a whole number, 0 to 2⁶³ - 1.")
